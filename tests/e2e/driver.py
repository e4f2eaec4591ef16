"""A study in a process of its own, to be killed: python driver.py STORE --name a --workers 2 ..."""

from __future__ import annotations

import argparse
import json

from loops import steady

import paretune as pt

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("--name", required=True)
    parser.add_argument("--address")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--algorithm", default="random")
    parser.add_argument("--scheduler", type=json.loads, default='"none"')
    parser.add_argument("--sleep-s", type=float, default=0.05)
    arguments = parser.parse_args()
    pt.search(
        steady,
        space={"x": pt.Float(0, 1), "width": pt.Int(1, 64, log=True)},
        objectives={"error": "minimize", "cost": "minimize"},
        algorithm=arguments.algorithm,
        scheduler=arguments.scheduler,
        trials=arguments.trials,
        concurrency=arguments.concurrency,
        workers=arguments.workers,
        epochs=4,
        config={"sleep_s": arguments.sleep_s},
        retries=100,
        seed=7,
        store=arguments.store,
        name=arguments.name,
        address=arguments.address,
        progress=False,
    )
