"""What the results store costs: a commit as a study grows, its import, and reading a study.

    python benchmarks/store.py [--commits 600] [--trials 1000] [--reports 10]

Each commit holds one trial's ending event and the reports before it, and is flushed, as the engine does it.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from paretune import store
from paretune.objective import Objectives
from paretune.parameters import Choice, Config, Float, Int
from paretune.records import Entry, Event, Proposal, Provenance, Report, Suggestion
from paretune.space import Space
from paretune.study import StudySpec

SPACE = Space({"lr": Float(1e-5, 1e-1, log=True), "layers": Int(2, 12), "optimizer": Choice(("adamw", "sgd"))})
CONFIG: Config = {"lr": 1e-3, "layers": 4, "optimizer": "sgd"}
IMPORT = "import time, paretune.study; t = time.perf_counter(); import paretune.store; print(time.perf_counter() - t)"


def trial(number: int, position: int, reports: int) -> Iterator[Entry]:
    """The entries of one trial from its suggestion to its end."""
    now = time.time()
    proposal = Proposal(config=CONFIG, origin="model", mean={"loss": 0.5}, sd={"loss": 0.1}, fit={"noise": 1e-4})
    suggestion = Suggestion(id=number, proposal=proposal, algorithm="gp", history_position=position)
    yield Event(position=position, kind="suggested", time_s=now, trial=number, suggestion=suggestion)
    yield Event(position=position + 1, kind="started", time_s=now, trial=number, attempt=1)
    for step in range(1, reports + 1):
        yield Report(
            position=position + 1 + step,
            trial=number,
            attempt=1,
            step=step,
            resource=float(step),
            time_s=now,
            metrics={"loss": 1 / step, "latency_ms": 3.0},
        )
    yield Event(position=position + 2 + reports, kind="completed", time_s=now, trial=number, metrics={"loss": 0.1})


def made(location: str, name: str) -> store.Writer:
    """The writer of a new study."""
    objectives = Objectives.from_dict({"loss": "minimize"})
    spec = StudySpec(name=name, trainable="none", objectives=objectives, space=SPACE, store=location)
    store.create(spec, Provenance(created_s=time.time(), paretune="", versions={}, git_commit=None, host=""))
    return store.Writer(location, name)


def commit_times_ms(location: str, *, commits: int) -> list[float]:
    """The time of each flush of one trial with one report."""
    times = []
    with made(location, "commits") as writer:
        for number in range(commits):
            for entry in trial(number, writer.position, 1):
                writer.append(entry)
            start = time.perf_counter()
            writer.flush()
            times.append((time.perf_counter() - start) * 1e3)
    return times


def large_study(location: str, *, trials: int, reports: int) -> None:
    """A study of many trials, left to the writer's own rhythm."""
    with made(location, "large") as writer:
        for number in range(trials):
            for entry in trial(number, writer.position, reports):
                writer.append(entry)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commits", type=int, default=600)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--reports", type=int, default=10)
    options = parser.parse_args()
    imports = [float(subprocess.check_output([sys.executable, "-c", IMPORT])) for _ in range(5)]
    print(f"import beyond paretune.study: {statistics.median(imports) * 1e3:.0f} ms")
    with tempfile.TemporaryDirectory() as location:
        times = commit_times_ms(location, commits=options.commits)
        for first in range(0, options.commits, 100):
            part = sorted(times[first : first + 100])
            line = f"median {statistics.median(part):.1f}  p95 {part[int(len(part) * 0.95)]:.1f}  max {part[-1]:.1f}"
            print(f"commits {first + 1}-{first + len(part)}: {line} ms")
        spent = seconds(lambda: large_study(location, trials=options.trials, reports=options.reports))
        print(f"write {options.trials} trials x {options.reports} reports: {spent:.2f} s")
        reads = [seconds(lambda: store.read(location, "large")) for _ in range(5)]
        print(f"read it: {statistics.median(reads):.2f} s")
        print(f"summaries of 2 studies: {seconds(lambda: store.summaries(location)) * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
