"""Population based training by its parts: who waits, who is replaced, who is copied, and how copies differ."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

import paretune as pt
from paretune import algorithms, schedulers
from paretune.algorithms._explore import explored, moved
from paretune.errors import SchedulerError
from paretune.log import Log, latest
from paretune.parameters import Choice, Float, Int
from paretune.population import stages
from paretune.records import Descent, Event, EventKind, Observation, Proposal, Report, Suggestion
from paretune.schedulers import Decision
from paretune.space import Space
from paretune.study import StudySpec, build
from strategies import spaces

EPOCHS = 12


def spec(*, trials: int = 40, **given: Any) -> StudySpec:
    return build(
        {
            "name": "study",
            "trainable": "cnn",
            "objectives": {"error": "minimize"},
            "space": {"lr": Float(1e-4, 1.0, log=True), "layers": Int(1, 8)},
            "search": {"scheduler": {"name": "pbt", "interval": 4, **given}, "trials": trials, "algorithm": "sobol"},
            "train": {"epochs": EPOCHS},
        },
        where="test",
    )


class Play:
    """Writes a log by hand, the scheduler listening; suggestions are the algorithm's."""

    def __init__(self, chosen: StudySpec) -> None:
        self.scheduler = schedulers.create(chosen)
        self.algorithm = algorithms.create("sobol", algorithms.problem_of(chosen))
        self.log = Log(rungs=self.scheduler.rungs)

    def suggest(self) -> int:
        number = len(self.log.trials)
        (suggestion,) = algorithms.propose(
            self.algorithm, name="sobol", history=latest(self.log.observations), pending=self.log.pending, n=1, seed=0,
            first_id=number, history_position=self.log.position,
        )  # fmt: skip
        self.event("suggested", number, suggestion=suggestion)
        self.event("started", number)
        return number

    def event(self, kind: EventKind, trial: int, **fields: Any) -> None:
        self.tell(Event(position=self.log.position, kind=kind, time_s=0.0, trial=trial, **fields))

    def report(self, trial: int, epoch: int, error: float, checkpoint: str | None = None) -> Decision:
        decision = self.tell(
            Report(
                position=self.log.position, trial=trial, attempt=0, step=epoch, resource=epoch, time_s=0.0,
                metrics={"error": error}, checkpoint=checkpoint,
            )
        )  # fmt: skip
        if decision != "continue":
            self.event("paused" if decision == "pause" else "stopped", trial)
        return decision

    def tell(self, entry: Event | Report) -> Decision:
        self.log.append(entry)
        return schedulers.told(self.scheduler, entry)

    def interval(self, epoch: int, errors: dict[int, float]) -> dict[int, Decision]:
        return {trial: self.report(trial, epoch, error, f"{trial:05d}/0-{epoch}") for trial, error in errors.items()}


def descent(play: Play, trial: int) -> Descent | None:
    return play.log.trials[trial].descent


# -- the scheduler -----------------------------------------------------------------------------------------------------


def test_the_worst_that_have_come_wait_and_are_stopped_when_all_have() -> None:
    play = Play(spec(population=4, quantile=0.25))
    assert [play.suggest() for _ in range(4)] == [0, 1, 2, 3]
    assert play.report(0, 4, 0.5) == "pause", "one of four is replaced, and nobody is behind it yet"
    assert play.scheduler.next_promotion(last=False) is None
    assert play.report(1, 4, 0.7) == "pause"
    assert play.scheduler.next_promotion(last=False) == 0, "somebody is behind it now"
    assert play.report(2, 4, 0.1) == "continue"
    assert play.scheduler.next_stop(last=False) is None
    assert play.scheduler.room == 0
    assert play.report(3, 4, 0.6) == "continue"
    assert play.scheduler.next_stop(last=False) == 1
    play.event("stopped", 1)
    assert (play.scheduler.next_stop(last=False), play.scheduler.room) == (None, 1)


def test_the_last_to_come_is_stopped_at_once_where_it_is_the_worst() -> None:
    play = Play(spec(population=4, quantile=0.25))
    for _ in range(4):
        play.suggest()
    decisions = play.interval(4, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4})
    assert decisions == {0: "pause", 1: "pause", 2: "pause", 3: "stop"}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data(), population=st.integers(2, 12), quantile=st.floats(0.1, 0.5))
def test_who_is_replaced_does_not_depend_on_who_came_first(
    data: st.DataObject, population: int, quantile: float
) -> None:
    """The worst of the population, in whichever order the members come; never do more than as many wait."""
    if quantile * population < 1:
        reject()
    errors = dict(enumerate(data.draw(st.permutations(range(population)))))
    arrival = data.draw(st.permutations(range(population)))
    play = Play(spec(population=population, quantile=quantile))
    for _ in range(population):
        play.suggest()
    share = pt.PBT(quantile=quantile).share(population)
    gone = set()
    for trial in arrival:
        if play.report(trial, 4, float(errors[trial])) == "stop":
            gone.add(trial)
        while (over := play.scheduler.next_stop(last=False)) is not None:
            play.event("stopped", over)
            gone.add(over)
        while (best := play.scheduler.next_promotion(last=False)) is not None:
            play.event("promoted", best)
        assert sum(trial.status == "paused" for trial in play.log.trials.values()) <= share
    assert gone == set(sorted(errors, key=lambda trial: errors[trial])[population - share :])
    assert play.scheduler.room == share


def test_of_equal_results_those_that_came_first_are_the_better_ones() -> None:
    play = Play(spec(population=4, quantile=0.5))
    for _ in range(4):
        play.suggest()
    assert play.interval(4, dict.fromkeys((2, 0, 3, 1), 0.3)) == {2: "pause", 0: "pause", 3: "stop", 1: "stop"}
    assert play.scheduler.next_promotion(last=False) == 2
    assert play.scheduler.next_stop(last=False) is None


def test_when_no_trial_will_come_those_that_are_left_are_compared() -> None:
    play = Play(spec(population=6, quantile=0.34))
    for _ in range(6):
        play.suggest()
    play.event("failed", 4)
    play.event("failed", 5)
    play.interval(4, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4})
    for best in (0, 1):
        assert play.scheduler.next_promotion(last=False) == best
        play.event("promoted", best)
    assert play.scheduler.next_promotion(last=False) is None, "two more may be better than the other two"
    assert play.scheduler.next_stop(last=False) is None
    assert play.scheduler.next_stop(last=True) == 3, "a third of four"
    assert play.scheduler.next_promotion(last=True) == 2


def test_another_population_begins_when_the_whole_of_one_is_through() -> None:
    play = Play(spec(population=2, quantile=0.5, interval=6))
    assert play.scheduler.room == 2
    for _ in range(2):
        play.suggest()
    play.interval(6, {0: 0.1, 1: 0.2})
    play.event("promoted", 0)
    assert play.suggest() == 2
    play.report(0, 12, 0.1)
    play.event("completed", 0)
    assert play.scheduler.room == 0, "the second member is still to come"
    play.report(2, 12, 0.1)
    play.event("completed", 2)
    assert play.scheduler.room == 2
    play.suggest()
    play.suggest()
    assert descent(play, 3) is None
    assert play.report(3, 6, 0.9) == "pause", "it is not compared with the population before it"
    assert play.report(4, 6, 1.0) == "stop"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"interval": 12}, "interval must be shorter"),
        ({"quantile": 0.1}, "quantile must be at least one of the population"),
        ({"trials": 8}, "trials must be more than the population of 8"),
        ({"tune": ["lr", "layer"]}, "tune: 'layer' is no parameter"),
        ({"population": 1}, "population"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(SchedulerError, match=message) as refusal:
        schedulers.check(spec(**given))
    assert refusal.value.hint or "population" in given


def test_regret_is_refused() -> None:
    with pytest.raises(SchedulerError, match="regret cannot be told"):
        schedulers.check(spec().with_changes({"search": {"regret": 0.1}}))


# -- the algorithm -----------------------------------------------------------------------------------------------------


def test_copies_go_on_from_the_best_and_take_the_places_of_the_worst() -> None:
    play = Play(spec(population=8))
    founders = [play.suggest() for _ in range(8)]
    assert [descent(play, trial) for trial in founders] == [None] * 8
    play.interval(4, {trial: 0.1 * trial for trial in founders})
    while (over := play.scheduler.next_stop(last=False)) is not None:
        play.event("stopped", over)
    copies = [descent(play, play.suggest()) for _ in range(2)]
    assert sorted(copy.instead_of for copy in copies if copy) == [6, 7]
    assert {copy.parent for copy in copies if copy} <= {0, 1}
    assert {copy.resource for copy in copies if copy} == {4.0}
    copy = play.log.trials[8]
    assert (copy.resource, copy.step, copy.curve) == (4, 4, {})
    assert copy.checkpoint == f"{copy.descent.parent:05d}/0-4"  # type: ignore[union-attr]
    assert play.report(8, 5, 0.01) == "continue"
    assert play.log.trials[8].curve == {}, "the interval before its birth is its parent's"
    assert [(s.trial, s.start, s.end) for s in stages(play.log, 8)] == [(copy.descent.parent, 0, 4), (8, 4, 5)]  # type: ignore[union-attr]


def test_who_diverges_early_is_followed_by_a_founder_and_later_by_a_copy_of_another() -> None:
    play = Play(spec(population=4, quantile=0.5))
    for _ in range(4):
        play.suggest()
    play.event("diverged", 0)
    assert descent(play, play.suggest()) == Descent(0)
    play.interval(4, {1: 0.1})
    play.event("promoted", 1) if play.log.trials[1].status == "paused" else None
    play.interval(4, {2: 0.4})
    play.event("diverged", 1)
    assert descent(play, play.suggest()) == Descent(1, 2, 4.0), "the best but for the one that diverged"


def test_a_copy_of_a_copy_has_three_stages() -> None:
    play = Play(spec(population=2, quantile=0.5))
    for _ in range(2):
        play.suggest()
    play.interval(4, {0: 0.1, 1: 0.2})
    play.event("promoted", 0)
    play.suggest()
    play.interval(8, {2: 0.1, 0: 0.2})
    play.suggest()
    assert descent(play, 3) == Descent(0, 2, 8.0)
    assert [(s.trial, s.start, s.end) for s in stages(play.log, 3)] == [(0, 0, 4), (2, 4, 8), (3, 8, 8)]
    assert play.log.trials[3].checkpoint == "00002/0-8"


def test_equal_arguments_give_equal_proposals_in_batches_too() -> None:
    play = Play(spec(population=8))
    for _ in range(8):
        play.suggest()
    play.interval(4, {trial: 0.1 * trial for trial in range(8)})
    while (over := play.scheduler.next_stop(last=False)) is not None:
        play.event("stopped", over)
    history: list[Observation] = latest(play.log.observations)
    pending: list[Suggestion] = play.log.pending
    again = [
        algorithms.create("sobol", algorithms.problem_of(spec(population=8))).suggest(
            history, pending, n=3, rng=np.random.default_rng(5)
        )
        for _ in range(2)
    ]
    assert again[0] == again[1]
    follows = [proposal.descent.instead_of if proposal.descent else None for proposal in again[0]]
    assert follows == [6, 7, None]


# -- how copies differ -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "value", "down", "up"),
    [
        (Float(1e-4, 1, log=True), 0.1, 0.08, 0.12),
        (Float(0, 1), 0.5, 0.4, 0.6),
        (Float(0, 1), 0.0, 0.02, 0.02),
        (Float(-1, 1), -0.5, -0.6, -0.4),
        (Float(0, 1), 0.9, 0.72, 1.0),
        (Float(0, 1), 1.0, 0.8, 0.8),
        (Float(0, 1, step=0.25), 0.5, 0.25, 0.75),
        (Int(1, 100), 50, 40, 60),
        (Int(1, 100), 2, 1, 4),
        (Int(1, 8), 8, 6, 6),
        (Int(1, 100, log=True), 3, 2, 4),
        (Int(8, 64, step="power2"), 16, 8, 32),
        (Int(0, 100, step=10), 50, 40, 60),
        (Choice(["s", "m", "l"], ordered=True), "m", "s", "l"),
        (Choice(["s", "m", "l"], ordered=True), "l", "m", "m"),
        (Choice(["adamw", "sgd"]), "sgd", "sgd", "sgd"),
    ],
)
def test_values_move_by_a_fifth_or_to_a_neighbour(parameter: Any, value: Any, down: Any, up: Any) -> None:
    for there, expected in ((moved(parameter, value, up=False), down), (moved(parameter, value, up=True), up)):
        assert there == (pytest.approx(expected) if isinstance(expected, float) else expected)
        parameter.check(there)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(space=spaces(), seed=st.integers(0, 1000), resample=st.sampled_from([0.0, 0.25, 1.0]))
def test_every_copy_is_legal_and_keeps_what_is_not_tuned(space: Space, seed: int, resample: float) -> None:
    rng = np.random.default_rng(seed)
    config = space.decode(rng.random(len(space)))
    if not space.legal(config):
        reject()
    tune = set(random.Random(seed).sample(list(space), (len(space) + 1) // 2))
    for _ in range(5):
        found = explored(space, config, tune=tune, resample=resample, rng=rng)
        space.check(found)
        for name in config:
            if name not in tune and name in found:
                assert found[name] == config[name]


def test_constraints_hold_and_the_parent_stays_where_nothing_else_is_legal() -> None:
    tight = Space({"a": Int(1, 8), "b": Int(1, 8)}, ["a * b == 8"])
    rng = np.random.default_rng(0)
    seen = Counter(
        tuple(explored(tight, {"a": 2, "b": 4}, tune=["a", "b"], resample=0.5, rng=rng).values()) for _ in range(50)
    )
    assert all(a * b == 8 for a, b in seen)  # type: ignore[operator]
    assert len(seen) > 1
    assert explored(tight, {"a": 2, "b": 4}, tune=["a"], resample=0.0, rng=rng) == {"a": 2, "b": 4}


def test_a_proposal_says_its_descent_as_plain_data() -> None:
    proposal = Proposal(config={}, origin="copy", notes=Descent(3, 1, 4.0).note)
    assert proposal.descent == Descent(3, 1, 4.0)
    assert Proposal(config={}, origin="model").descent is None
