"""Which trials BOHB compares, how much it leaves to chance, and that it follows from the log and helps a scheduler."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, mannwhitneyu, norm

import paretune as pt
from paretune import algorithms
from paretune.algorithms import Problem
from paretune.algorithms._bohb.kernel_density import KernelDensity, present
from paretune.algorithms.bohb import comparable
from paretune.objective import Objectives
from paretune.records import Observation, Proposal, Status
from paretune.space import Choice, Config, Float, Space

ONE = Objectives.from_dict({"error": "minimize"})
LINE = Space({"x": Float(0, 1), "y": Float(0, 1)})
RUNGS = (1.0, 3.0, 9.0)


def observed(trial: int, values: list[float], *, x: float = 0.5, status: Status = "stopped") -> Observation:
    """A trial that reported `values` at the first rungs."""
    curve = {rung: {"error": value} for rung, value in zip(RUNGS, values, strict=False)}
    return Observation(
        trial=trial,
        config={"x": x, "y": trial / 1000},
        status=status,
        resource=RUNGS[len(values) - 1] if values else 0.0,
        metrics={"error": values[-1]} if values else {},
        curve=curve,
    )


def suggested(past: list[Observation], n: int, rungs: tuple[float, ...] = RUNGS, **settings: Any) -> list[Proposal]:
    """The proposals with numbers 0, 1 ... n - 1 after one and the same history."""
    bohb = algorithms.create(pt.BOHB(**settings), Problem(space=LINE, objectives=ONE, rungs=rungs))
    return [bohb.suggest(past, [], n=1, rng=np.random.default_rng([0, number]))[0] for number in range(n)]


curves = st.lists(st.floats(0, 1), max_size=3)
statuses = st.sampled_from(["running", "paused", "stopped", "completed", "failed", "diverged"])


@given(st.lists(st.tuples(curves, statuses), max_size=25), st.integers(2, 8))
def test_the_highest_rung_with_enough_results_is_compared(drawn: list[tuple[list[float], Status]], enough: int) -> None:
    past = [observed(trial, values, status=status) for trial, (values, status) in enumerate(drawn)]
    known = comparable(past, RUNGS, ONE, enough=enough)
    well = [(trial, values) for trial, (values, status) in enumerate(drawn) if status not in ("failed", "diverged")]
    there = {place: [(t, v[place]) for t, v in well if len(v) > place] for place in range(3)}
    chosen = next((place for place in (2, 1, 0) if len(there[place]) >= enough), None)
    if chosen is None:
        assert known is None
        return
    assert known is not None
    assert [config["y"] for config in known.configs] == [trial / 1000 for trial, _ in there[chosen]]
    assert known.Y_nm[:, 0].tolist() == [value for _, value in there[chosen]]
    assert len(known.lost) == sum(status in ("failed", "diverged") for _, status in drawn)


def test_without_rungs_results_are_compared_as_they_are() -> None:
    past = [observed(0, [0.5]), observed(1, [0.5, 0.4]), observed(2, [], status="failed")]
    known = comparable(past, (), ONE, enough=2)
    assert known is not None
    assert known.Y_nm[:, 0].tolist() == [0.5, 0.4]
    assert comparable(past, (), ONE, enough=3) is None


def test_the_share_of_chance() -> None:
    past = [observed(trial, [0.1 * trial]) for trial in range(12)]
    origins = [proposal.origin for proposal in suggested(past, 300)]
    assert set(origins) == {"random", "model"}
    assert binomtest(origins.count("random"), 300, 1 / 3).pvalue > 0.001
    assert {proposal.origin for proposal in suggested(past, 30, random=0)} == {"model"}
    assert {proposal.origin for proposal in suggested(past, 30, random=1)} == {"random"}
    assert {proposal.origin for proposal in suggested(past[:2], 5)} == {"initial"}, "d + 1 = 3 are needed"


def test_long_trainings_count_as_soon_as_there_are_enough() -> None:
    """At the first rung the small x are good, at the last the large ones."""
    rng = np.random.default_rng(0)
    short = [observed(i, [x], x=x) for i, x in enumerate(rng.random(40).tolist())]
    long = [observed(40 + i, [x, x, 1 - x], x=x, status="completed") for i, x in enumerate(rng.random(12).tolist())]
    before = [float(p.config["x"]) for p in suggested(short, 40, random=0)]
    after = [float(p.config["x"]) for p in suggested([*short, *long], 40, random=0)]
    assert mannwhitneyu(before, rng.random(1000), alternative="less").pvalue < 0.001
    assert mannwhitneyu(after, rng.random(1000), alternative="greater").pvalue < 0.001


# -- densities ---------------------------------------------------------------------------------------------------------

TREE = Space({"kind": Choice(["a", "b", "c"]), "x": Float(0, 1), "only_b": Float(0, 1, when={"kind": "b"})})
POINTS: list[Config] = [
    {"kind": "a", "x": 0.0},
    {"kind": "b", "x": 0.4, "only_b": 0.9},
    {"kind": "b", "x": 0.5, "only_b": 1.0},
]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("points", [1, 3])
def test_a_density_integrates_to_one_over_the_whole_tree(points: int, background: bool) -> None:
    density = KernelDensity(TREE, present(TREE, POINTS[:points]), background=background)
    line = (np.arange(200) + 0.5) / 200
    x_k, y_k = (grid.ravel() for grid in np.meshgrid(line, line))
    shares = [
        np.exp(density.log(np.stack([np.full(len(x_k), (kind + 0.5) / 3), x_k, inner_k], axis=1))).mean() / 3
        for kind, inner_k in enumerate([np.full(len(x_k), np.nan), y_k, np.full(len(x_k), np.nan)])
    ]
    assert sum(shares) == pytest.approx(1.0, abs=1e-3)
    drawn = [TREE.decode(x_d)["kind"] for x_d in density.draw(4000, np.random.default_rng(0))]
    expected = [4000 * share / sum(shares) for share in shares]
    assert chisquare([drawn.count(kind) for kind in "abc"], expected).pvalue > 0.001


def test_one_kernel_by_hand() -> None:
    """Width .2 for one point; a normal distribution cut off at 0 and 1, an option's own share 1 - 2 / (1 + 1 + 3)."""
    density = KernelDensity(TREE, present(TREE, [{"kind": "a", "x": 0.3}]), background=False)
    at = [{"kind": "a", "x": 0.5}, {"kind": "c", "x": 0.3}, {"kind": "b", "x": 0.3, "only_b": 0.7}]
    inside = norm.cdf(0.7 / 0.2) - norm.cdf(-0.3 / 0.2)
    own, other = 3 * (1 - 2 / 5), 3 / 5
    expected = [own * norm.pdf(1.0) / 0.2 / inside, *[other * norm.pdf(0.0) / 0.2 / inside] * 2]
    assert np.exp(density.log(present(TREE, at))) == pytest.approx(expected)


def test_draws_follow_the_density() -> None:
    density = KernelDensity(LINE, present(LINE, [{"x": 0.05, "y": 0.5}, {"x": 0.6, "y": 0.5}]), background=True)
    edges = np.linspace(0, 1, 11)
    line = (np.arange(1000) + 0.5) / 1000
    y_m = (np.arange(50) + 0.5) / 50
    grid_kd = np.stack([grid.ravel() for grid in np.meshgrid(line, y_m, indexing="ij")], axis=1)
    mass_k = np.exp(density.log(grid_kd)).reshape(10, -1).mean(axis=1) / 10
    drawn_k = np.histogram(density.draw(5000, np.random.default_rng(1))[:, 0], edges)[0]
    assert chisquare(drawn_k, 5000 * mass_k / mass_k.sum()).pvalue > 0.001


# -- with a scheduler --------------------------------------------------------------------------------------------------

NETWORK = {
    "lr": pt.Float(1e-5, 1.0, log=True),
    "width": pt.Int(16, 512, log=True),
    "optimizer": pt.Choice(["adamw", "sgd", "lion"]),
    "momentum": pt.Float(0, 0.99, when={"optimizer": "sgd"}),
}


def network(config: Config, epoch: float) -> tuple[Mapping[str, float], float]:
    """A minute an epoch; wide ones fall faster, so early epochs mislead a little."""
    lr, width = math.log10(float(config["lr"])), math.log2(float(config["width"]))  # type: ignore[arg-type]
    floor = 0.1 + 0.05 * (lr + 2.5) ** 2 + 0.02 * (width - 8) ** 2
    floor += 0.4 * (float(config["momentum"]) - 0.9) ** 2 if config["optimizer"] == "sgd" else 0.1  # type: ignore[arg-type]
    return {"error": floor + math.exp(-epoch * width / 20)}, 60.0 * epoch


def study(store: Path, algorithm: Any, scheduler: Any, *, trials: int, seed: int = 0, **given: Any) -> pt.Study:
    spec = {
        "name": f"{algorithm if isinstance(algorithm, str) else 'given'}-{seed}",
        "objectives": {"error": "minimize"},
        "space": NETWORK,
        "search": {"algorithm": algorithm, "scheduler": scheduler, "trials": trials, "seed": seed},
        "train": {"epochs": 27},
        "store": str(store),
    }
    return pt.simulate(spec, network, workers=4, **given)


@pytest.mark.parametrize("scheduler", ["asha", {"name": "asha", "kind": "promote"}, "hyperband"], ids=str)
def test_with_a_scheduler_every_suggestion_follows_from_the_log(tmp_path: Path, scheduler: Any) -> None:
    faults = pt.Faults(failures=0.01, preemptions=0.05)
    found = study(tmp_path, "bohb", scheduler, trials=40, faults=faults)
    assert {trial.suggestion.proposal.origin for trial in found.trials} >= {"initial", "random", "model"}
    assert found.replay().difference is None
    for trial in found.trials:
        found.spec.space.check(trial.config)


def test_what_resembles_good_trials_is_better_than_chance_under_asha(tmp_path: Path) -> None:
    """The suggestions of one study, by what they would come to: the model's against its own ones left to chance."""
    found = study(tmp_path, "bohb", "asha", trials=160)
    final = {
        origin: [network(t.config, 27)[0]["error"] for t in found.trials if t.suggestion.proposal.origin == origin]
        for origin in ("random", "model")
    }
    assert mannwhitneyu(final["model"], final["random"], alternative="less").pvalue < 0.001
