"""When a study is over, judged by its log; and that it goes on when the rule is given anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import synthetic
from paretune import amendments, flow, running, stopping, store
from paretune.algorithms import Problem, bound_regret, create, propose
from paretune.cli import _specs
from paretune.engine.messages import Ended
from paretune.engine.recorder import Recorder
from paretune.engine.tune_adapters import StudyStopper
from paretune.errors import SpecError
from paretune.log import Log
from paretune.objective import Objectives
from paretune.records import Event, Observation, Proposal, Suggestion
from paretune.settings import AlgorithmSpec
from paretune.space import Float, Space
from paretune.study import StudySpec

CONFIG = {"lr": 1e-3, "hidden": 64, "layers": 3, "optimizer": "adamw"}


def spec(objectives: int = 2, **search: Any) -> StudySpec:
    return synthetic.spec(objectives=objectives).with_changes({"search": search})


def played(*metrics: dict[str, float], seconds: float = 1.0) -> synthetic.Writer:
    write = synthetic.Writer()
    write.event("opened")
    for number, values in enumerate(metrics):
        write.complete(number, {**CONFIG, "layers": 2 + number}, values, seconds=seconds)
    return write


# -- target ------------------------------------------------------------------------------------------------------------

TWO = played({"val_error": 0.2, "latency_ms": 3.0}, {"val_error": 0.1, "latency_ms": 9.0}).log


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (None, None),
        ({}, None),
        ({"val_error": 0.1}, "target reached: val_error 0.1 (trial 1)"),
        ({"val_error": 0.099}, None),
        ({"val_error": 0.2, "latency_ms": 3}, "target reached: val_error 0.2, latency_ms 3 (trial 0)"),
        ({"val_error": 0.1, "latency_ms": 3}, None),  # each is reached, but not by one trial
    ],
)
def test_one_trial_reaches_every_target(target: dict[str, float] | None, reason: str | None) -> None:
    assert stopping.reason(spec(target=target), TWO) == reason


def test_a_maximised_objective_reaches_its_target_from_below() -> None:
    log = played({"val_error": 0.2, "latency_ms": 3.0, "throughput": 100.0}).log
    assert stopping.reason(spec(3, target={"throughput": 100}), log) is not None
    assert stopping.reason(spec(3, target={"throughput": 100.5}), log) is None


def test_a_trial_beyond_a_limit_or_unfinished_reaches_nothing() -> None:
    limited = synthetic.spec(objectives=1, limits={"latency_ms": {"max": 5}}).with_changes(
        {"search": {"target": {"val_error": 0.1}}}
    )
    write = played({"val_error": 0.05, "latency_ms": 9.0})
    write.start(1, CONFIG)
    write.report(1, {"val_error": 0.05, "latency_ms": 1.0})
    assert stopping.reason(limited, write.log) is None
    write.event("stopped", 1, metrics={"val_error": 0.05, "latency_ms": 1.0})
    assert stopping.reason(limited, write.log) is None


# -- the other rules ---------------------------------------------------------------------------------------------------


def test_worker_hours_are_those_of_all_trials() -> None:
    write = played({"val_error": 0.2, "latency_ms": 3.0}, {"val_error": 0.1, "latency_ms": 9.0}, seconds=1800)
    write.start(2, CONFIG)
    write.report(2, {"val_error": 0.5}, seconds=900)
    assert stopping.reason(spec(worker_hours=1.25), write.log) == "worker-hours used up: 1.25 of 1.25"
    assert stopping.reason(spec(worker_hours=1.26), write.log) is None


def suggested(number: int, notes: dict[str, Any]) -> Suggestion:
    proposal = Proposal(config=CONFIG, origin="model", notes=notes)
    return Suggestion(id=number, proposal=proposal, algorithm="gp", history_position=0)


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        ([], None),
        ([None], None),
        ([0.02], None),
        ([0.02, 0.0099], "expected regret at most 0.0099, below 0.01 (at trial 1)"),
        ([0.0099, 0.02], None),  # what came later knew more
    ],
)
def test_the_last_bound_of_the_regret_counts(bounds: list[float | None], reason: str | None) -> None:
    write = synthetic.Writer()
    for number, bound in enumerate(bounds):
        notes = {} if bound is None else {stopping.REGRET_BOUND: bound}
        write.event("suggested", number, suggestion=suggested(number, notes))
    assert stopping.reason(spec(1, regret=0.01), write.log) == reason
    assert stopping.reason(spec(1), write.log) is None


LINE = Problem(space=Space({"x": Float(0, 1)}), objectives=Objectives.from_dict({"error": "minimize"}))


def parabola(n: int) -> list[Observation]:
    places = [(0.5 + 0.618034 * i) % 1 for i in range(n)]
    return [
        Observation(trial=i, config={"x": x}, status="completed", resource=1, metrics={"error": (x - 0.3) ** 2})
        for i, x in enumerate(places)
    ]


def test_the_bound_comes_with_a_suggestion_of_any_algorithm() -> None:
    chance = AlgorithmSpec(name="random")
    algorithm = create(chance, LINE)

    def bounded(n: int, chosen: AlgorithmSpec = chance) -> Suggestion:
        history = parabola(n)
        (plain,) = propose(
            algorithm, name="random", history=history, pending=[], n=1, seed=0, first_id=n, history_position=n
        )
        given = bound_regret(plain, LINE, history, chosen)
        assert given.config == plain.config
        return given

    assert stopping.REGRET_BOUND not in bounded(6).proposal.notes, "the model knows nothing yet"
    early, late = (bounded(n).proposal.notes[stopping.REGRET_BOUND] for n in (10, 30))
    assert bounded(10).proposal.notes[stopping.REGRET_BOUND] == early
    true_regret = min(seen.metrics["error"] for seen in parabola(30))
    assert true_regret <= late < early
    smooth = AlgorithmSpec(name="gp", settings={"kernel": "rbf"})
    assert bounded(10, smooth).proposal.notes[stopping.REGRET_BOUND] < early, "a smooth function has less left"


# -- what the engine and the user make of it ---------------------------------------------------------------------------


class Nowhere:
    """A store that keeps nothing."""

    committed = 0

    def append(self, entry: Any) -> None: ...

    def flush(self) -> None: ...

    def hurry(self) -> None: ...


def test_the_engine_stops_by_the_rule_that_the_log_meets() -> None:
    recorder = Recorder(Log(), Nowhere(), [])
    stopper = StudyStopper(spec(target={"val_error": 0.1}), recorder)
    assert not stopper.stop_all()
    recorder.suggested(suggested(0, {}))
    recorder.started(0, 1, None)
    assert not stopper.stop_all()
    ended = Ended(trial=0, attempt=1, status="completed", metrics={"val_error": 0.05, "latency_ms": 1.0})
    recorder.ended(ended)
    assert stopper.stop_all()
    assert stopper.reason == "target reached: val_error 0.05 (trial 0)"


def stored(tmp_path: Path, **search: Any) -> StudySpec:
    made = spec(**search).model_copy(update={"store": str(tmp_path)})
    store.create(made, synthetic.provenance())
    with store.Writer(made.store, made.name) as writer:
        for entry in TWO.entries:
            writer.append(entry)
        reason = stopping.reason(made, TWO)
        writer.append(Event(position=TWO.position, kind="closed", time_s=synthetic.START_S + 9, reason=reason))
    return made


def test_a_study_that_has_ended_by_a_rule_says_so_and_is_not_started_again(tmp_path: Path) -> None:
    stored(tmp_path, target={"val_error": 0.1})
    found = flow.load("cnn", store=tmp_path)
    assert stopping.recorded(found.log) == "target reached: val_error 0.1 (trial 1)"
    again = found.resume(trials=60, train=print, progress=False)  # Ray is not started: it would take seconds
    assert len(again.log.trials) == 2


@pytest.mark.parametrize(
    ("changes", "over"),
    [({"trials": 60}, True), ({"target": {"val_error": 0.05}}, False), ({"target": {}}, False)],
)
def test_another_target_lets_it_go_on(tmp_path: Path, changes: dict[str, Any], over: bool) -> None:
    made = stored(tmp_path, target={"val_error": 0.1, "latency_ms": 10.0})
    changed = made.with_changes({"search": changes})
    assert amendments.differences(made, changed) == []
    assert (stopping.reason(changed, TWO) is not None) == over
    assert running.finished(changed) == over


def test_another_target_replaces_the_whole_of_it() -> None:
    both = spec(target={"val_error": 0.1, "latency_ms": 3.0})
    assert both.with_changes({"search": {"target": {"val_error": 0.2}}}).search.target == {"val_error": 0.2}


BAD: list[tuple[int, dict[str, Any], str]] = [
    (2, {"target": {"eror": 0.1}}, "search: target: 'eror' is no objective"),
    (2, {"target": 0.1}, "search: target: "),
    (2, {"target": {"val_error": float("nan")}}, "search: target: val_error: "),
    (2, {"regret": 0.1}, "search: regret: is for one objective, got 2"),
    (1, {"regret": 0}, "search: regret: "),
    (1, {"worker_hours": -1}, "search: worker_hours: "),
]


@pytest.mark.parametrize(("objectives", "search", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_rules_are_refused(objectives: int, search: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec(objectives, **search)


def test_targets_on_the_command_line() -> None:
    assert _specs.target(None) is None
    assert _specs.target(["val_error=1e-2", "a=b=3"]) == {"val_error": 0.01, "a=b": 3.0}
    for bad in ("val_error", "=3", "val_error=low", "val_error=true"):
        with pytest.raises(SpecError, match="--target: must be metric=value"):
            _specs.target([bad])
