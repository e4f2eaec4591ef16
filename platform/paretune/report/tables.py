"""The report's tables of trials; what they are sorted by stands in each cell's `data-v`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from paretune.log import Log, Trial
from paretune.parameters import Config
from paretune.population import Stage
from paretune.report import frames, outcomes, text
from paretune.report.html import Html, element
from paretune.study import StudySpec

_TROUBLE = ("failed", "diverged")


def configurations(spec: StudySpec, trials: Sequence[Trial]) -> Html:
    """A few trials with their objectives, what else is limited, and parameters; a layout is one column."""
    names = [*spec.objectives.required, *_plain(spec), *(["layout"] if spec.layout else [])]
    heads = [element("th", name, scope="col") for name in ("trial", *names)]
    return _scrolled(element("table", _head(heads), element("tbody", *(_short_row(spec, trial) for trial in trials))))


def layouts_table(spec: StudySpec, log: Log) -> Html:
    """The layouts that were tried, those on the front first: their trials, and the best of each objective."""
    assert spec.layout is not None
    tried: defaultdict[str, list[Trial]] = defaultdict(list)
    for trial in log.ended:
        tried[spec.layout.summary(trial.config)].append(trial)
    chosen = {trial.id for trial in outcomes.front(spec, log)}
    completed = {trial.id for trial in outcomes.completed(spec, log)}
    fronts = {name: sum(trial.id in chosen for trial in trials) for name, trials in tried.items()}
    labels = ["layout", "on the front", "trials", "failed", *(f"best {name}" for name in spec.objectives.names)]
    rows = []
    for name in sorted(tried, key=lambda name: (-fronts[name], name)):
        results = [trial for trial in tried[name] if trial.id in completed]
        best = spec.objectives.natural(outcomes.minimized(spec, results).min(axis=0)) if results else {}
        mark = element("span", class_="mark front", title="on the front") if fronts[name] else None
        cells = [
            element("th", name, mark, scope="row"),
            _number(fronts[name]),
            _number(len(tried[name])),
            _number(sum(trial.status in _TROUBLE for trial in tried[name])),
            *(_number(best.get(objective)) for objective in spec.objectives.names),
        ]
        rows.append(element("tr", *cells))
    heads = [element("th", label, scope="col") for label in labels]
    return _scrolled(element("table", _head(heads), element("tbody", *rows)))


def stages_table(spec: StudySpec, stages: Sequence[Stage]) -> Html:
    """The stages of one training: whose configuration it had, from where to where."""
    heads = [element("th", name, scope="col") for name in ("trial", "from", "to", *spec.space)]
    rows = [
        element(
            "tr",
            element("th", str(stage.trial), scope="row"),
            _number(stage.start),
            _number(stage.end),
            *(_parameter(stage.config, name) for name in spec.space),
            data_trial=stage.trial,
        )
        for stage in stages
    ]
    return _scrolled(element("table", _head(heads), element("tbody", *rows)))


def trial_table(spec: StudySpec, log: Log) -> Html:
    """All trials with all there is to know; the page's script sorts and filters it."""
    metrics = list(frames.columns(spec, log).metrics)
    trials = [trial for _, trial in sorted(log.trials.items())]
    with_reason = any(trial.reason for trial in trials)
    labels = ["trial", "status", *metrics, *spec.space, _resource(spec), "seconds"] + ["reason"] * with_reason
    heads = [element("th", element("button", label, type="button"), scope="col", aria_sort="none") for label in labels]
    chosen = {trial.id for trial in outcomes.front(spec, log)}
    rows = [_row(spec, trial, metrics, front=trial.id in chosen, with_reason=with_reason) for trial in trials]
    return Html(_filters(trials, chosen) + _scrolled(element("table", _head(heads), element("tbody", *rows), id="all")))


def _short_row(spec: StudySpec, trial: Trial) -> Html:
    metrics = [_number(trial.metrics[name]) for name in spec.objectives.required]
    parameters = [_parameter(trial.config, name) for name in _plain(spec)]
    if spec.layout is not None:
        parameters.append(element("td", spec.layout.summary(trial.config)))
    return element("tr", element("th", str(trial.id), scope="row"), *metrics, *parameters, data_trial=trial.id)


def _plain(spec: StudySpec) -> list[str]:
    """The parameters that are no part of the layout."""
    return [name for name in spec.space if spec.layout is None or name not in spec.layout.parameters()]


def _row(spec: StudySpec, trial: Trial, metrics: Sequence[str], *, front: bool, with_reason: bool) -> Html:
    kind = "front" if front else "trouble" if trial.status in _TROUBLE else "plain"
    mark = _mark(spec, trial, front=front)
    cells = [
        element("th", str(trial.id), mark, scope="row", data_v=trial.id),
        element("td", element("span", trial.status, class_=f"status {trial.status}"), data_v=trial.status),
        *(_number(trial.metrics.get(name)) for name in metrics),
        *(_parameter(trial.config, name) for name in spec.space),
        _number(trial.resource if trial.reports else None),
        _number(None if trial.started_s is None else trial.seconds, shown=f"{trial.seconds:.1f}"),
    ]
    if with_reason:
        cells.append(element("td", trial.reason, class_="reason", data_v=trial.reason))
    return element("tr", *cells, id=f"trial-{trial.id}", class_=kind, data_trial=trial.id)


def _mark(spec: StudySpec, trial: Trial, *, front: bool) -> Html | None:
    if front:
        return element("span", class_="mark front", title="on the front")
    broken = spec.objectives.broken(trial.metrics)
    return element("span", class_="mark infeasible", title=f"beyond a limit: {'; '.join(broken)}") if broken else None


def _number(value: float | None, *, shown: str | None = None) -> Html:
    if value is None:
        return element("td", class_="number")
    return element("td", shown or text.number(value), class_="number", data_v=_sortable(float(value)))


def _sortable(value: float) -> str | None:
    """The number as the page's script reads it; NaN has no place in an order."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return None if math.isnan(value) else repr(value)


def _parameter(config: Config, name: str) -> Html:
    if name not in config:
        return element("td")
    value = config[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return element("td", text.value(value), data_v=text.value(value))


def _filters(trials: Sequence[Trial], chosen: set[int]) -> Html:
    trouble = sum(trial.status in _TROUBLE for trial in trials)
    kinds = [("", "all", len(trials)), ("front", "on the front", len(chosen)), ("trouble", "failed", trouble)]
    buttons = [
        element("button", f"{label} {count}", type="button", data_show=kind, aria_pressed="false" if kind else "true")
        for kind, label, count in kinds
        if count
    ]
    return element("div", *buttons, class_="filters", role="group", aria_label="Which trials") if buttons else Html()


def _resource(spec: StudySpec) -> str:
    return "resource" if spec.train.epochs is None else "epochs"


def _head(cells: Sequence[Html]) -> Html:
    return element("thead", element("tr", *cells))


def _scrolled(table: Html) -> Html:
    return element("div", table, class_="scroll", tabindex=0)
