"""Algorithms are found by their files, and only the one that is used is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paretune import algorithms
from paretune.errors import AlgorithmError
from paretune.objective import Objectives
from paretune.space import Float, Space

SPACE, OBJECTIVES = Space({"x": Float(0, 1)}), Objectives.from_dict({"error": "minimize"})


def test_each_public_file_is_an_algorithm() -> None:
    folder = Path(algorithms.__file__).parent
    files = {path.stem for path in folder.glob("*.py") if not path.name.startswith("_")}
    assert set(algorithms.names()) == files >= {"random", "sobol", "gp"}


def test_listing_imports_none_of_them_and_random_needs_no_torch() -> None:
    code = (
        "import sys; from paretune import algorithms; from paretune.objective import Objectives\n"
        "from paretune.space import Float, Space\n"
        "assert 'paretune.algorithms.' + algorithms.names()[0] not in sys.modules\n"
        "algorithms.create('random', Space({'x': Float(0, 1)}), Objectives.from_dict({'e': 'minimize'}), seed=0)\n"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_an_unknown_name_says_which_one_may_be_meant() -> None:
    with pytest.raises(AlgorithmError, match="must be one of gp, random, sobol, got 'sobel'") as caught:
        algorithms.create("sobel", SPACE, OBJECTIVES, seed=0)
    assert caught.value.hint == "did you mean 'sobol'?"


@pytest.mark.parametrize("name", ["_base", "", "algorithms.gp", "Random"])
def test_what_is_no_algorithm_is_refused(name: str) -> None:
    with pytest.raises(AlgorithmError):
        algorithms.create(name, SPACE, OBJECTIVES, seed=0)


def test_a_proposal_must_be_asked_for() -> None:
    algorithm = algorithms.create("random", SPACE, OBJECTIVES, seed=0)
    with pytest.raises(ValueError, match="n must be >= 1"):
        algorithms.propose(
            algorithm, name="random", history=[], pending=[], n=0, seed=0, first_id=1, history_position=0
        )
