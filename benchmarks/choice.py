"""Where another algorithm than `gp` is the better choice: what the thresholds of `auto` were measured with.

python benchmarks/choice.py objectives choices deep dimensions given --seeds 0-2 --algorithms gp,tpe

A line per problem, algorithm and seed: the best value (lower is better; with several objectives the R2 indicator, the
mean over weights of the least weighted Chebyshev distance from the ideal point; Hansen and Jaszkiewicz, 1998), and the
CPU seconds of asking and telling per trial.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import paretune as pt
from paretune import Space
from paretune.parameters import Parameter

Values = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Minimise `values` over `space` in `trials`, of which the first `given` are random and not asked for."""

    name: str
    space: Mapping[str, Parameter]
    values: Callable[[Mapping[str, Any]], Values]
    trials: int
    given: int = 0
    objectives: int = 1


def floats(count: int) -> dict[str, Parameter]:
    return {f"x{i}": pt.Float(0, 1) for i in range(count)}


def objectives() -> Iterator[Problem]:
    """DTLZ2 (Deb et al., 2005) with the optimum of its other four coordinates at different places."""
    targets = (0.31, 0.68, 0.83, 0.22)
    for m in (4, 5, 6, 8, 10):

        def values(c: Mapping[str, Any], m: int = m) -> Values:
            radius = 1 + 2 * sum((c[f"x{m - 1 + i}"] - target) ** 2 for i, target in enumerate(targets))
            found = []
            for i in range(m):
                value = radius * math.prod(math.cos(c[f"x{j}"] * math.pi / 2) for j in range(m - 1 - i))
                found.append(value * math.sin(c[f"x{m - 1 - i}"] * math.pi / 2) if i else value)
            return tuple(found)

        yield Problem(name=f"{m} objectives", space=floats(m + 3), values=values, trials=60, objectives=m)


def choices() -> Iterator[Problem]:
    """Unordered choices of four options: an effect of each, and one of every two neighbours together."""
    for count in (10, 20, 30):
        rng = np.random.default_rng(count)
        alone, together = rng.normal(size=(count, 4)), rng.normal(size=(count - 1, 4, 4))

        def values(c: Mapping[str, Any], alone: Any = alone, together: Any = together) -> Values:
            chosen = ["abcd".index(option) for option in c.values()]
            pairs = itertools.pairwise(chosen)
            return (
                float(sum(alone[i, o] for i, o in enumerate(chosen)))
                + float(sum(together[i, a, b] for i, (a, b) in enumerate(pairs))),
            )

        space: dict[str, Parameter] = {f"c{i}": pt.Choice(list("abcd")) for i in range(count)}
        yield Problem(name=f"{count} choices", space=space, values=values, trials=100)


def deep() -> Iterator[Problem]:
    """Three levels of choices over twelve leaves of three floats; leaves differ in their floor and their optimum."""
    leaves = [f"{a}{b}{c}" for a in "abc" for b in "xy" for c in "uv"]
    rng = np.random.default_rng(3)
    floors, targets = rng.uniform(0, 0.5, len(leaves)), rng.uniform(0.15, 0.85, (len(leaves), 3))
    space: dict[str, Parameter] = {"top": pt.Choice(list("abc")), "shared": pt.Float(0, 1)}
    for a in "abc":
        space[f"mid_{a}"] = pt.Choice(list("xy"), when={"top": a})
        for b in "xy":
            space[f"low_{a}{b}"] = pt.Choice(list("uv"), when={f"mid_{a}": b})
            for c in "uv":
                for i in range(3):
                    space[f"{a}{b}{c}{i}"] = pt.Float(0, 1, when={f"low_{a}{b}": c})

    def values(c: Mapping[str, Any]) -> Values:
        middle = c[f"mid_{c['top']}"]
        leaf = f"{c['top']}{middle}{c['low_' + c['top'] + middle]}"
        place = leaves.index(leaf)
        off = sum((c[f"{leaf}{i}"] - targets[place, i]) ** 2 for i in range(3))
        return (float(floors[place] + off + 0.5 * (c["shared"] - 0.4) ** 2),)

    yield Problem(name=f"deep, {len(space)} parameters", space=space, values=values, trials=100)


def dimensions() -> Iterator[Problem]:
    """Eight coordinates of many matter, neighbours among them interact."""
    for d in (60, 150):
        targets = np.random.default_rng(d).uniform(0.2, 0.8, 8)

        def values(c: Mapping[str, Any], targets: Any = targets, d: int = d) -> Values:
            off = np.array([c[f"x{i * d // 8}"] for i in range(8)]) - targets
            return (float(np.sum(off**2) + 0.5 * np.sum((off[1:] + off[:-1]) ** 2)),)

        yield Problem(name=f"{d} parameters", space=floats(d), values=values, trials=100)


def given() -> Iterator[Problem]:
    """Thirty trials after many random ones on Rosenbrock's valley in six dimensions (Rosenbrock, 1960)."""

    def values(c: Mapping[str, Any]) -> Values:
        x = [4 * c[f"x{i}"] - 2 for i in range(6)]
        return (math.log10(1e-3 + sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))),)

    for count in (500, 1000, 2000, 4000, 8000):
        yield Problem(name=f"after {count}", space=floats(6), values=values, trials=count + 30, given=count)


GROUPS = {each.__name__: each for each in (objectives, choices, deep, dimensions, given)}


def search(problem: Problem, algorithm: str, seed: int) -> tuple[float, float]:
    """The score at the end, and the CPU seconds per trial that was asked for."""
    goals: dict[str, Any] = {f"y{i}": "minimize" for i in range(problem.objectives)}
    opt = pt.Optimizer(problem.space, goals, algorithm=algorithm, seed=seed)
    known, rng = Space(problem.space), np.random.default_rng([7, seed])
    found = []
    for _ in range(problem.given):
        config = known.decode(rng.uniform(size=len(known)))
        found.append(problem.values(config))
        opt.add(config, dict(zip(goals, found[-1], strict=True)))
    spent_s = 0.0
    for _ in range(problem.trials - problem.given):
        began = time.process_time()
        suggestion = opt.ask()
        spent_s += time.process_time() - began
        found.append(problem.values(suggestion.config))
        began = time.process_time()
        opt.tell(suggestion, dict(zip(goals, found[-1], strict=True)))
        spent_s += time.process_time() - began
    return score(np.array(found)), spent_s / (problem.trials - problem.given)


def score(Y_nm: np.ndarray) -> float:
    """The least value, or the R2 indicator with weights spread evenly over those that add up to one."""
    m = Y_nm.shape[1]
    if m == 1:
        return float(Y_nm.min())
    weights_wm = np.random.default_rng(0).dirichlet(np.ones(m), size=1000)
    return float(np.mean([(weights_m * Y_nm).max(axis=1).min() for weights_m in weights_wm]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], default=list(GROUPS))
    parser.add_argument("--algorithms", default="gp,tpe,evolution,random")
    parser.add_argument("--seeds", default="0-2")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("-")
    for group in arguments.groups:
        for problem in GROUPS[group]():
            for algorithm in arguments.algorithms.split(","):
                for seed in range(int(first), int(last or first) + 1):
                    best, cpu_s = search(problem, algorithm, seed)
                    print(f"{problem.name:<24}{algorithm:<12}{seed:<4}{best:<12.4f}{cpu_s:.3f} CPU s", flush=True)


if __name__ == "__main__":
    main()
