"""What a study shows, in a sentence each, and what to do about it.

The rules are independent of each other: each yields findings or none. A rule that warns says what would help.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from scipy.stats import binomtest

from paretune import winners
from paretune.diagnosis.records import Finding, Forecasts, ModelCheck
from paretune.log import Log
from paretune.parameters import Choice, Parameter
from paretune.recommendation import Recommendation
from paretune.records import Event, EventKind
from paretune.study import StudySpec

Models: TypeAlias = Sequence[ModelCheck]

_EDGE = 0.02  # of a parameter's range: closer to its end than that is at its end
_IDLE = 10.0  # lengthscale in ranges: across the whole range the metric's correlation stays above 0.99
_ROUGH = 0.05  # likewise: a twentieth of the range away a result says little any more (correlation 0.5)
_UNLIKELY = 0.01  # probability below which too few results within an interval are no accident
_MANY = 0.2  # share of failed, or repeated trials that is worth a look
_SLOW = 0.1  # share of the working time that suggestions may take


def findings(spec: StudySpec, log: Log, models: Models, best: Sequence[Recommendation]) -> Iterator[Finding]:
    """All findings, those about the model first."""
    for model in models:
        yield from _calibration(model)
        yield from _noise(model)
        yield from _lengthscales(model)
    if log.changing:
        found = "configurations changed during the trainings, so that none explains a result alone: no model is judged"
        yield Finding("model", "ok", found)
    elif not models:
        advice = "run more trials: the model is looked at from 5 completed ones on"
        yield Finding("model", "warning", "too few completed trials to judge a model by", advice)
    for recommended in best:
        yield from _ends(spec, recommended, models)
    for rule in (_limits, _failures, _workers, _duplicates, _suggestions):
        yield from rule(spec, log)


def _calibration(model: ModelCheck) -> Iterator[Finding]:
    about = f"{model.metric}: calibration"
    yield _held(about, "each result from the others", model.left_out)
    if model.suggested is not None:
        yield _held(about, "results as they were predicted when suggested", model.suggested)


def _held(about: str, what: str, forecasts: Forecasts) -> Finding:
    n = len(forecasts.trials)
    inside = round(forecasts.within_90 * n)
    found = f"predicting {what}, {inside} of {n} are within 90 % intervals, {forecasts.within_50:.0%} within 50 % ones"
    if forecasts.correlation is not None:
        found += f"; rank correlation {forecasts.correlation:.2f}"
    if binomtest(inside, n, 0.9, alternative="less").pvalue < _UNLIKELY:
        advice = "predictions are too sure of themselves: believe the order more than the intervals"
        return Finding(about, "warning", f"{found}: residuals are {forecasts.residual_sd:.1f} times too large", advice)
    return Finding(about, "ok", found)


def _noise(model: ModelCheck) -> Iterator[Finding]:
    about = f"{model.metric}: noise"
    if model.quiet >= 0.5:
        yield Finding(about, "ok", f"negligible, most likely ({model.quiet:.0%}); results spread by {model.spread:.3g}")
        return
    found = f"repeating a trial moves it by about {model.noise:.3g}; configurations differ by {model.signal:.3g}"
    if model.noise > model.signal:
        advice = "train longer, average several seeds in a trial, or evaluate on more data"
        yield Finding(about, "warning", found, advice)
    else:
        yield Finding(about, "ok", found)


def _lengthscales(model: ModelCheck) -> Iterator[Finding]:
    rough = [name for name, length in model.lengthscales.items() if length <= _ROUGH]
    idle = [name for name, length in model.lengthscales.items() if length >= _IDLE]
    if rough:
        found = f"changes too quickly along {', '.join(rough)} for a model to follow"
        advice = "search on a logarithmic scale, in a narrower range, or with more trials"
        yield Finding(f"{model.metric}: lengthscales", "warning", found, advice)
    if idle:
        yield Finding(f"{model.metric}: lengthscales", "ok", f"hardly depends on {', '.join(idle)}")


def _ends(spec: StudySpec, best: Recommendation, models: Models) -> Iterator[Finding]:
    """Where the best is as far out as the space goes, unless the objective does not care."""
    lengthscales = next((model.lengthscales for model in models if model.metric == best.objective), {})
    for name, value in best.trial.config.items():
        side = _side(spec.space[name], spec.space[name].to_unit(value))
        if side is None or lengthscales.get(name, 0.0) >= _IDLE:
            continue
        shown = f"{value:.4g}" if isinstance(value, float) else value
        found = f"the best {best.objective} (trial {best.trial.id}) has {name} = {shown}, at its {side} end"
        yield Finding(f"space: {name}", "warning", found, f"widen the space: {name}, {side} end")


def _side(parameter: Parameter, unit: float) -> str | None:
    """Which end of a parameter a value is at; unordered options have none, and neither have two values."""
    if (isinstance(parameter, Choice) and not parameter.ordered) or parameter.cardinality < 3:
        return None
    edge = max(_EDGE, 1 / parameter.cardinality)
    return "lower" if unit < edge else "upper" if unit > 1 - edge else None


def _limits(spec: StudySpec, log: Log) -> Iterator[Finding]:
    if not spec.objectives.bounds:
        return
    done = [trial for trial in log.ended if trial.status == "completed"]
    kept = len(winners.contenders(done, spec.objectives))
    found = f"{kept} of {len(done)} completed trials are within the limits"
    if done and not kept:
        broken = Counter(
            str(bound)
            for bound in spec.objectives.bounds
            for trial in done
            if bound.name in trial.metrics and not bound.keeps(trial.metrics[bound.name])
        )
        yield Finding("limits", "warning", found, f"relax {broken.most_common(1)[0][0]}, or change the space")
    elif done:
        yield Finding("limits", "ok", found)


def _failures(spec: StudySpec, log: Log) -> Iterator[Finding]:
    ended = log.ended
    lost = Counter(trial.status for trial in ended if trial.status in ("failed", "diverged"))
    if not ended or not lost:
        return
    found = f"{' and '.join(f'{count} {status}' for status, count in lost.items())} of {len(ended)} trials"
    reasons = Counter((trial.reason or trial.status).splitlines()[0] for trial in ended if trial.status in lost)
    reason, times = reasons.most_common(1)[0]
    if lost.total() > _MANY * len(ended):
        advice = f"narrow the space, or mend what fails most often ({times} times): {reason}"
        yield Finding("failures", "warning", found, advice)
    else:
        yield Finding("failures", "ok", found)


def _workers(spec: StudySpec, log: Log) -> Iterator[Finding]:
    events = [entry for entry in log.entries if isinstance(entry, Event) and entry.reason is not None]
    again = {event.trial for event in events if event.kind == "started"}
    if again:
        found = f"{len(again)} of {len(log.trials)} trials went on with new workers, most often as "
        yield Finding("workers", "ok", found + _commonest(events, "started"))
    slow = {event.trial for event in events if event.kind == "straggling"}
    if slow:
        found = f"{len(slow)} of {len(log.trials)} trials had slow workers, most often as "
        advice = "look at the machine, and at what the loop does on one rank alone: all others wait for it"
        yield Finding("workers", "warning", found + _commonest(events, "straggling"), advice)


def _commonest(events: Sequence[Event], kind: EventKind) -> str:
    """The reason that comes most often, as far as its first clause."""
    reasons = Counter(str(event.reason).partition(";")[0] for event in events if event.kind == kind)
    return reasons.most_common(1)[0][0]


def _duplicates(spec: StudySpec, log: Log) -> Iterator[Finding]:
    tried = Counter(spec.space.key(trial.config) for trial in log.trials.values())
    again = sum(tried.values()) - len(tried)
    if not again:
        return
    found = f"{again} of {len(log.trials)} trials repeat a configuration"
    if len(tried) >= spec.space.cardinality:
        yield Finding("duplicates", "warning", f"{found}: the space is used up", "widen the space, or stop here")
    else:
        yield Finding("duplicates", "ok", found)


def _suggestions(spec: StudySpec, log: Log) -> Iterator[Finding]:
    trials = [trial for trial in log.trials.values() if trial.started_s is not None]
    worked = sum(trial.seconds for trial in trials)
    if worked <= 0:
        return
    share = sum(trial.suggestion.seconds for trial in trials) / worked
    found = f"suggestions took {share:.1%} of the time that trials took"
    if share > _SLOW:
        advice = "a quicker algorithm (sobol), or more trials at a time, which has suggestions prepared ahead"
        yield Finding("suggestions", "warning", found, advice)
    else:
        yield Finding("suggestions", "ok", found)
