"""Replay: what was computed comes out again, and what was tampered with does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from test_simulation import blackbox, spec

import paretune as pt
from paretune import schedulers
from paretune.cli import main
from paretune.log import Log
from paretune.records import Entry, Event, Report
from paretune.replay import replay
from paretune.stopping import REGRET_BOUND


@pytest.mark.parametrize("scheduler", schedulers.names())
@pytest.mark.parametrize("algorithm", ["random", "sobol", "tpe"])
def test_an_asynchronous_study_comes_out_again(tmp_path: Path, scheduler: str, algorithm: str) -> None:
    faults = pt.Faults(failures=0.02, preemptions=0.05, stragglers=0.2)
    study = pt.simulate(
        spec(tmp_path, scheduler=scheduler, algorithm=algorithm, trials=20), blackbox, workers=3, faults=faults
    )
    found = pt.load(study.name, store=tmp_path).replay()
    assert found.difference is None
    assert found.suggestions == 20
    assert found.decisions >= sum(len(trial.reports) for trial in study.trials) - 1


def test_promotions_are_replayed_too(tmp_path: Path) -> None:
    scheduler = pt.ASHA(kind="promote")
    pt.simulate(spec(tmp_path, scheduler=scheduler, algorithm="tpe", trials=12), blackbox, workers=3)
    study = pt.simulate(spec(tmp_path, scheduler=scheduler, algorithm="tpe", trials=16), blackbox, workers=2)
    assert any(isinstance(e, Event) and e.kind == "promoted" for e in study.log.entries)
    assert study.replay().difference is None


def test_bounds_of_the_regret_are_replayed_too(tmp_path: Path) -> None:
    study = pt.simulate(spec(tmp_path, algorithm="sobol", trials=24, regret=1e-9), blackbox, workers=2)
    suggestions = [entry.suggestion for entry in study.log.entries if isinstance(entry, Event) and entry.suggestion]
    assert any(REGRET_BOUND in suggestion.proposal.notes for suggestion in suggestions)
    assert study.replay().difference is None


def another_config(entry: Entry) -> Entry | None:
    if not isinstance(entry, Event) or entry.suggestion is None or entry.trial != 5:
        return None
    proposal = changed(entry.suggestion.proposal, config={"x": 0.123, "kind": "a"})
    return changed(entry, suggestion=changed(entry.suggestion, proposal=proposal))


def another_ending(entry: Entry) -> Entry | None:
    return changed(entry, kind="paused") if isinstance(entry, Event) and entry.kind == "stopped" else None


def another_result(entry: Entry) -> Entry | None:
    """The best first epoch of all: it should have gone on."""
    hit = isinstance(entry, Report) and entry.trial == 7 and entry.resource == 1
    return changed(entry, metrics={"error": 0.0}) if hit else None


@pytest.mark.parametrize(
    ("tamper", "what"), [(another_config, "suggestion"), (another_ending, "decision"), (another_result, "decision")]
)
def test_what_was_tampered_with_is_named(tmp_path: Path, tamper: Callable[[Entry], Entry | None], what: str) -> None:
    study = pt.simulate(spec(tmp_path, scheduler="asha"), blackbox, workers=1)
    entries = list(study.log.entries)
    position = next(i for i, entry in enumerate(entries) if tamper(entry) is not None)
    entries[position] = tamper(entries[position])  # type: ignore[assignment]
    difference = replay(study.spec, Log(entries)).difference
    assert difference is not None
    assert difference.what == what
    assert difference.position in (position, position + 1)


def test_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = pt.simulate(spec(tmp_path, scheduler="asha"), blackbox)
    with pytest.raises(SystemExit) as left:
        main(["replay", study.name, "--store", str(tmp_path)])
    assert not left.value.code
    reports: Any = sum(len(trial.reports) for trial in study.trials)
    assert capsys.readouterr().out == f"12 suggestions and {reports} decisions replayed: no difference\n"
