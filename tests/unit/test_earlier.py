"""What of an earlier study carries over: coordinates, conditions, ranges that differ, parameters that come and go."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretune as pt
from paretune.earlier import FEWEST, LARGEST, Source, carried, place, shared, sources, unfit
from paretune.errors import InputError
from paretune.objective import Objectives
from paretune.records import Observation, Status
from paretune.space import Choice, Config, Float, Int, Space
from strategies import floats, ints, spaces, spaces_and_points, units

ERROR = Objectives.from_dict({"error": "minimize"})
OLD = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "layers": Int(2, 20),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0.0, 0.99),
        "gone": Float(0, 1),
    }
)
NEW = Space(
    {
        "optimizer": Choice(["rmsprop", "sgd", "adamw"]),
        "lr": Float(1e-3, 1e-1, log=True, default=1e-2),
        "layers": Int(2, 12),
        "momentum": Float(0.5, 0.99, when={"optimizer": "sgd"}),
        "dropout": Float(0.0, 0.5),
    }
)
CONFIG: Config = {"lr": 1e-2, "layers": 7, "optimizer": "sgd", "momentum": 0.9, "gone": 0.3}


def observed(trial: int, config: Config, error: float = 1.0, *, status: Status = "completed") -> Observation:
    return Observation(trial=trial, config=config, status=status, resource=1.0, metrics={"error": error})


def source(*configs: Config, space: Space = OLD, objectives: Objectives = ERROR) -> Source:
    seen = tuple(observed(i, config, float(i)) for i, config in enumerate(configs))
    return Source(name="old", space=space, objectives=objectives, observations=seen)


@given(st.one_of(floats(), ints()), units)
def test_a_legal_number_has_the_place_it_has_in_its_parameter(parameter: Float | Int, unit: float) -> None:
    value = parameter.from_unit(unit)
    assert place(parameter, value) == pytest.approx(parameter.to_unit(value), abs=1e-6)


def test_a_number_outside_the_range_has_a_place_outside_the_cube() -> None:
    assert place(Float(1, 3), 5.0) == 2.0
    assert place(Float(1e-4, 1e-2, log=True), 1e-5) == pytest.approx(-0.5)
    assert place(Int(8, 64, step="power2"), 128) == pytest.approx(1.125)
    assert place(Float(1e-4, 1e-2, log=True), 0) == -math.inf


@given(spaces_and_points())
def test_in_the_same_space_all_carries_over_exactly(space_and_point: tuple[Space, list[float]]) -> None:
    space, point = space_and_point
    config = space.decode(point)
    (found,) = carried(source(config, space=space), space, ERROR)
    assert found.config == config
    assert space.filled(found.config) == config
    numbers = {name for name in config if not isinstance(space[name], Choice)}
    assert set(found.places) == numbers
    encoded = dict(zip(space, space.encode(config).tolist(), strict=True))
    assert {name: found.places[name] for name in numbers} == pytest.approx(
        {name: encoded[name] for name in numbers}, abs=1e-6
    )


@given(st.data())
def test_between_any_two_spaces_what_carries_over_is_legal(data: st.DataObject) -> None:
    old, new = data.draw(spaces()), data.draw(spaces())
    renamed = dict(zip(new, old, strict=False))  # as many names in common as there can be
    joint = Space.from_dict(
        {
            renamed.get(name, f"new {name}"): {
                **entry,
                **(
                    {"when": {renamed.get(p, f"new {p}"): v for p, v in entry["when"].items()}}
                    if "when" in entry
                    else {}
                ),
            }
            for name, entry in new.to_dict().items()
        }
    )
    config = old.decode(data.draw(st.lists(units, min_size=len(old), max_size=len(old))))
    for found in carried(source(config, space=old), joint, ERROR):
        assert set(found.config) <= set(shared(old, joint)) & set(config)
        whole = joint.filled(found.config)
        joint.check(whole)
        for name, value in found.config.items():
            joint[name].check(value)
            assert name not in whole or whole[name] == value
        assert all(-1 <= unit <= 2 for unit in found.places.values())


def test_values_keep_their_meaning_in_other_ranges() -> None:
    (found,) = carried(source(CONFIG), NEW, ERROR)
    assert found.config == pytest.approx({"optimizer": "sgd", "lr": 1e-2, "layers": 7, "momentum": 0.9})
    (found,) = carried(source({**CONFIG, "lr": 1.0, "layers": 17}), NEW, ERROR)
    assert found.config["lr"] == 1e-1
    assert found.config["layers"] == 12
    assert found.places["lr"] == pytest.approx(1.5)
    assert found.places["layers"] == pytest.approx((17 - 1.5) / 11)


def test_too_far_away_or_an_unknown_option_drops_the_result() -> None:
    assert carried(source({**CONFIG, "optimizer": "lion"}), NEW, ERROR) == []
    narrow = Space({"lr": Float(1e-3, 2e-3, log=True)})
    assert [found.config["lr"] for found in carried(source(CONFIG, {**CONFIG, "lr": 3e-3}), narrow, ERROR)] == [2e-3]


def test_conditions_of_the_new_space_decide_what_is_there() -> None:
    (found,) = carried(source({**CONFIG, "optimizer": "adamw"}), NEW, ERROR)
    assert "momentum" not in found.config
    fixed = Space({"momentum": Float(0.5, 0.99), "lr": Float(1e-4, 1.0, log=True)})
    (found,) = carried(source({"momentum": 0.9, "lr": 0.01}, space=fixed), NEW, ERROR)
    assert found.config["momentum"] == 0.9, "the old study did not vary the optimizer"


def test_what_is_missing_is_filled_with_defaults_and_middles() -> None:
    config = NEW.filled({"lr": 0.05, "optimizer": "sgd"})
    assert config == {"optimizer": "sgd", "lr": 0.05, "layers": 7, "momentum": 0.745, "dropout": 0.25}
    assert NEW.filled({"momentum": 0.9})["lr"] == 1e-2
    NEW.check(config)


def test_only_results_count() -> None:
    seen = (
        observed(0, CONFIG, status="failed"),
        observed(1, CONFIG, math.nan),
        observed(2, CONFIG, 2.0, status="stopped"),
        Observation(trial=3, config=CONFIG, status="completed", resource=1.0, metrics={"loss": 1.0}),
    )
    found = carried(Source(name="old", space=OLD, objectives=ERROR, observations=seen), NEW, ERROR)
    assert [result.y_m.tolist() for result in found] == [[2.0]]


def test_of_many_results_the_best_and_a_spread_are_kept() -> None:
    rng = np.random.default_rng(0)
    values = rng.permutation(400)
    seen = tuple(observed(i, OLD.decode(rng.random(5)), float(v)) for i, v in enumerate(values))
    wide = Source(name="old", space=OLD, objectives=ERROR, observations=seen)
    kept = [float(result.y_m[0]) for result in carried(wide, OLD, ERROR)]
    assert len(kept) == LARGEST
    assert set(range(LARGEST // 2)) <= set(kept)
    assert max(kept) == 399
    assert kept == [v for v in values if v in kept], "in their order"


@pytest.mark.parametrize(
    ("space", "objectives", "why"),
    [
        (OLD, {"loss": "minimize"}, "it must minimize error as well"),
        (OLD, {"error": "maximize"}, "it must minimize error, and it maximizes it"),
        (Space({"x": Float(0, 1)}), {"error": "minimize"}, "it must share a parameter"),
        (Space({"lr": Choice([0.01, 0.1])}), {"error": "minimize"}, "it must share a parameter"),
        (Space({"lr": Float(1e-9, 1e-7)}), {"error": "minimize"}, "it must have 3 results"),
    ],
    ids=["other objective", "other goal", "nothing shared", "other kind", "far away"],
)
def test_why_a_study_teaches_nothing(space: Space, objectives: dict[str, Any], why: str) -> None:
    configs = [{name: p.from_unit(u) for name, p in space.items()} for u in (0.1, 0.5, 0.9)]
    reason = unfit(source(*configs, space=space, objectives=Objectives.from_dict(objectives)), NEW, ERROR)
    assert reason is not None
    assert reason.startswith(why)


def test_more_objectives_than_needed_do_not_hurt() -> None:
    both = Objectives.from_dict({"speed": "maximize", "error": "minimize"})
    assert unfit(source(*[CONFIG] * FEWEST, objectives=both), NEW, ERROR) is None
    assert unfit(source(*[CONFIG] * (FEWEST - 1), objectives=both), NEW, ERROR) is not None


def test_an_optimizer_takes_whatever_tells_of_a_study() -> None:
    first = pt.Optimizer(OLD, ERROR, algorithm="random")
    for _ in range(4):
        s = first.ask()
        first.tell(s, {"error": float(s.config["layers"] or 0)})
    told = sources([first, first.source(), (OLD, first.history)], NEW, ERROR)
    assert [entry.observations for entry in told] == [tuple(first.history)] * 3
    assert [entry.name for entry in told] == ["optimizer", "optimizer 2", "given"]
    with pytest.raises(InputError, match=r"warm_start: 0: must be a study, an optimizer or a .* pair, got str"):
        pt.Optimizer(NEW, ERROR, warm_start=["cnn"])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"warm_start: 0 \(optimizer\): it must share a parameter"):
        pt.Optimizer({"x": Float(0, 1)}, ERROR, warm_start=[first])


def test_every_suggestion_says_how_far_it_trusts_each_study_and_how_long_fitting_took() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)})

    def valley(config: Config) -> float:
        return (float(config["x"] or 0) - 0.3) ** 2 + 0.1 * float(config["y"] or 0)

    old = pt.Optimizer(space, ERROR, algorithm="sobol")
    for _ in range(12):
        s = old.ask()
        old.tell(s, {"error": valley(s.config)})
    new = pt.Optimizer(space, ERROR, warm_start=[old])
    for _ in range(8):
        s = new.ask()
        new.tell(s, {"error": 5 + 3 * valley(s.config)})
    assert s.proposal.notes["sources"]["error"]["optimizer"] > 0.9
    assert s.proposal.fit_s > 0


def test_an_algorithm_that_cannot_learn_from_studies_says_so() -> None:
    with pytest.raises(InputError, match="random: must be able to learn from earlier studies") as caught:
        pt.Optimizer(NEW, ERROR, algorithm="random", warm_start=[source(*[CONFIG] * FEWEST)])
    assert caught.value.hint == "use gp, or leave warm_start out"
