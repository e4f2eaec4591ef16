"""paretune's own arms: an algorithm and a scheduler, as they would stand in a spec, through `paretune.simulate`.

`gp+asha`, `random+asha:kind=promote`, `gp:kernel=rbf+hyperband:grace=3`: settings are `name=value`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from typing import Any

import paretune as pt
from benchmarks.fidelity.run import LENGTHS, Report, Run
from benchmarks.optimizers.adapters.paretune import declared
from paretune import records


def search(label: str, run: Run) -> list[Report]:
    """Run an arm; its reports up to the end of its time."""
    algorithm, scheduler = (_part(text) for text in label.split("+"))
    trials = 1_000_000  # time ends it
    if scheduler["name"] == "one_epoch_topk":  # half of the time for first epochs, half for the best
        whole = run.workers * LENGTHS // 2
        trials, scheduler = whole * run.task.epochs, {"keep": whole, **scheduler}
    names = [f"y{i}" for i in range(run.task.objectives)]

    def blackbox(config: Mapping[str, Any], epoch: float) -> tuple[dict[str, float], float]:
        trained = run.trained(config)
        metrics = dict(zip(names, trained.seen_em[int(epoch) - 1].tolist(), strict=True))
        return metrics, trained.epoch_s * epoch

    with tempfile.TemporaryDirectory() as folder:
        spec = {
            "name": "run",
            "objectives": dict.fromkeys(names, "minimize"),
            "space": {parameter.name: declared(parameter) for parameter in run.task.space},
            "search": {
                "algorithm": algorithm,
                "scheduler": scheduler,
                "trials": trials,
                "hours": run.end_s / 3600,
                "seed": run.seed,
            },
            "train": {"epochs": run.task.epochs},
            "store": folder,
        }
        log = pt.simulate(spec, blackbox, workers=run.workers).log
    return [
        Report(entry.time_s, dict(log.trials[entry.trial].config), int(entry.resource))
        for entry in log.entries
        if isinstance(entry, records.Report)
    ]


def _part(text: str) -> dict[str, Any]:
    """`asha:kind=promote` as `{"name": "asha", "kind": "promote"}`."""
    name, *settings = text.split(":")
    given = dict(setting.split("=", 1) for setting in settings)
    return {"name": name, **{setting: _parsed(value) for setting, value in given.items()}}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
