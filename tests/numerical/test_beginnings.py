"""Lower rungs as lessons for a model of whole trainings: believed as far as they tell of the ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import paretune as pt
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import Knowledge, learn
from paretune.objective import Objectives
from paretune.records import Observation
from paretune.space import Space

RUNGS = (1.0, 3.0, 9.0)
SPACE = Space({name: pt.Float(0, 1) for name in "xyz"})
LOSS = Objectives.from_dict({"loss": "minimize"})


def telling(x: float, y: float, z: float, epoch: float) -> float:
    """The order of the first epoch is nearly that of the last one."""
    return float(np.sin(4 * x) + (y - 0.3) ** 2 + 0.5 * x * z + (1 + 0.2 * y) / epoch)


def misleading(x: float, y: float, z: float, epoch: float) -> float:
    """Who is best at first is worst in the end."""
    best = float(np.sin(4 * x) + (y - 0.3) ** 2 + 0.5 * x * z)
    return best * (epoch - 5) / 4


def trained(loss: Callable[..., float]) -> list[Observation]:
    """Forty-eight trials, of which six got to the end, and twelve to the third epoch."""
    history = []
    for trial, row in enumerate(np.random.default_rng(3).random((48, 3)).tolist()):
        passed = RUNGS if trial % 8 == 0 else RUNGS[:2] if trial % 4 == 2 else RUNGS[:1]
        curve = {rung: {"loss": loss(*row, rung)} for rung in passed}
        status = "completed" if passed is RUNGS else "stopped"
        config = dict(zip("xyz", row, strict=True))
        history.append(
            Observation(
                trial=trial, config=config, status=status, resource=passed[-1], metrics=curve[passed[-1]], curve=curve
            )
        )  # fmt: skip
    return history


def whole(history: list[Observation], rungs: tuple[float, ...]) -> Knowledge:
    return learn(history, LOSS, Encoding(SPACE), rungs=rungs, whole=bool(rungs), warp=True)


@pytest.fixture(scope="module")
def elsewhere() -> np.ndarray:
    return np.random.default_rng(4).random((200, 3))


def test_rungs_that_tell_of_the_end_are_believed(elsewhere: np.ndarray) -> None:
    history = trained(telling)
    end_t = np.array([telling(*row, RUNGS[-1]) for row in elsewhere])
    ends = [observation for observation in history if observation.status == "completed"]
    with_rungs, without = whole(history, RUNGS), whole(ends, ())
    informed_t, alone_t = (known.model.predict(elsewhere)[0][:, 0] for known in (with_rungs, without))
    assert np.abs(informed_t - end_t).mean() < 0.5 * np.abs(alone_t - end_t).mean()
    assert sum(with_rungs.trust[0].values()) > 0.9
    assert {*with_rungs.trust[0]} <= {"rung 1", "rung 3"}


def test_a_rung_that_misleads_is_not_believed(elsewhere: np.ndarray) -> None:
    """What is known is then bit for bit what the ends alone teach."""
    history = trained(misleading)
    ends = [observation for observation in history if observation.status == "completed"]
    misled, alone = whole(history, RUNGS), whole(ends, ())
    assert misled.trust == alone.trust == [{}]
    assert misled.leaders == alone.leaders
    for found, expected in zip(misled.model.predict(elsewhere), alone.model.predict(elsewhere), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_trials_cut_short_tell_where_trials_fail(elsewhere: np.ndarray) -> None:
    """A place where one of two trials diverged, and the other was stopped, is no lost place."""
    history = trained(telling)
    ends = [observation for observation in history if observation.status == "completed"]
    lost = [
        Observation(trial=90 + i, config=observation.config, status="diverged", resource=1.0, metrics={})
        for i, observation in enumerate(history[1:5])
    ]
    known, alone = whole([*history, *lost], RUNGS), whole([*ends, *lost], ())
    assert known.feasibility is not None
    assert alone.feasibility is not None
    points = torch.from_numpy(elsewhere)
    with torch.no_grad():
        assert known.feasibility.log_probability(points).mean() > alone.feasibility.log_probability(points).mean()
