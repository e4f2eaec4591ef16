"""The optimizer benchmark's runner: a conversation, a virtual clock, what is kept, and going on after a stop."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.optimizers.harness import peers, records, schedule
from benchmarks.optimizers.harness.client import Client, PeerError
from benchmarks.optimizers.harness.peers import Peer
from benchmarks.optimizers.harness.play import Run, play
from benchmarks.optimizers.spaces import BadConfigError, Limit, Space, choice, integer, real
from benchmarks.optimizers.tasks import Outcome, Task

LINE = Task(name="line", space=Space([real("x", 0, 10)]), function=lambda c: c["x"], trials=12)
HERE = Peer(name="random", adapter="random")  # no environment: this interpreter


class Countdown:
    """Proposes 9, 8, 7 ... and remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.asked = 0

    def call(self, request: str, **fields: Any) -> dict[str, Any]:
        self.requests.append((request, fields))
        if request == "ask":
            self.asked += 1
            return {"id": self.asked - 1, "config": {"x": 9.0 - (self.asked - 1) % 10}, "cpu_s": 0.25}
        if request == "choose":
            return {"id": 0, "cpu_s": 0.0}
        return {"cpu_s": 0.5}

    def names(self) -> list[str]:
        return [name for name, _ in self.requests]


def test_a_sequential_run_asks_and_tells_in_turn() -> None:
    peer = Countdown()
    run = play(peer, LINE, seed=0)
    assert peer.names() == ["ask", "tell"] * 12
    assert [trial.outcome.values for trial in run.trials[:3]] == [(9.0,), (8.0,), (7.0,)]
    assert run.cpu_s == [0.75] * 12


def test_eight_are_under_way_and_slow_ones_end_later() -> None:
    peer = Countdown()
    run = play(peer, LINE, seed=0, pending=8)
    assert peer.names()[:9] == ["ask"] * 8 + ["tell"]
    assert peer.names().count("tell") == 12
    ended = [trial.number for trial in run.trials]
    assert sorted(ended) == list(range(12))
    assert ended != sorted(ended)
    assert ended == [trial.number for trial in play(Countdown(), LINE, seed=0, pending=8).trials]
    assert ended != [trial.number for trial in play(Countdown(), LINE, seed=1, pending=8).trials]


def test_noise_is_told_and_the_noise_free_value_is_kept() -> None:
    peer = Countdown()
    noisy = replace(LINE, noise=(0.5,), trials=4)
    run = play(peer, noisy, seed=3)
    told = [fields["values"][0] for name, fields in peer.requests if name == "tell"]
    assert [trial.observed for trial in run.trials] == [(value,) for value in told]
    assert told != [9.0, 8.0, 7.0, 6.0]
    assert records.record(run, noisy, seed=3, version="")["best"][-1][1] in (9.0, 8.0, 7.0, 6.0)


def test_on_noisy_tasks_the_recommendation_counts() -> None:
    run = play(Countdown(), replace(LINE, noise=(0.01,), trials=10), seed=0)
    assert run.chosen == {5: 0, 10: 0}
    best = records.record(run, LINE, seed=0, version="")["best"]
    assert best == [
        [1, 9.0],
        [2, 8.0],
        [3, 7.0],
        [4, 6.0],
        [5, 9.0],
    ]  # the recommended first trial, though 0.0 was seen


def test_failures_and_limits() -> None:
    def outcome(config: dict[str, float]) -> Outcome:
        x = config["x"]
        return Outcome(None) if x > 8 else Outcome((x,), {"size": x})

    task = replace(LINE, function=outcome, trials=6, limits={"size": 6.0})
    peer = Countdown()
    line = records.record(play(peer, task, seed=0), task, seed=0, version="")
    told = [fields for name, fields in peer.requests if name == "tell"]
    assert told[0] == {"id": 0, "values": None, "metrics": {}, "feasible": False}
    assert told[1] == {"id": 1, "values": [8.0], "metrics": {"size": 8.0}, "feasible": False}
    assert line["best"] == [[4, 6.0], [5, 5.0], [6, 4.0]]
    assert line["infeasible"] == 3


def test_several_objectives_keep_the_hypervolume_of_the_feasible() -> None:
    def outcome(config: dict[str, float]) -> Outcome:
        return Outcome((config["x"], 10 - config["x"]), {"x": config["x"]})

    task = replace(LINE, function=outcome, objectives=2, reference=(10.0, 10.0), trials=2, limits={"x": 8.5})
    line = records.record(play(Countdown(), task, seed=0), task, seed=0, version="")
    assert line["best"] == [[1, 0.0], [2, 16.0]]  # (9, 1) is infeasible; (8, 2) spans 2 x 8


def test_a_configuration_outside_the_space_is_refused() -> None:
    space = Space([choice("kind", ["a", "b"]), integer("n", 1, 4, when=("kind", "a"))])
    assert space.clean({"kind": "b", "n": 99}) == {"kind": "b"}
    assert space.clean({"kind": "a", "n": 2.0}) == {"kind": "a", "n": 2}
    for config in ({"kind": "c"}, {"kind": "a"}, {"kind": "a", "n": 5}):
        with pytest.raises(BadConfigError):
            space.clean(config)


def test_unit_coordinates_go_both_ways() -> None:
    space = Space([real("x", 1e-4, 1.0, log=True), integer("n", 1, 8), choice("c", ["a", "b", "d"])])
    config = space.decode([0.25, 0.99, 0.5])
    assert config == {"x": pytest.approx(1e-3), "n": 8, "c": "b"}
    assert space.features(config) == pytest.approx([0.25, 1.0, 0.0, 1.0, 0.0])
    assert not Limit("product", (("x", 1.0), ("n", 1.0)), 0.007).kept(config)


# -- a real adapter in a process of its own ----------------------------------------------------------------------------


def settings(folder: Path, **changes: Any) -> schedule.Settings:
    return schedule.Settings(results=folder, timeout_s=60.0, **changes)


def jobs(seeds: list[int]) -> Any:
    return iter([schedule.Job(HERE, seed, (LINE, replace(LINE, name="again"))) for seed in seeds])


def test_runs_are_kept_and_not_made_twice(tmp_path: Path) -> None:
    said: list[str] = []
    schedule.run(jobs([0]), settings(tmp_path, keep_trials=True), say=said.append)
    assert len(said) == 2
    schedule.run(jobs([0, 1]), settings(tmp_path), say=said.append)
    assert len(said) == 4
    path = records.file(tmp_path, "sequential", "random")
    assert records.done(path) == {("line", 0), ("again", 0), ("line", 1), ("again", 1)}
    lines = list(records.read(path))
    assert lines[0]["best"][-1][1] < 5
    assert lines[0]["best"] == lines[1]["best"]  # equal seeds, equal function
    assert lines[0]["best"] != lines[2]["best"]
    kept = json.loads(path.with_suffix(".trials.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert len(kept["trials"]) == LINE.trials


def test_a_line_cut_short_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "peer.jsonl"
    records.append(path, {"task": "line", "seed": 0})
    with path.open("a", encoding="utf-8") as lines:
        lines.write('{"task": "li')
    assert records.done(path) == {("line", 0)}


def test_a_failing_adapter_is_reported_and_the_next_task_tried(tmp_path: Path) -> None:
    said: list[str] = []
    bad = replace(LINE, name="bad", space=Space([real("x", 1, 0, log=True)]))  # log of 0: the adapter's call fails
    job = schedule.Job(HERE, 0, (bad, LINE))
    schedule.run(iter([job]), settings(tmp_path), say=said.append)
    assert "FAILED" in said[0]
    assert records.done(records.file(tmp_path, "sequential", "random")) == {("line", 0)}
    assert "bad" in next(records.read(tmp_path / "errors.jsonl"))["run"]


def test_an_adapter_that_cannot_start_says_why() -> None:
    with Client(replace(HERE, adapter="no_such_library"), timeout_s=60) as client, pytest.raises(PeerError) as error:
        client.start(LINE, seed=0, pending=1)
    assert "no_such_library" in str(error.value)


def test_labels_carry_options() -> None:
    peer = peers.find("paretune:algorithm=sobol:initial=7")
    assert (peer.name, peer.adapter) == ("paretune:algorithm=sobol:initial=7", "paretune")
    assert peer.options == {"algorithm": "sobol", "initial": 7}
    with pytest.raises(ValueError, match="peer: must be one of"):
        peers.find("nobody")


def test_paretune_itself_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Conditions, a limit on a metric and a failure reach it and it goes on."""
    monkeypatch.setenv("PARETUNE_PYTHON", sys.executable)
    space = Space([choice("kind", ["a", "b"]), real("x", 0, 1, when=("kind", "a")), integer("n", 1, 64, log=True)])

    def loss(config: dict[str, Any]) -> Outcome:
        return Outcome(None) if config["n"] > 50 else Outcome((config.get("x", 0.5) + config["n"] / 64,))

    task = Task(name="mixed", space=space, function=loss, trials=8)
    with Client(peers.find("paretune:algorithm=sobol"), timeout_s=120) as client:
        client.start(task, seed=0, pending=2)
        run: Run = play(client, task, seed=0, pending=2)
    assert len(run.trials) == 8
