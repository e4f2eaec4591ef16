"""What is shown while a study runs."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from rich.console import Console

from paretune import progress, study
from paretune.log import Log
from paretune.records import Entry, Event, Proposal, Report, Suggestion
from paretune.study import StudySpec

SPEC = study.build(
    {
        "name": "trees",
        "trainable": "x",
        "objectives": {"error": "minimize", "speed": "maximize"},
        "space": {"lr": {"type": "float", "low": 0, "high": 1}, "m": {"type": "int", "low": 1, "high": 9}},
        "search": {"algorithm": "random", "trials": 4, "concurrency": 2},
        "train": {"epochs": 2, "gpus": 0},
    },
    where="test",
)


def entries() -> Iterator[Entry]:
    """Trial 0 completes, 1 fails, 2 diverges, 3 is half way through."""
    position = iter(range(100))

    def event(kind: str, trial: int, time_s: float, **fields: object) -> Event:
        return Event(position=next(position), kind=kind, trial=trial, time_s=time_s, **fields)  # type: ignore[arg-type]

    for trial in range(4):
        began_s = 100.0 + 20 * trial
        proposal = Proposal(config={"lr": 0.25, "m": trial + 1}, origin="random")
        suggestion = Suggestion(id=trial, proposal=proposal, algorithm="random", history_position=0)
        yield event("suggested", trial, began_s, suggestion=suggestion)
        yield event("started", trial, began_s)
        metrics = {"error": 0.5 + trial, "speed": 10.0}
        yield Report(
            position=next(position), trial=trial, attempt=0, step=1, resource=1, time_s=began_s + 1, metrics=metrics,
            worker_seconds=36.0,
        )  # fmt: skip
        if trial == 0:
            yield event("started", 0, began_s + 2, attempt=1, reason="a worker died")
            yield event("straggling", 0, began_s + 3, attempt=1, reason="rank 1 takes 2.0 times as long as the others")
            yield event("completed", 0, began_s + 12.4, metrics=metrics)
        elif trial == 1:
            yield event("failed", 1, began_s + 13, reason="ValueError: [bold]m[/] is 2")
        elif trial == 2:
            yield event("diverged", 2, began_s + 14, reason="error is nan at report 2")


def play(listener: progress.PlainLines | progress.LiveTable) -> None:
    log = Log()
    listener.on_start(SPEC, log)
    for entry in entries():
        log.append(entry)
        listener.on_entry(entry)
    listener.on_end()


def console(*, terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=110, highlight=False, color_system=None)


def written(output: Console) -> str:
    assert isinstance(output.file, io.StringIO)
    return output.file.getvalue()


def test_plain_lines_say_one_thing_each() -> None:
    output = console(terminal=False)
    play(progress.PlainLines(output))
    assert written(output).splitlines() == [
        "study trees: 4 trials, 2 at a time, random, for error and speed",
        "trial 0 goes on with new workers (attempt 1): a worker died",
        "trial 0: rank 1 takes 2.0 times as long as the others",
        "[1/4] trial 0 completed  error 0.5  speed 10  12.4 s",
        "[2/4] trial 1 failed  ValueError: [bold]m[/] is 2  13.0 s",
        "[3/4] trial 2 diverged  error is nan at report 2  14.0 s",
        "study trees: 1 completed, 1 failed, 1 diverged in 1 min 01 s",
    ]


def test_the_live_table_ends_with_the_state_of_the_study() -> None:
    output = console(terminal=True)
    play(progress.LiveTable(output, clock=lambda: 100.0))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written(output))
    assert "trial 0 goes on with new workers (attempt 1): a worker died" in shown
    assert "trial 1 failed: ValueError: [bold]m[/] is 2" in shown
    last = shown[shown.rindex("trees") :]
    assert "3/4 done  1 running  1 failed  1 diverged" in last
    assert "0.04 CPU-hours" in last
    assert re.search(r"best error +0\.5 +trial 0", last)
    assert re.search(r"best speed +10 +trial 0", last)
    assert re.search(r"hypervolume .* 1 on the front", last)
    assert re.search(r"^3 .*3\.5 +10 +lr=0\.25, m=4", last, re.MULTILINE)


@pytest.mark.parametrize(("terminal", "kind"), [(True, progress.LiveTable), (False, progress.PlainLines)])
def test_the_display_suits_the_console(terminal: bool, kind: type) -> None:
    assert type(progress.choose(console(terminal=terminal))) is kind


def test_the_front_is_a_table_of_configurations() -> None:
    output = console(terminal=False)
    output.print(progress.front_table(SPEC, Log(entries())))
    lines = written(output).splitlines()
    assert lines[0].startswith("Pareto front: 1 trial")
    assert lines[1].split() == ["trial", "error", "speed", "lr", "m"]
    assert lines[3].split() == ["0", "0.5", "10", "0.25", "1"]


def test_without_a_completed_trial_there_is_no_front() -> None:
    output = console(terminal=False)
    output.print(progress.front_table(SPEC, Log()))
    assert "no front yet" in written(output)


def test_the_rest_is_estimated_from_the_pace_and_the_hours_left() -> None:
    assert progress.remaining_s(SPEC, 0, 4, 10.0) is None
    assert progress.remaining_s(SPEC, 2, 6, 10.0) == 30.0
    limited = SPEC.with_changes({"search": {"hours": 0.005}})
    assert progress.remaining_s(limited, 2, 6, 10.0) == pytest.approx(8.0)
    assert progress.remaining_s(limited, 2, 6, 100.0) == 0.0


def test_a_resumed_study_says_what_was_done_before() -> None:
    spec: StudySpec = SPEC
    assert "(3 done before)" in progress.headline(spec, Log(entries()))
