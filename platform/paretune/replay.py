"""Replaying a study: every suggestion and every decision once more, from nothing but its log.

A study is a pure function of its log. Whatever came in between (several workers, a killed driver, another machine's
clock), what was suggested, stopped, paused and promoted must come out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from paretune import algorithms, schedulers, warm_start
from paretune.algorithms import Algorithm, Problem
from paretune.engine.course import LEFT_OVER
from paretune.log import Log, latest
from paretune.records import Entry, Event, Report, Suggestion
from paretune.schedulers import Decision
from paretune.stopping import REGRET_BOUND
from paretune.study import StudySpec

_CARRIED_OUT: dict[str, Decision] = {"stopped": "stop", "paused": "pause"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An entry that does not follow from those before it: what is recorded, and what came out again."""

    position: int
    trial: int
    what: str
    recorded: str
    again: str

    def __str__(self) -> str:
        return (
            f"entry {self.position}, trial {self.trial}: {self.what}: recorded {self.recorded}, replayed {self.again}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How much was replayed, and where it first differed; None when all came out as it is recorded."""

    suggestions: int
    decisions: int
    difference: Difference | None


def replay(spec: StudySpec, log: Log) -> Replay:
    """Replay a study up to its first difference.

    Suggestions are equal bit for bit on the machine they were made on; another one may round otherwise. Raises what
    creating the algorithm, the scheduler or the sources raises.
    """
    suggestions = decisions = 0
    for kind, difference in _steps(spec, log):
        suggestions, decisions = suggestions + (kind == "suggestion"), decisions + (kind == "decision")
        if difference is not None:
            return Replay(suggestions=suggestions, decisions=decisions, difference=difference)
    return Replay(suggestions=suggestions, decisions=decisions, difference=None)


def _steps(spec: StudySpec, log: Log) -> Iterator[tuple[str, Difference | None]]:
    """What is replayed, one after the other: "suggestion" or "decision", and where it differs."""
    problem = algorithms.problem_of(spec, warm_start.read(spec))
    algorithm = algorithms.create(spec.search.algorithm, problem)
    scheduler = schedulers.create(spec)
    then = Log(rungs=problem.rungs)  # as it stood when a suggestion was made
    due: dict[int, Decision] = {}  # what follows from a trial's last report
    paused: set[int | None] = set()
    for entry in log.entries:
        kind = entry.kind if isinstance(entry, Event) else "report"
        if entry.trial in due:
            done, decision = _CARRIED_OUT.get(kind, "continue"), due.pop(entry.trial)
            yield "decision", _difference(entry, "decision", done == decision, done, decision)
        if kind == "promoted":
            chosen = [scheduler.next_promotion(last=last) for last in (False, True)]
            yield "decision", _difference(entry, "promotion", entry.trial in chosen, entry.trial, chosen)
        elif isinstance(entry, Event) and kind == "stopped" and entry.trial in paused and entry.reason != LEFT_OVER:
            chosen = [scheduler.next_stop(last=last) for last in (False, True)]
            yield "decision", _difference(entry, "stop", entry.trial in chosen, entry.trial, chosen)
        if isinstance(entry, Event) and entry.suggestion is not None:
            while then.position < entry.suggestion.history_position:
                then.append(log.entries[then.position])
            again = _again(entry.suggestion, algorithm, problem, spec, then, log)
            same = (again.proposal, again.pending) == (entry.suggestion.proposal, entry.suggestion.pending)
            yield "suggestion", _difference(entry, "suggestion", same, _brief(entry.suggestion), _brief(again))
        decision = schedulers.told(scheduler, entry)
        paused = paused | {entry.trial} if kind == "paused" else paused - {entry.trial}
        if isinstance(entry, Report):
            due[entry.trial] = decision


def _again(
    recorded: Suggestion, algorithm: Algorithm, problem: Problem, spec: StudySpec, then: Log, log: Log
) -> Suggestion:
    """The suggestion that the log as it stood then leads to, beside those prepared but not recorded by then."""
    history = latest(then.observations)
    unrecorded = [number for number in recorded.pending if number not in then.trials and number in log.trials]
    prepared = [log.trials[number].suggestion for number in unrecorded]
    (suggestion,) = algorithms.propose(
        algorithm,
        name=recorded.algorithm,
        history=history,
        pending=[*then.pending, *prepared],
        n=1,
        seed=spec.search.seed,
        first_id=recorded.id,
        history_position=recorded.history_position,
    )
    bounded = REGRET_BOUND in recorded.proposal.notes
    return algorithms.bound_regret(suggestion, problem, history, spec.search.algorithm) if bounded else suggestion


def _brief(suggestion: Suggestion) -> str:
    proposal = suggestion.proposal
    return f"{dict(proposal.config)} ({proposal.origin}, {len(suggestion.pending)} pending)"


def _difference(entry: Entry, what: str, same: bool, recorded: object, again: object) -> Difference | None:
    if same:
        return None
    assert entry.trial is not None
    return Difference(position=entry.position, trial=entry.trial, what=what, recorded=str(recorded), again=str(again))
