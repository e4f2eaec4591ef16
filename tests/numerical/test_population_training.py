"""Population based training finds a schedule that no constant reaches, for the cost of eight trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

import paretune as pt
from paretune.population import Stage

EPOCHS, STEPS, START = 40, 5, 100.0


class NoisyDescent:
    """The expected squared distance x² from the minimum of x²/2, under SGD whose gradients have unit noise.

    E[x²] <- (1 - lr)² E[x²] + lr² at each step: a large rate is quick at first and then dances about the minimum.
    """

    def __call__(self, config: Mapping[str, Any], resource: float, /) -> tuple[Mapping[str, float], float]:
        return self.along([Stage(0, 0.0, resource, config)], resource)

    def along(self, stages: Sequence[Stage], resource: float, /) -> tuple[Mapping[str, float], float]:
        distance = START
        for stage, end in zip(stages, [*(later.start for later in stages[1:]), resource], strict=True):
            rate = float(stage.config["lr"])  # type: ignore[arg-type]
            for _ in range(round(STEPS * (end - stage.start))):
                distance = (1 - rate) ** 2 * distance + rate**2
        return {"error": distance}, resource


def trained(store: Path, seed: int) -> pt.Study:
    return pt.simulate(
        {
            "name": "descent",
            "objectives": {"error": "minimize"},
            "space": {"lr": pt.Float(1e-3, 1, log=True)},
            "search": {"scheduler": pt.PBT(interval=2), "algorithm": "sobol", "trials": 46, "seed": seed},
            "train": {"epochs": EPOCHS},
            "store": str(store),
        },
        NoisyDescent(),
        workers=8,
    )


def test_a_changing_learning_rate_beats_the_best_of_all_constants(tmp_path: Path) -> None:
    """One-sided, over seeds: copying whoever is ahead may lower the rate too soon, and now and then does."""
    constants = [NoisyDescent()({"lr": rate}, EPOCHS)[0]["error"] for rate in np.geomspace(1e-3, 1, 1000)]
    studies = [trained(tmp_path / str(seed), seed) for seed in range(8)]
    wins = sum(study.best().metrics["error"] < min(constants) for study in studies)
    assert binomtest(wins, len(studies), alternative="greater").pvalue < 0.05
    for study in studies:
        rates = [float(stage.config["lr"]) for stage in study.schedule(study.best())]  # type: ignore[arg-type]
        assert rates[-1] < rates[0], "the rate came down on the way"
        assert study.log.worker_seconds == 8 * EPOCHS, "for the cost of eight trainings"
