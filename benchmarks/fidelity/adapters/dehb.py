"""DEHB (Awad et al., 2021): differential evolution in Hyperband's brackets. Its own fidelities, as whole epochs.

Conditions are passed on; what diverges is told as the worst value seen.
"""

from __future__ import annotations

import tempfile
from typing import Any

from dehb import DEHB

from benchmarks.fidelity.adapters._serve import REDUCTION, Problem, Progress, serve
from benchmarks.optimizers.adapters._configuration_space import configuration_space
from benchmarks.optimizers.adapters._serve import Penalty
from benchmarks.optimizers.spaces import Config


class Dehb:
    def __init__(self, problem: Problem) -> None:
        self._penalty = Penalty(problem.objectives)
        self._dehb = DEHB(
            cs=configuration_space(problem.space, problem.seed),
            min_fidelity=1,
            max_fidelity=problem.epochs,
            eta=REDUCTION,
            n_workers=1,  # asking and telling, it starts no workers of its own
            seed=problem.seed,
            output_path=tempfile.mkdtemp(),
            save_freq=None,
            log_level="ERROR",
        )

    def ask(self) -> tuple[dict[str, Any], Config, int]:
        job = self._dehb.ask()
        return job, dict(job["config"]), max(1, round(job["fidelity"]))

    def report(self, job: dict[str, Any], progress: Progress) -> bool:
        return True

    def tell(self, job: dict[str, Any], progress: Progress) -> None:
        (value,) = self._penalty.values(progress)
        self._dehb.tell(job, {"fitness": value, "cost": progress.seconds})


if __name__ == "__main__":
    serve(Dehb, "dehb")
