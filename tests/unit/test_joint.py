"""Batches chosen jointly, as a user meets them: what they share, what they keep to, and that they are worth more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import paretune as pt
from paretune.algorithms import gp
from paretune.algorithms._gp import joint
from paretune.algorithms._gp.optimize import Candidate
from paretune.errors import AlgorithmError
from paretune.space import Config

SPACES: dict[str, dict[str, Any]] = {
    "plane": {"x": pt.Float(0, 1), "y": pt.Float(0, 1)},
    "conditional": {
        "x": pt.Float(1e-5, 1e-1, log=True),
        "y": pt.Int(2, 12),
        "kind": pt.Choice(["a", "b", "c"]),
        "z": pt.Float(0.5, 0.99, when={"kind": "b"}),
    },
    "discrete": {"x": pt.Int(1, 40), "y": pt.Choice(["a", "b", "c"])},
}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "one": ("plane", {"error": "minimize"}, {}),
    "two": ("plane", {"error": "minimize", "speed": "maximize"}, {}),
    "conditional": ("conditional", {"error": "minimize"}, {}),
    "discrete": ("discrete", {"error": "minimize"}, {}),
    "constrained": ("plane", {"error": "minimize"}, {"constraints": ["x + y <= 0.8"]}),
    "limited": ("plane", {"error": "minimize"}, {"limits": {"speed": {"max": 0.5}}}),
}


def optimizer(case: str, *, seed: int = 0, **settings: Any) -> pt.Optimizer:
    """After nine random trials of a smooth function, the last of which failed."""
    space, objectives, more = CASES[case]
    opt = pt.Optimizer(SPACES[space], objectives, algorithm=pt.GP(**{"batch": "joint", **settings}), seed=seed, **more)
    chance = pt.Optimizer(SPACES[space], {"error": "minimize"}, algorithm="random", seed=seed, **more)
    for trial in chance.ask(n=9):
        x_d = opt.space.encode(trial.config)
        metrics = {"error": float(((x_d - 0.4) ** 2).sum()), "speed": float(x_d.mean())}
        opt.add(trial.config, metrics, status="failed" if trial.id == 8 else None)
    return opt


@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_legal_different_the_same_again_and_worth_no_less_than_one_by_one(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worths: list[tuple[float, float]] = []

    def spied(batch: Sequence[Config], best: joint.Best, added: joint.Added) -> list[Candidate]:
        found = joint.improved(batch, best, added)
        greedy = [added(config, batch[:place]) for place, config in enumerate(batch)]
        again = [added(one.config, [other.config for other in found[:place]]) for place, one in enumerate(found)]
        assert again == [one.value for one in found]
        worths.append((joint.worth(greedy), joint.worth(again)))
        return found

    monkeypatch.setattr(gp, "improved", spied)
    opt = optimizer(case)
    batch = opt.ask(n=2)
    for suggestion in batch:
        opt.space.check(suggestion.config)
    assert len({opt.space.key(suggestion.config) for suggestion in batch}) == 2
    assert [suggestion.pending for suggestion in batch] == [(), ()], "each has seen the other, none is before it"
    assert [suggestion.proposal for suggestion in batch] == [s.proposal for s in optimizer(case).ask(n=2)]
    ((greedy, together), _) = worths
    assert together >= greedy


def test_what_is_under_way_is_taken_into_account() -> None:
    opt, alone = optimizer("one"), optimizer("one")
    waiting = opt.ask(n=2)
    more = opt.ask(n=2)
    assert [suggestion.pending for suggestion in more] == [tuple(one.id for one in waiting)] * 2
    assert not {opt.space.key(s.config) for s in more} & {opt.space.key(s.config) for s in alone.ask(n=2)}


def test_one_at_a_time_and_the_start_are_as_ever() -> None:
    assert optimizer("one").ask().proposal == optimizer("one", batch="sequential").ask().proposal
    new = [pt.Optimizer(SPACES["plane"], {"e": "minimize"}, algorithm=pt.GP(batch=batch)) for batch in _BATCHES]
    assert [s.config for s in new[0].ask(n=4)] == [s.config for s in new[1].ask(n=4)]


_BATCHES: Any = ("sequential", "joint")


def test_more_than_eight_come_eight_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gp, "TOGETHER", 2)
    opt = optimizer("discrete")
    batch = opt.ask(n=5)
    assert len({opt.space.key(suggestion.config) for suggestion in batch}) == 5


def test_many_objectives_are_scalarised_one_by_one() -> None:
    names = list("abcde")
    opts = [
        pt.Optimizer(SPACES["plane"], dict.fromkeys(names, "minimize"), algorithm=pt.GP(batch=batch))
        for batch in _BATCHES
    ]
    rng = np.random.default_rng(0)
    results = [(dict(zip("xy", rng.random(2).tolist(), strict=True)), rng.random(5).tolist()) for _ in range(6)]
    for opt in opts:
        for config, values in results:
            opt.add(config, dict(zip(names, values, strict=True)))
    assert [s.proposal for s in opts[0].ask(n=2)] == [s.proposal for s in opts[1].ask(n=2)]


def test_it_is_for_expected_improvement() -> None:
    with pytest.raises(AlgorithmError, match="batch: joint is for expected improvement, got ucb"):
        optimizer("one", acquisition="ucb")
    assert len(optimizer("one", acquisition="log_ei").ask(n=2)) == 2
