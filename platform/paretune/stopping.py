"""When a study is over: rules that look at nothing but its log, so that a replay stops where the study did.

target         one trial, within the limits, has reached the target of every objective that has one
worker_hours   what the trials have used in all
regret         what is left to gain is most likely below a bound (Makarova et al., 2022, arXiv:2104.08166)

The number of trials always bounds a study as well, and hours may; those two are the engine's business. A study that
ended by a rule goes on when it is resumed with one that is not met yet.
"""

from __future__ import annotations

from paretune import winners
from paretune.log import Log
from paretune.records import Event
from paretune.study import StudySpec

REGRET_BOUND = "regret_bound"
"""Where a proposal's `notes` hold the bound that was computed with it."""


def reason(spec: StudySpec, log: Log) -> str | None:
    """Why the study is over by one of its rules, in words; None while it is not."""
    return _target(spec, log) or _worker_hours(spec, log) or _regret(spec, log)


def recorded(log: Log) -> str | None:
    """Why the study stopped before its last trial, as the log has it; None where it did not or goes on."""
    about = [entry for entry in log.entries if isinstance(entry, Event) and entry.kind in ("opened", "closed")]
    if not about or about[-1].kind == "opened" or about[-1].reason == "completed":
        return None
    return about[-1].reason


def _target(spec: StudySpec, log: Log) -> str | None:
    target = spec.search.target
    if not target:
        return None
    aims = [(objective, target[objective.name]) for objective in spec.objectives if objective.name in target]
    for seen in log.history:
        if winners.contends(seen.status, seen.metrics, spec.objectives) and all(
            objective.reaches(seen.metrics[objective.name], aim) for objective, aim in aims
        ):
            values = ", ".join(f"{objective.name} {seen.metrics[objective.name]:.4g}" for objective, _ in aims)
            return f"target reached: {values} (trial {seen.trial})"
    return None


def _worker_hours(spec: StudySpec, log: Log) -> str | None:
    budget = spec.search.worker_hours
    if budget is None:
        return None
    used = log.worker_seconds / 3600
    return f"worker-hours used up: {used:.3g} of {budget:g}" if used >= budget else None


def _regret(spec: StudySpec, log: Log) -> str | None:
    """By the bound of the last suggestion: an earlier one knew less."""
    if spec.search.regret is None or not log.trials:
        return None
    last = log.trials[max(log.trials)].suggestion
    bound = last.proposal.notes.get(REGRET_BOUND)
    if bound is None or bound >= spec.search.regret:
        return None
    return f"expected regret at most {bound:.3g}, below {spec.search.regret:g} (at trial {last.id})"
