"""Constraints between parameters: what is read, what holds, and every bad one refused with its position."""

from __future__ import annotations

import operator
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import paretune as pt
from paretune import amendments, study
from paretune.constraints import parse
from paretune.errors import SpaceError, SpecError
from paretune.space import Choice, Config, Float, Int, Parameter, Space

PARAMETERS: dict[str, Parameter] = {
    "batch": Int(8, 1024, step="power2"),
    "accumulate": Int(1, 64),
    "lr_a": Float(1e-5, 1.0, log=True),
    "lr_b": Float(0.0, 1.0),
    "heads": Choice([1, 2, 4]),
    "optimizer": Choice(["adamw", "sgd"]),
    "weight-decay": Float(1e-6, 1.0, log=True),
    "model.width": Int(1, 512),
    "momentum": Float(0.0, 1.0, when={"optimizer": "sgd"}),
}
RELATIONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "==": operator.eq}


@pytest.mark.parametrize(
    ("text", "config", "holds"),
    [
        ("batch * accumulate <= 4096", {"batch": 64, "accumulate": 64}, True),
        ("batch * accumulate <= 4096", {"batch": 128, "accumulate": 33}, False),
        ("batch * accumulate == 4096", {"batch": 1024, "accumulate": 4}, True),
        ("batch * accumulate == 4096", {"batch": 1024, "accumulate": 5}, False),
        ("lr_a + 2 * lr_b <= 1", {"lr_a": 0.4, "lr_b": 0.3}, True),
        ("lr_a + 2 * lr_b <= 1", {"lr_a": 0.4, "lr_b": 0.3001}, False),
        ("lr_a < lr_b", {"lr_a": 0.4, "lr_b": 0.4}, False),
        ("lr_b > lr_a", {"lr_a": 0.3, "lr_b": 0.4}, True),
        ("-lr_b >= -(0.5)", {"lr_b": 0.6}, False),
        ("model.width / heads >= 16", {"model.width": 63, "heads": 4}, False),
        ("(lr_a + lr_b) * 2 - +1 <= 0", {"lr_a": 0.25, "lr_b": 0.25}, True),
        ("'weight-decay' <= 0.1 * lr_a", {"weight-decay": 0.01, "lr_a": 0.1}, True),
        ("momentum <= 0.5", {"optimizer": "adamw"}, True),
        ("momentum <= 0.5", {"optimizer": "sgd", "momentum": 0.6}, False),
    ],
)
def test_what_holds(text: str, config: Config, holds: bool) -> None:
    constraint = parse(text, PARAMETERS)
    assert constraint.holds(config) is holds
    assert parse(constraint.text, PARAMETERS) == constraint, "its own text says the same"


leaves = st.sampled_from(["a", "b", "c"]) | st.integers(1, 9).map(str)
expressions = st.recursive(
    leaves, lambda e: st.tuples(e, st.sampled_from("+-*"), e).map("({0[0]} {0[1]} {0[2]})".format)
)


@given(
    expressions, st.sampled_from(sorted(RELATIONS)), expressions, st.lists(st.integers(-50, 50), min_size=3, max_size=3)
)
def test_whole_numbers_are_compared_as_python_compares_them(
    left: str, relation: str, right: str, at: list[int]
) -> None:
    parameters: dict[str, Parameter] = {name: Int(-50, 50) for name in "abc"}
    config = dict(zip("abc", at, strict=True))
    expected = RELATIONS[relation](eval(left, {}, config), eval(right, {}, config))
    text = f"{left} {relation} {right}"
    if not set("abc") & set(text):
        with pytest.raises(SpaceError, match="must name a parameter"):
            parse(text, parameters)
    else:
        assert _holds(text, parameters, config) == expected


def _holds(text: str, parameters: dict[str, Parameter], config: Config) -> bool:
    """Also False where the constraint is refused because it can never hold."""
    try:
        return parse(text, parameters).holds(config)
    except SpaceError as error:
        if "can never hold" in error.message:
            return False
        raise


def test_large_whole_numbers_are_exact_and_decimals_mean_what_is_written() -> None:
    whole: dict[str, Parameter] = {"a": Int(1, 2**40), "b": Int(1, 2**40)}
    assert parse("a * b == 1099511627776", whole).holds({"a": 2**20, "b": 2**20})
    assert not parse("a * b <= 1099511627775", whole).holds({"a": 2**20, "b": 2**20})
    grid: dict[str, Parameter] = {"a": Float(0, 1, step=0.1), "b": Float(0, 1, step=0.1)}
    assert parse("a + b <= 0.3", grid).holds({"a": 0.1, "b": 0.2}), "0.1 + 0.2 is a little more in binary"
    assert parse("a + b == 0.3", grid).holds({"a": 0.1, "b": 0.2})
    assert not parse("a + b > 0.3", grid).holds({"a": 0.1, "b": 0.2})


BAD: list[tuple[object, str, str | None]] = [
    (7, "a constraint must be text, got 7", "batch_size"),
    ("", "constraint '': must have 1 to 1000 characters, got 0", "a constraint is made of"),
    ("batch +", "cannot be read at position 7", "a constraint is made of"),
    ("batch * accumulate", "must compare two sides, got batch * accumulate at position 1", None),
    ("1 <= batch <= 64", "must compare once, got 64 at position 15", "write two constraints"),
    ("batch != 64", "must compare by one of <= >= < > ==, got batch != 64 at position 1", None),
    ("batch <= accumulate ** 2", "+ - * / and parentheses, got accumulate ** 2 at position 10", "a constraint is"),
    ("batch % 8 == 0", "got batch % 8 at position 1", None),
    ("batch // 8 == 0", "got batch // 8 at position 1", None),
    ("log(lr_a) <= 1", "got log(lr_a) at position 1", None),
    ("lr_b <= __import__('os').getpid()", "got __import__('os').getpid() at position 9", None),
    ("lr_b <= True", "got True at position 9", None),
    ("lr_b <= 1e999", "got 1e999 at position 9", None),
    ("lr_b <= 1j", "got 1j at position 9", None),
    ("lr_b <= [1][0]", "got [1][0] at position 9", None),
    ("2 * bacth <= 64", "'bacth' is no parameter, got bacth at position 5", "did you mean 'batch'?"),
    ("ä * batch <= 64", "'ä' is no parameter, got ä at position 1", None),
    ("optimizer <= 1", "'optimizer' must be a number, its options are ['adamw', 'sgd']", "`when`"),
    ("1 <= 2", "must name a parameter", "known: "),
    ("batch == 8 * lr_b", "== needs integers and choices, 'lr_b' is a float", "compute it in the training function"),
    ("batch / lr_b <= 1", "must not divide by what may be zero: lr_b", "multiply both sides by it"),
    ("batch * accumulate <= 4", "can never hold: its left side is in [8, 65536], its right side is 4", "loosen it"),
    ("2 == heads * batch", "can never hold", None),
    ("-".join(["batch"] * 200) + " <= 1", "must have 1 to 1000 characters", None),
]


@pytest.mark.parametrize(("text", "message", "hint"), BAD, ids=[str(text)[:40] for text, *_ in BAD])
def test_bad_constraints_say_where_what_and_how(text: Any, message: str, hint: str | None) -> None:
    with pytest.raises(SpaceError) as caught:
        parse(text, PARAMETERS)
    assert message in caught.value.message
    if hint is not None:
        assert caught.value.hint is not None
        assert hint in caught.value.hint


# -- in a space --------------------------------------------------------------------------------------------------------

PLANE: dict[str, Parameter] = {"x": Float(0, 1), "y": Float(0, 1)}


def test_a_space_checks_its_constraints() -> None:
    space = Space({name: PARAMETERS[name] for name in ("batch", "accumulate")}, ["batch*accumulate <= 4096"])
    assert space.legal({"batch": 64, "accumulate": 64})
    assert not space.legal({"batch": 128, "accumulate": 64})
    with pytest.raises(SpaceError, match=r"'batch \* accumulate <= 4096': must hold, got batch = 128, accumulate = 64"):
        space.check({"batch": 128, "accumulate": 64})
    assert repr(space).endswith("batch * accumulate <= 4096)")
    assert pickle.loads(pickle.dumps(space)) == space
    assert space != Space(space)
    assert (
        Space(space).constrained(["batch*accumulate<=4096"]) == space == space.constrained(["batch*accumulate<=4096"])
    )


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        (["x <= 0.3", "x >= 0.6"], "must leave a legal configuration, found none"),
        (["x - y <= 0", "y - x <= -0.01"], "must leave a legal configuration, found none"),
        (["x + n == 7", "n >= 5"], "== needs integers and choices, 'x' is a float"),
        (["m * n == 7", "n >= 2", "m >= 2"], "found none in all 45 combinations of n, m"),
        ("x <= 0.3", "constraints must be a list, got 'x <= 0.3'"),
    ],
)
def test_constraints_that_exclude_everything_are_refused(constraints: Any, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        Space({**PLANE, "n": Int(1, 9), "m": Int(1, 5)}, constraints)
    assert message in caught.value.message


def test_a_needle_is_found() -> None:
    """A legal part of 4e-10 of the cube, and one of 1e-12: chance alone would not."""
    product = Space({name: Float(0, 1) for name in "abcd"}, ["a + b + c + d <= 0.01"])
    thin = Space(
        {name: Float(0, 1) for name in "abc"}, ["a - b <= 1e-6", "b - a <= 1e-6", "b - c <= 1e-6", "c - b <= 1e-6"]
    )
    for space in (product, thin):
        assert all(space.legal(space.decode(x_d)) for x_d in space.legality.groups[0].pool_pk)


def test_the_default_configuration_must_be_legal() -> None:
    given = {"x": Float(0, 1, default=0.9), "y": Float(0, 1, default=0.2)}
    with pytest.raises(SpaceError) as caught:
        Space(given, ["x + y <= 1"])
    assert caught.value.message == "default configuration: constraint 'x + y <= 1': must hold, got x = 0.9, y = 0.2"
    assert Space(given, ["x + y <= 2"]).default() == {"x": 0.9, "y": 0.2}
    assert Space(PLANE, ["x + y <= 0.1"]).default() is None


def test_partial_configurations_are_completed() -> None:
    space = Space(
        {
            "lr": Float(1e-4, 1.0, log=True, default=1e-3),
            "layers": Int(1, 9),
            "optimizer": Choice(["adamw", "sgd"], default="adamw"),
            "momentum": Float(0, 1, when={"optimizer": "sgd"}),
        },
        ["layers * lr <= 0.5"],
    )
    assert space.complete({"optimizer": "sgd", "layers": 3.0}) == {
        "lr": 1e-3, "layers": 3, "optimizer": "sgd", "momentum": 0.5,
    }  # fmt: skip
    for wrong, message in (
        ({"lr": 0.4}, "must hold, got layers = 5, lr = 0.4"),
        ({"lrs": 0.4}, "lrs: no such parameter"),
        ({"momentum": 0.4}, "momentum: given, but present only when"),
        ({"layers": 10}, "layers: value must be in"),
    ):
        with pytest.raises(SpaceError) as caught:
            space.complete(wrong)
        assert message in caught.value.message


# -- in a study --------------------------------------------------------------------------------------------------------

SPEC: dict[str, Any] = {
    "name": "s",
    "trainable": "t",
    "objectives": {"e": "minimize"},
    "space": {"x": {"type": "float", "low": 0, "high": 1}, "y": {"type": "float", "low": 0, "high": 1}},
    "constraints": ["x+y<=1"],
    "search": {"first": [{"x": 0.25}, {"x": 0.1, "y": 0.2}]},
}


def test_a_spec_keeps_constraints_and_what_is_tried_first() -> None:
    spec = study.build(SPEC, where="test")
    assert spec.to_dict()["constraints"] == ["x + y <= 1"]
    assert spec.first == ({"x": 0.25, "y": 0.5}, {"x": 0.1, "y": 0.2})
    assert study.build(spec.to_dict(), where="again") == spec
    assert amendments.differences(spec, spec.with_changes({"search": {"trials": 60}})) == []
    assert amendments.differences(spec, spec.with_changes({"constraints": ["x + y <= 2"]})) == [
        "constraints: ['x + y <= 1'] before, ['x + y <= 2'] now"
    ]
    assert amendments.differences(spec, spec.with_changes({"search": {"first": None}})) == [
        "search.first: [{'x': 0.25}, {'x': 0.1, 'y': 0.2}] before, 'absent' now"
    ]
    plain = study.build({key: SPEC[key] for key in SPEC if key not in ("constraints", "search")}, where="test")
    assert "constraints" not in plain.to_dict()
    assert "first" not in plain.to_dict()["search"]


@pytest.mark.parametrize(
    ("changed", "message", "hint"),
    [
        (
            {"constraints": ["x+z<=1"]},
            "file: constraint 'x+z<=1': 'z' is no parameter, got z at position 3",
            "known: x",
        ),
        ({"constraints": "x+y<=1"}, "file: constraints must be a list, got 'x+y<=1'", None),
        ({"search": {"first": [{"x": 0.8}]}}, "file: search: first: 1: constraint 'x + y <= 1': must hold", None),
        ({"search": {"first": [{"x": 0.1}, {"z": 0.8}]}}, "file: search: first: 2: z: no such parameter", "known: x"),
    ],
)
def test_bad_ones_name_the_file(changed: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(SpaceError) as caught:
        study.build({**SPEC, **changed}, where="file")
    assert message in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_a_misspelt_section_is_named() -> None:
    with pytest.raises(SpecError) as caught:
        study.build({**SPEC, "constraint": ["x <= 1"]}, where="file")
    assert caught.value.hint == "did you mean 'constraints'?"


def test_ask_and_tell_honours_both() -> None:
    opt = pt.Optimizer(
        PLANE, {"e": "minimize"}, constraints=["x + y <= 0.05"], first=[{"x": 0.01, "y": 0.02}], algorithm="random"
    )
    asked = opt.ask(n=30)
    assert [s.proposal.origin for s in asked[:2]] == ["given first", "random"]
    assert all(s.config["x"] + s.config["y"] <= 0.05 + 1e-9 for s in asked)  # type: ignore[operator]
    with pytest.raises(SpaceError, match=r"must hold, got x = 0\.5, y = 0\.5"):
        opt.add({"x": 0.5, "y": 0.5}, {"e": 1.0})
