"""CPU time of one ask and one tell after n observations, on a mixed space of six parameters."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.optimizers.harness.play import Conversation
from benchmarks.optimizers.spaces import Config, Space, choice, integer, real
from benchmarks.optimizers.tasks import Task

SPACE = Space(
    [
        real("lr", 1e-5, 1e-1, log=True),
        real("decay", 1e-6, 1e0, log=True),
        real("dropout", 0.0, 0.8),
        integer("width", 8, 1024, log=True),
        integer("depth", 1, 12),
        choice("activation", ["relu", "tanh", "gelu", "sigmoid"]),
    ]
)
SIZES = (10, 100, 1000)
REPEATS = 8  # SMAC refits every eighth trial: fewer would miss it
PATIENCE_S = 120.0  # of CPU per size: a slow library gets fewer repeats, and no larger size

_FILL = 100  # observations per request


def task(trials: int = max(SIZES) + REPEATS * len(SIZES)) -> Task:
    """A bowl; the noise is added where it is told."""
    return Task(name="latency", space=SPACE, function=_bowl, trials=trials)


def _bowl(config: Config) -> float:
    return sum((unit - 0.4) ** 2 for unit in SPACE.features(config))


def measure(conversation: Conversation, *, seed: int, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Median and mean milliseconds by n, and the adapter's peak memory."""
    rng = random.Random(seed)
    known = 0
    median_ms: dict[str, float] = {}
    mean_ms: dict[str, float] = {}
    for size in sizes:
        while known < size:
            count = min(_FILL, size - known)
            conversation.call("add", results=[_result(SPACE.sample(rng), rng) for _ in range(count)])
            known += count
        spent_s: list[float] = []
        while len(spent_s) < REPEATS and sum(spent_s) < PATIENCE_S:
            asked = conversation.call("ask")
            found = _result(asked["config"], rng)
            told = conversation.call("tell", id=asked["id"], **{k: found[k] for k in ("values", "metrics", "feasible")})
            spent_s.append(asked["cpu_s"] + told["cpu_s"])
            known += 1
        median_ms[str(size)] = round(1000 * statistics.median(spent_s), 2)
        mean_ms[str(size)] = round(1000 * statistics.fmean(spent_s), 2)
        if sum(spent_s) >= PATIENCE_S:
            break
    peak_mb = round(conversation.call("memory")["peak_mb"])
    return {"median_ms": median_ms, "mean_ms": mean_ms, "peak_mb": peak_mb, "seed": seed}


def _result(config: Config, rng: random.Random) -> dict[str, Any]:
    value = _bowl(SPACE.clean(config)) + rng.gauss(0, 0.05)
    return {"config": config, "values": [value], "metrics": {}, "feasible": True}
