"""Algorithms are found by their files, and only the one that is used is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import paretune as pt
from paretune import algorithms
from paretune.algorithms import Problem
from paretune.errors import AlgorithmError
from paretune.objective import Objectives
from paretune.settings import AlgorithmSpec
from paretune.space import Float, Space

PROBLEM = Problem(space=Space({"x": Float(0, 1)}), objectives=Objectives.from_dict({"error": "minimize"}))


def test_each_public_file_is_an_algorithm() -> None:
    folder = Path(algorithms.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")}
    known = {"auto", "bohb", "cmaes", "evolution", "gp", "grid", "random", "sobol", "tpe"}
    assert set(algorithms.names()) == files >= known


def test_listing_imports_none_of_them_and_random_needs_no_torch() -> None:
    code = (
        "import sys; from paretune import algorithms; from paretune.objective import Objectives\n"
        "from paretune.space import Float, Space\n"
        "assert 'paretune.algorithms.' + algorithms.names()[0] not in sys.modules\n"
        "space, objectives = Space({'x': Float(0, 1)}), Objectives.from_dict({'e': 'minimize'})\n"
        "algorithms.create('random', algorithms.Problem(space=space, objectives=objectives))\n"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_an_unknown_name_says_which_one_may_be_meant() -> None:
    with pytest.raises(AlgorithmError, match=r"must be one of .*gp, grid, random, sobol, tpe, got 'sobel'") as caught:
        algorithms.create("sobel", PROBLEM)
    assert caught.value.hint == "did you mean 'sobol'?"


@pytest.mark.parametrize("name", ["_base", "", "algorithms.gp", "Random"])
def test_what_is_no_algorithm_is_refused(name: str) -> None:
    with pytest.raises(AlgorithmError):
        algorithms.create(name, PROBLEM)


def test_a_proposal_must_be_asked_for() -> None:
    algorithm = algorithms.create("random", PROBLEM)
    with pytest.raises(ValueError, match="n must be >= 1"):
        algorithms.propose(
            algorithm, name="random", history=[], pending=[], n=0, seed=0, first_id=1, history_position=0
        )


@pytest.mark.parametrize("chosen", ["gp", pt.GP(), {"name": "gp"}, {}])
def test_an_algorithm_without_settings_is_its_name(chosen: object) -> None:
    assert AlgorithmSpec.model_validate(chosen).model_dump() == "gp"


@pytest.mark.parametrize("chosen", [pt.GP(initial=8), {"name": "gp", "initial": 8}, {"initial": 8}])
def test_settings_come_typed_or_as_a_mapping_and_go_back_to_one(chosen: object) -> None:
    spec = AlgorithmSpec.model_validate(chosen)
    assert spec.model_dump() == {"name": "gp", "initial": 8}
    assert AlgorithmSpec.model_validate(spec.model_dump()) == spec
    algorithms.check(spec)


@pytest.mark.parametrize(
    ("chosen", "message", "hint"),
    [
        (
            {"name": "tpe", "candidates": 0},
            "algorithm: tpe: candidates: input should be greater than or equal to 1",
            None,
        ),
        ({"name": "evolution", "populaton": 9}, "unknown setting 'populaton'", "did you mean 'population'?"),
        ({"name": "grid", "points": {"x": 0}}, "algorithm: grid: points: ", None),
        ({"name": "auto", "initial": 8}, "algorithm: auto: unknown setting 'initial'", "auto has no settings"),
        ({"name": "gp", "inital": 8}, "algorithm: gp: unknown setting 'inital'", "did you mean 'initial'?"),
        ({"name": "random", "initial": 8}, "algorithm: random: unknown setting 'initial'", "random has no settings"),
        ({"name": "gp", "initial": 0}, "algorithm: gp: initial: input should be greater than or equal to 1", None),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_starts(chosen: object, message: str, hint: str | None) -> None:
    with pytest.raises(AlgorithmError, match=message) as caught:
        algorithms.check(AlgorithmSpec.model_validate(chosen))
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "chosen",
    [
        pt.TPE(initial=5),
        pt.BOHB(random=0.5),
        pt.CMAES(population=8),
        pt.Evolution(mutation=2),
        pt.Grid(points={"x": 3}),
    ],
)
def test_the_settings_of_every_family_survive_a_spec_file(chosen: algorithms.Settings) -> None:
    plain = AlgorithmSpec.model_validate(chosen).model_dump()
    assert plain["name"] == chosen.algorithm
    assert AlgorithmSpec.model_validate(plain) == AlgorithmSpec.model_validate(chosen)
    algorithms.check(AlgorithmSpec.model_validate(plain))
