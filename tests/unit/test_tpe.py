"""What Optuna's estimator is told of a history, and what comes back."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import optuna
import pytest
from hypothesis import given
from optuna.trial import TrialState

import paretune as pt
from paretune.algorithms._outcomes import outcomes
from paretune.algorithms._tpe.trials import distributions, quiet, study, to_unit
from paretune.objective import Objectives
from paretune.records import Observation, Status
from paretune.space import Choice, Config, Float, Int, Space
from strategies import spaces_and_points

ONE = Objectives.from_dict({"error": {"goal": "minimize", "limit": 4.0}})
SPACE = Space(
    {
        "lr": Float(1e-4, 1.0, log=True),
        "kind": Choice([True, 1, 1.0, "1"]),
        "size": Choice(["s", "m", "l"], ordered=True),
        "width": Int(8, 64, step="power2", when={"kind": [1]}),
        "only": Choice(["one"]),
    }
)


def observed(config: Config, error: float | None, status: Status = "completed") -> Observation:
    metrics = {} if error is None else {"error": error}
    return Observation(trial=0, config=config, status=status, resource=1.0, metrics=metrics)


def test_a_history_in_optunas_words() -> None:
    history = [
        observed({"lr": 1e-2, "kind": 1, "size": "l", "width": 32, "only": "one"}, 3.0),
        observed({"lr": 1.0, "kind": True, "size": "s", "only": "one"}, None, "failed"),
        observed({"lr": 1e-4, "kind": 1.0, "size": "m", "only": "one"}, 6.0),
    ]
    with quiet():
        made = study(SPACE, outcomes(history, ONE), [{"lr": 1.0, "kind": "1"}], held=distributions(SPACE))
    good, beyond, lost, running = made.get_trials(deepcopy=False)
    assert (good.state, good.params) == (TrialState.COMPLETE, {"lr": 0.5, "kind": 1, "size": 2, "width": 2})
    assert (lost.state, lost.params) == (TrialState.PRUNED, {"lr": 1.0, "kind": 0, "size": 0})
    assert (beyond.values, beyond.constraints) == ([6.0], {"limits": 1.0})
    assert (good.values, good.constraints) == ([3.0], {"limits": 0.0})
    assert (running.state, running.params) == (TrialState.RUNNING, {"lr": 1.0, "kind": 3})


@given(spaces_and_points())
def test_every_value_comes_back(drawn: tuple[Space, list[float]]) -> None:
    space, x_d = drawn
    config, held = space.decode(x_d), distributions(space)
    known = outcomes([observed(config, 1.0)], Objectives.from_dict({"error": "minimize"}))
    with quiet():
        (trial,) = study(space, known, [], held=held).get_trials(deepcopy=False)
    units = {name: to_unit(value, held[name]) for name, value in trial.params.items()}
    assert {name: space[name].from_unit(unit) for name, unit in units.items()} == {
        name: value for name, value in config.items() if name in held
    }


def test_optuna_is_left_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    verbosity, level = optuna.logging.get_verbosity(), optuna.logging.get_logger("optuna.storages._in_memory").level
    opt = pt.Optimizer(SPACE, {"error": "minimize"}, algorithm=pt.TPE(initial=2))
    for _ in range(4):
        opt.tell(opt.ask(), {"error": 1.0})
    assert (optuna.logging.get_verbosity(), optuna.logging.get_logger("optuna.storages._in_memory").level) == (
        verbosity,
        level,
    )
    assert capfd.readouterr() == ("", "")


def test_the_order_of_pythons_sets_does_not_matter() -> None:
    """Optuna groups parameters in sets of strings, whose order changes with each process."""
    program = (
        "import paretune as pt\n"
        "space = {n: pt.Float(0, 1) for n in 'abcdef'} | {'k': pt.Choice(['x', 'y'])}\n"
        "space |= {n: pt.Float(0, 1, when={'k': 'x'}) for n in 'uvw'}\n"
        "opt = pt.Optimizer(space, {'e': 'minimize'}, algorithm=pt.TPE(initial=4))\n"
        "for _ in range(9):\n"
        "    s = opt.ask(); opt.tell(s, {'e': s.config['a'] + s.config.get('u', 0)})\n"
        "print(opt.ask().config)"
    )

    def run(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", program]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout

    assert run("1") == run("2") != ""


def test_several_objectives_count_by_rank() -> None:
    two = Objectives.from_dict({"a": "minimize", "b": "minimize"})
    history = [
        Observation(trial=i, config={"x": 0.1 * i}, status="completed", resource=1.0, metrics={"a": a, "b": b})
        for i, (a, b) in enumerate([(1.0, 1e30), (2.0, 5.0), (1e-9, 5.0)])
    ]
    assert np.allclose(outcomes(history, two).ranks(), [[2 / 3, 1], [1, 0.5], [1 / 3, 0.5]])
