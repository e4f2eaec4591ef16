"""`python -m benchmarks.fidelity --help`; see README.md."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from benchmarks.fidelity import references, schedule, tasks
from benchmarks.fidelity.peers import PEERS
from benchmarks.optimizers.harness.peers import ROOT, peers_folder

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="run arms on tasks"))
    _add_report(commands.add_parser("report", help="write the tables and the figure"))
    computing = commands.add_parser("references", help="compute what results are measured against")
    computing.add_argument("--tasks", default="all")
    computing.set_defaults(do=lambda given: references.write(tasks.find(given.tasks)))
    commands.add_parser("list", help="list tasks and peers").set_defaults(do=_list)
    given = parser.parse_args()
    given.do(given)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--arms", required=True, help="comma-separated: ALGORITHM+SCHEDULER, or a peer's name")
    parser.add_argument("--tasks", default="all", help="comma-separated: only these")
    parser.add_argument("--seeds", default="0-9", help="0-9, or 3")
    parser.add_argument("--workers", type=int, default=8, help="simulated workers")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that one answer of a peer may take")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after these")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.set_defaults(do=_run)


def _run(given: argparse.Namespace) -> None:
    arms: list[str] = given.arms.split(",")
    missing = [arm for arm in arms if not schedule.known(arm)]
    if missing:
        raise SystemExit(
            f"arms: no peer's environment in {peers_folder()} for {', '.join(missing)}\n"
            f"hint: ALGORITHM+SCHEDULER, or one of {', '.join(PEERS)} after make bench-peers"
        )
    first, _, last = given.seeds.partition("-")
    settings = schedule.Settings(
        results=given.results,
        workers=given.workers,
        processes=given.processes,
        timeout_s=given.timeout,
        minutes=given.minutes,
    )
    seeds = range(int(first), int(last or first) + 1)
    todo = list(schedule.jobs(arms, tasks.find(given.tasks), seeds, settings))
    schedule.run(todo, settings, say=partial(print, flush=True))


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--tables", type=Path, default=ROOT / "docs" / "fidelity.md")
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "fidelity.png")
    parser.set_defaults(do=_report)


def _report(given: argparse.Namespace) -> None:
    from benchmarks.fidelity.analysis import figure, tables

    given.tables.write_text(tables.document(given.results), encoding="utf-8")
    figure.write(given.results, given.figure)
    print(f"written: {given.tables}, {given.figure}")


def _list(given: argparse.Namespace) -> None:
    for task in tasks.tasks().values():
        print(f"  {task.name:<16}{len(task.space):>2} parameters, {task.objectives} objective(s), {task.epochs} epochs")
    print("peers\n  " + " ".join(PEERS))


if __name__ == "__main__":
    main()
