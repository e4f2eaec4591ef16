"""A study as it runs: a live table on a terminal, one plain line per finished trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from paretune import stopping
from paretune.listener import Listener
from paretune.log import Log, Trial
from paretune.records import ENDINGS, Entry, Event
from paretune.report import outcomes, text
from paretune.study import StudySpec

_STYLES = {"completed": "green", "paused": "cyan", "stopped": "yellow", "failed": "red", "diverged": "magenta"}
_ROWS = 12
"""How many running trials are shown, and how many rows of a front: a screen's worth."""

_PER_SECOND = 4
"""How often the table is drawn again."""


def choose(console: Console | None = None) -> Listener:
    """The display that suits the console: a live table on a terminal, plain lines in a file or a pipe."""
    console = console or Console(highlight=False)
    return LiveTable(console) if console.is_terminal else PlainLines(console)


class PlainLines:
    """One line when the study begins, one per trial that ends or has trouble with its workers, one at the end."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._spec, self._log = spec, log
        self._say(headline(spec, log))

    def on_entry(self, entry: Entry) -> None:
        if isinstance(entry, Event) and entry.kind in ENDINGS and entry.trial is not None:
            self._say(finished_line(self._spec, self._log, self._log.trials[entry.trial]))
        elif (line := trouble_line(entry)) is not None:
            self._say(line)

    def on_end(self) -> None:
        self._say(closing_line(self._spec, self._log))

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class LiveTable:
    """Redrawn in place a few times a second; what costs more than a glance is computed only when a trial ends."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.time) -> None:
        self._console, self._clock = console, clock
        self._outcome: RenderableType = Text("")

    def on_start(self, spec: StudySpec, log: Log) -> None:
        self._spec, self._log, self._began_s = spec, log, self._clock()
        self._before_s = outcomes.worked(log)
        self._done_before = len(log.ended)
        self._outcome = self._best()
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=_PER_SECOND)
        self._live.start()

    def on_entry(self, entry: Entry) -> None:
        if (line := trouble_line(entry)) is not None:
            self._live.console.print(Text(line, style="yellow"), soft_wrap=True)
        if not isinstance(entry, Event) or entry.kind not in ENDINGS or entry.trial is None:
            return
        self._outcome = self._best()
        trial = self._log.trials[entry.trial]
        if trial.status in ("failed", "diverged"):
            end = Text(f"trial {trial.id} {trial.status}: {trial.reason}", style=_STYLES[trial.status])
            self._live.console.print(end, soft_wrap=True)

    def on_end(self) -> None:
        self._outcome = self._best()
        self._live.stop()

    def _draw(self) -> RenderableType:
        return Group(self._head(), self._outcome, self._running())

    def _head(self) -> RenderableType:
        done, total = len(self._log.ended), self._spec.search.trials
        seconds = self._clock() - self._began_s
        rest = remaining_s(self._spec, done - self._done_before, total - done, seconds)
        cost, unit = outcomes.work(self._spec, self._log)
        grid = Table.grid(padding=(0, 2))
        for _ in range(3):
            grid.add_column()
        times = f"{text.duration(self._before_s + seconds)}"
        if rest is not None and done < total:
            times += f"  about {text.duration(rest)} left"
        grid.add_row(Text(self._spec.name, style="bold"), ProgressBar(total=total, completed=done, width=30), times)
        tally = Text("  ").join(_tally(self._log, total))
        return Group(grid, tally.append(f"   {cost:.2f} {unit}" if cost >= 0.005 else ""))

    def _best(self) -> RenderableType:
        """Best value per objective, and the hypervolume when there are several objectives."""
        if not outcomes.feasible(self._spec, self._log):
            return Text("")
        grid = Table.grid(padding=(0, 2))
        for objective in self._spec.objectives:
            trial = outcomes.best(self._spec, self._log, objective.name)
            grid.add_row(
                Text(f"best {objective.name}", style="dim"),
                Text(text.number(trial.metrics[objective.name]), style="bold green"),
                Text(f"trial {trial.id}", style="dim"),
            )
        if len(self._spec.objectives) > 1:
            volume, front = outcomes.hypervolume(self._spec, self._log), outcomes.front(self._spec, self._log)
            grid.add_row(
                Text("hypervolume", style="dim"),
                Text(text.number(volume), style="bold"),
                Text(f"{len(front)} on the front", style="dim"),
            )
        return grid

    def _running(self) -> RenderableType:
        running = [trial for trial in list(self._log.trials.values()) if trial.status == "running"]
        if not running:
            return Text("")
        table = _table("trial", "progress", *self._spec.objectives.names, "configuration")
        for trial in running[:_ROWS]:
            values = [text.number(trial.metrics.get(name)) for name in self._spec.objectives.names]
            table.add_row(
                str(trial.id), self._bar(trial), *values, Text(text.config(trial.config), overflow="ellipsis")
            )
        if len(running) > _ROWS:
            table.add_row("", f"and {len(running) - _ROWS} more")
        return table

    def _bar(self, trial: Trial) -> RenderableType:
        epochs = self._spec.train.epochs
        if epochs is None:
            return Text(text.plural(trial.step, "report"))
        return ProgressBar(total=epochs, completed=trial.resource, width=16)


def headline(spec: StudySpec, log: Log) -> str:
    """What begins: `study cnn: 24 trials, 2 at a time, gp, for val_error and latency_ms`."""
    resumed = f" ({len(log.ended)} done before)" if log.ended else ""
    return (
        f"study {spec.name}: {text.plural(spec.search.trials, 'trial')}{resumed}, {spec.search.concurrency} at a time, "
        f"{spec.search.algorithm.name}, for {' and '.join(spec.objectives.names)}"
    )


def finished_line(spec: StudySpec, log: Log, trial: Trial) -> str:
    """`[ 7/24] trial 6 completed  val_error 0.0213  latency_ms 4.31  12.4 s`."""
    total = str(spec.search.trials)
    parts = [f"[{len(log.ended):>{len(total)}}/{total}] trial {trial.id} {trial.status}"]
    if trial.status in ("failed", "diverged"):
        parts.append(str(trial.reason))
    else:
        parts += [f"{name} {text.number(trial.metrics.get(name))}" for name in spec.objectives.names]
        parts += spec.objectives.broken(trial.metrics)
    return "  ".join([*parts, text.duration(trial.seconds)])


def trouble_line(entry: Entry) -> str | None:
    """`trial 6 goes on with new workers (attempt 1): a worker died`; None where there was none with the workers."""
    if not isinstance(entry, Event) or entry.reason is None:
        return None
    if entry.kind == "straggling":
        return f"trial {entry.trial}: {entry.reason}"
    if entry.kind == "started":
        return f"trial {entry.trial} goes on with new workers (attempt {entry.attempt}): {entry.reason}"
    return None


def closing_line(spec: StudySpec, log: Log) -> str:
    """What came of it, in one line."""
    counts = outcomes.counts(log)
    parts = [f"{counts[status]} {status}" for status in ENDINGS if counts[status]] or ["no trial ended"]
    early = stopping.recorded(log)
    return f"study {spec.name}: {', '.join(parts)} in {text.duration(outcomes.worked(log))}" + (
        f"; {early}" if early else ""
    )


def front_table(spec: StudySpec, log: Log) -> RenderableType:
    """The Pareto front (for one objective: the best trial) as a table, the best by the first objective on top."""
    front = outcomes.front(spec, log)
    if not front:
        return Text("no trial completed within the limits: there is no front yet", style="yellow")
    title = "best trial" if len(spec.objectives) == 1 else f"Pareto front: {text.plural(len(front), 'trial')}"
    table = _table("trial", *spec.objectives.required, *spec.space, title=title)
    for trial in front:
        values = [text.number(trial.metrics[name]) for name in spec.objectives.required]
        parameters = [text.value(trial.config[n]) if n in trial.config else text.ABSENT for n in spec.space]
        table.add_row(str(trial.id), *[Text(v, style="bold") for v in values], *[Text(p) for p in parameters])
    return table


def remaining_s(spec: StudySpec, done: int, left: int, seconds: float) -> float | None:
    """About how long the rest takes, from the pace so far; None before the first trial's end."""
    if done == 0:
        return None
    budget = None if spec.search.hours is None else spec.search.hours * 3600 - seconds
    by_pace = seconds / done * left
    return by_pace if budget is None else max(0.0, min(by_pace, budget))


def _tally(log: Log, total: int) -> list[Text]:
    counts = outcomes.counts(log)
    parts = [Text(f"{len(log.ended)}/{total} done")]
    if counts["running"]:
        parts.append(Text(f"{counts['running']} running", style="cyan"))
    named = ("paused", "stopped", "failed", "diverged")
    parts += [Text(f"{counts[status]} {status}", style=_STYLES[status]) for status in named if counts[status]]
    return parts


def _table(*headers: str, title: str | None = None) -> Table:
    table = Table(
        box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold", title=title, title_justify="left"
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
