"""Scrambled Sobol points of the unit cube (SciPy); points that break an input constraint are passed over."""

from __future__ import annotations

from scipy.stats import qmc

from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config


class SobolSearch:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._sequence = qmc.Sobol(len(problem.space), seed=problem.seed)

    def ask(self) -> tuple[None, Config]:
        while True:
            config = self._problem.space.decode(self._sequence.random(1)[0].tolist())
            if all(limit.kept(config) for limit in self._problem.inputs):
                return None, config

    def tell(self, token: None, config: Config, result: Result) -> None:
        """Learns nothing."""

    def add(self, config: Config, result: Result) -> None:
        """Learns nothing."""


if __name__ == "__main__":
    serve(SobolSearch, "scipy")
