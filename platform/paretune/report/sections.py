"""What the report's sections say, as HTML without charts."""

from __future__ import annotations

import time
from collections import defaultdict

from paretune import stopping, study
from paretune.diagnosis import Diagnosis, Finding
from paretune.log import Log, Trial
from paretune.objective import Objective
from paretune.population import stages
from paretune.recommendation import Recommendation
from paretune.records import Event, Provenance
from paretune.report import outcomes, text
from paretune.report.html import Html, element
from paretune.report.tables import configurations, layouts_table, stages_table, trial_table
from paretune.study import StudySpec

_DOT = " \N{MIDDLE DOT} "
_STATES = {"closed": "finished", "interrupted": "interrupted"}


def header(spec: StudySpec, log: Log, provenance: Provenance) -> Html:
    """The study's name and what came of it, in one sentence."""
    about = [spec.trainable, spec.search.algorithm.name, *_state(log), f"made {_date(provenance.created_s)}"]
    return element(
        "header",
        element("p", "paretune", class_="brand"),
        element("h1", spec.name),
        element("p", outcome(spec, log), class_="outcome"),
        element("p", _DOT.join(about), class_="about"),
    )


def outcome(spec: StudySpec, log: Log) -> str:
    """One sentence: `24 trials in 1 min 40 s; 6 on the Pareto front; best val_error 0.012 (trial 17).`"""
    ended, budget = len(log.ended), spec.search.trials
    many = text.plural(ended, "trial") if ended >= budget else f"{ended} of {text.plural(budget, 'trial')}"
    parts = [f"{many} in {text.duration(outcomes.worked(log))}"]
    front = outcomes.front(spec, log)
    if not front:
        parts.append("none completed" if not outcomes.completed(spec, log) else "none within the limits")
        return "; ".join(parts) + "."
    if len(spec.objectives) > 1:
        parts.append(f"{len(front)} on the Pareto front")
    bests = [(o.name, outcomes.best(spec, log, o.name)) for o in spec.objectives]
    parts.append(_listed([f"best {name} {text.number(t.metrics[name])} (trial {t.id})" for name, t in bests]))
    return "; ".join(parts) + "."


def tiles(spec: StudySpec, log: Log, found: Diagnosis | None = None) -> Html:
    """The key figures."""
    made = [_trials_tile(log)]
    if outcomes.front(spec, log):
        expected = {} if found is None else {best.objective: best for best in found.best}
        made += [_best_tile(spec, log, objective, expected.get(objective.name)) for objective in spec.objectives]
        if len(spec.objectives) > 1:
            made.append(_hypervolume_tile(spec, log))
    made.append(_time_tile(spec, log))
    return element("section", *made, class_="tiles", aria_label="Key figures")


def section(name: str, title: str, note: str | None, *children: Html | None) -> Html:
    """A titled section; `note` says what is to be seen."""
    lead = element("p", note, class_="note") if note else None
    return element("section", element("h2", title), lead, *children, id=name, class_="card")


def front(spec: StudySpec, log: Log, drawing: Html) -> Html:
    """The front as a drawing and as a table of its configurations."""
    chosen = outcomes.front(spec, log)
    several = len(spec.objectives) > 1
    title = "Pareto front" if several else f"Best {spec.objectives.names[0]}"
    note = (
        (
            f"{text.plural(len(chosen), 'trial')} that no other one beats in every objective. "
            if several
            else "Every completed trial in order, and the best so far. "
        )
        + _limits_note(spec, log)
        + "Hover over a point for its configuration; click it for its row below."
    )
    return section("front", title, note, _legend(spec, log), drawing, configurations(spec, chosen) if chosen else None)


def trials(spec: StudySpec, log: Log) -> Html | None:
    """Every trial in a table that can be sorted."""
    if not log.trials:
        return None
    return section("trials", "All trials", "Click a heading to sort.", trial_table(spec, log))


def schedule(spec: StudySpec, log: Log) -> Html | None:
    """How the configuration changed during the training of the best trial, where it did."""
    best = outcomes.front(spec, log)[:1]
    if not best or best[0].inherited is None:
        return None
    note = f"Trial {best[0].id} went on from the checkpoints of others: the values of its whole training, in order."
    return section("schedule", "Schedule", note, stages_table(spec, stages(log, best[0].id)))


def layouts(spec: StudySpec, log: Log) -> Html | None:
    """Which layouts were tried and which of them are on the front, where they are searched."""
    if spec.layout is None or not spec.layout.searched or not log.ended:
        return None
    note = "How trials were spread over their workers; the layouts that are on the front come first."
    return section("layouts", "Layouts", note, layouts_table(spec, log))


def failures(log: Log) -> Html | None:
    """Why trials failed or diverged, equal reasons together, with the first one's traceback."""
    by_reason: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in log.ended:
        if trial.status in ("failed", "diverged"):
            by_reason[trial.reason or trial.status].append(trial)
    if not by_reason:
        return None
    entries = [_failure(reason, failed) for reason, failed in by_reason.items()]
    return section("failures", "What failed", None, *entries)


def diagnosis(found: Diagnosis, drawing: Html | None) -> Html:
    """What the study says about itself: a line per finding, those with advice first."""
    ordered = sorted(found.findings, key=lambda finding: finding.state != "warning")
    note = "How far a model of this study can be trusted, and what would help." + (
        " Below, each completed trial against what all others predict of it, with the 90 % interval." if drawing else ""
    )
    lines = element("ul", *(_finding(finding) for finding in ordered), class_="findings")
    return section("diagnosis", "Diagnosis", note, lines, drawing)


def reproduce(spec: StudySpec, provenance: Provenance) -> Html:
    """The spec, and what it ran with."""
    facts = {
        "seed": str(spec.search.seed),
        "paretune": provenance.paretune,
        "commit": provenance.git_commit or "unknown",
        "made": f"{_date(provenance.created_s)} on {provenance.host}",
        **provenance.versions,
    }
    listed = [part for name, fact in facts.items() for part in (element("dt", name), element("dd", fact))]
    return section(
        "reproduce",
        "Reproduce",
        None,
        element(
            "p", "Save the spec as ", element("code", f"{spec.name}.yaml"), ", then: ",
            element("code", f"paretune run {spec.name}.yaml"), class_="note",
        ),
        element(
            "div",
            element(
                "div",
                element("button", "Copy", type="button", class_="copy", data_copy="spec"),
                element("pre", study.to_yaml(spec), id="spec"),
                class_="source",
            ),
            element("dl", *listed),
            class_="columns",
        ),
    )  # fmt: skip


def _trials_tile(log: Log) -> Html:
    counts = outcomes.counts(log)
    total = sum(counts.values())
    bars = [
        element("span", class_=f"bar {status}", style=f"flex-grow: {count}", title=f"{count} {status}")
        for status, count in counts.items()
    ]
    states = _DOT.join(f"{count} {status}" for status, count in counts.items())
    return _tile("Trials", str(total), states or "none yet", element("div", *bars, class_="bars") if bars else None)


def _best_tile(spec: StudySpec, log: Log, objective: Objective, expected: Recommendation | None) -> Html:
    """The best value seen, and what to expect: of the same trial, or of the one that is better on average."""
    trial = outcomes.best(spec, log, objective.name)
    value = text.number(trial.metrics[objective.name])
    where = f"{'lowest' if objective.goal == 'minimize' else 'highest'}, trial {trial.id}"
    config = element("p", text.config(trial.config), class_="config")
    mean = None if expected is None else element("p", _expected(expected, seen=trial.id), class_="config")
    return _tile(f"Best {objective.name}", value, where, mean, config)


def _expected(best: Recommendation, *, seen: int) -> str:
    """`trial 7 is best on average: 0.031 (0.028 to 0.034)`."""
    which = "on average" if best.trial.id == seen else f"trial {best.trial.id} is best on average"
    return f"{which}: {text.estimate(best.expected, best.low, best.high)}"


def _hypervolume_tile(spec: StudySpec, log: Log) -> Html:
    given = {o.name for o in spec.objectives if o.reference is not None}
    bounds = spec.objectives.natural(outcomes.reference(spec, log))
    inferred = "" if len(given) == len(bounds) else " (inferred)" if not given else " (partly inferred)"
    point = element("p", text.config(bounds), class_="config")
    return _tile("Hypervolume", text.number(outcomes.hypervolume(spec, log)), f"up to the reference{inferred}", point)


def _time_tile(spec: StudySpec, log: Log) -> Html:
    hours, unit = outcomes.work(spec, log)
    ended = [trial.seconds for trial in log.ended if trial.started_s is not None]
    mean = element("p", f"{text.duration(sum(ended) / len(ended))} per trial", class_="config") if ended else None
    return _tile("Time", text.duration(outcomes.worked(log)), f"{hours:.2g} {unit}", mean)


def _tile(label: str, figure: str, detail: str, *more: Html | None) -> Html:
    return element(
        "div",
        element("p", label, class_="label"),
        element("p", figure, class_="figure"),
        element("p", detail, class_="detail"),
        *more,
        class_="tile",
    )


def _legend(spec: StudySpec, log: Log) -> Html:
    several = len(spec.objectives) > 1
    done, kept = len(outcomes.completed(spec, log)), len(outcomes.feasible(spec, log))
    on_front = len(outcomes.front(spec, log))
    entries = [
        ("front", "on the front" if several else "the best", on_front),
        ("other", "completed", kept - on_front),
        ("infeasible", "beyond a limit", done - kept),
    ]
    shown = [
        element("li", element("span", class_=f"mark {group}"), f"{label} ({count})")
        for group, label, count in entries
        if count
    ]
    return element("ul", *shown, class_="legend")


def _limits_note(spec: StudySpec, log: Log) -> str:
    """`Within latency_ms <= 5; 3 of 24 completed trials are beyond it. `"""
    bounds = spec.objectives.bounds
    if not bounds:
        return ""
    done, kept = len(outcomes.completed(spec, log)), len(outcomes.feasible(spec, log))
    which = "it" if len(bounds) == 1 else "a limit"
    return f"Within {_listed([str(b) for b in bounds])}; {done - kept} of {done} completed trials are beyond {which}. "


def _finding(finding: Finding) -> Html:
    advice = finding.advice and element("span", f" {finding.advice[0].upper()}{finding.advice[1:]}.", class_="advice")
    return element("li", element("strong", finding.about), f": {finding.found}.", advice, class_=finding.state)


def _failure(reason: str, failed: list[Trial]) -> Html:
    first = failed[0]
    numbers = f"{text.plural(len(failed), 'trial')}: {', '.join(str(trial.id) for trial in failed)}"
    if first.traceback is None:
        trace = None
    else:
        trace = element(
            "details", element("summary", f"Traceback of trial {first.id}"), element("pre", first.traceback)
        )
    return element(
        "div", element("p", reason, class_="reason"), element("p", numbers, class_="note"), trace, class_="failure"
    )


def _state(log: Log) -> list[str]:
    kinds = [entry.kind for entry in log.entries if isinstance(entry, Event) and entry.kind in (*_STATES, "opened")]
    early = stopping.recorded(log)
    state = _STATES.get(kinds[-1], "under way") if kinds else "not begun"
    return [state] if early is None else [state, early]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
