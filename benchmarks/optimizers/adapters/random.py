"""Uniform random search; with input constraints, uniform among the configurations that keep them."""

from __future__ import annotations

import random

from benchmarks.optimizers.adapters._serve import Problem, Result, serve
from benchmarks.optimizers.spaces import Config


class RandomSearch:
    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._rng = random.Random(problem.seed)

    def ask(self) -> tuple[None, Config]:
        while True:
            config = self._problem.space.sample(self._rng)
            if all(limit.kept(config) for limit in self._problem.inputs):
                return None, config

    def tell(self, token: None, config: Config, result: Result) -> None:
        """Learns nothing."""

    def add(self, config: Config, result: Result) -> None:
        """Learns nothing."""


if __name__ == "__main__":
    serve(RandomSearch, None)
