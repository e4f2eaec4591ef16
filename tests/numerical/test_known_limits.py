"""That a limit made known to the search keeps trials within it, and that the search loses nothing by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import paretune as pt
from paretune.algorithms import Problem, create, propose
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import learn
from paretune.objective import Objectives
from paretune.records import Observation
from paretune.space import Space

PLANE = {"x": pt.Float(0, 1), "y": pt.Float(0, 1)}
TRIALS, SEEDS = 18, 8


def trade_off(config: Any) -> dict[str, float]:
    """Better towards the far corner, where trials take too long: 0.25 at best within 0.5."""
    x, y = config["x"], config["y"]
    return {"error": (1 - x) ** 2 + (1 - y) ** 2, "latency": x * y + 0.25 * (x + y) - 0.125}


def shares(limits: Any) -> tuple[int, float]:
    """How many trials are beyond the limit, and the best value within it, of all seeds."""
    beyond, best = 0, np.inf
    for seed in range(SEEDS):
        opt = pt.Optimizer(PLANE, {"error": "minimize"}, limits=limits, seed=seed)
        for _ in range(TRIALS):
            suggestion = opt.ask()
            metrics = trade_off(suggestion.config)
            opt.tell(suggestion, metrics)
            if metrics["latency"] > 0.3:
                beyond += 1
            else:
                best = min(best, metrics["error"])
    return beyond, best


def test_fewer_than_half_as_many_trials_break_a_limit_that_is_known() -> None:
    limited, best = shares({"latency": {"max": 0.3}})
    unlimited, _ = shares(None)
    assert unlimited > TRIALS * SEEDS / 2
    assert limited < unlimited / 2
    grid = np.linspace(0, 1, 101)
    truth = min(m["error"] for x in grid for y in grid if (m := trade_off({"x": x, "y": y}))["latency"] <= 0.3)
    assert best < truth + 0.02


@pytest.mark.parametrize("goals", [{"a": "minimize"}, {"a": "minimize", "b": "maximize"}], ids=["one", "two"])
def test_a_limit_from_below_is_one_from_above_turned_round(goals: dict[str, str]) -> None:
    rng = np.random.default_rng(0)
    configs = [{"x": x, "y": y} for x, y in rng.random((10, 2)).tolist()]

    def suggest(sign: float) -> Any:
        limit = {"max": 0.4} if sign > 0 else {"min": -0.4}
        objectives = Objectives.from_dict(goals, {"size": limit})
        history = [
            Observation(
                trial=i,
                config=c,
                status="completed",
                resource=1,
                metrics={"a": c["x"], "b": c["y"], "size": sign * (c["x"] + c["y"]) / 2},
            )
            for i, c in enumerate(configs)
        ]
        algorithm = create("gp", Problem(space=Space(PLANE), objectives=objectives))
        return propose(
            algorithm, name="gp", history=history, pending=[], n=1, seed=0, first_id=10, history_position=10
        )[0].proposal

    above, below = suggest(1.0), suggest(-1.0)
    assert above.config == below.config
    assert set(above.mean) == {*goals, "size"} == set(above.fit) == set(above.sd)
    assert above.mean["size"] == -below.mean["size"]
    assert 0.0 <= above.mean["size"] <= 0.4


def test_what_is_beyond_a_limit_does_not_lead() -> None:
    objectives = Objectives.from_dict({"a": "minimize"}, {"size": {"max": 0.5}, "cost": {"max": 900.0}})
    history = [
        Observation(
            trial=i,
            config={"x": i / 12, "y": 0.5},
            status="completed",
            resource=1,
            metrics={"a": float(i), "size": 1.0 if i < 4 else 0.25, "cost": 1000.0 if i == 4 else 800.0},
        )
        for i in range(12)
    ]
    knowledge = learn(history, objectives, Encoding(Space(PLANE)))
    assert knowledge.leaders[0] == {"x": 5 / 12, "y": 0.5}
    assert len(knowledge.limits_o) == 3
    assert knowledge.reference_m.shape == (1,)
