"""`python -m benchmarks.optimizers --help`; see README.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.optimizers import references, tasks
from benchmarks.optimizers.harness import peers, schedule

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="run peers on groups of tasks"))
    _add_references(commands.add_parser("references", help="compute what results are measured against"))
    commands.add_parser("list", help="list groups, tasks and peers").set_defaults(do=_list)
    arguments = parser.parse_args()
    arguments.do(arguments)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", help=f"comma-separated, of {', '.join(tasks.GROUPS)}; or all")
    parser.add_argument("--peers", default="paretune", help="comma-separated names, each with :option=value ...")
    parser.add_argument("--tasks", help="comma-separated: only these")
    parser.add_argument("--seeds", default="0-9", help="0-9, or 3")
    parser.add_argument("--pending", type=int, default=1, help="trials under way at a time")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds that one answer may take")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after these")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--keep-trials", action="store_true", help="also write every trial's configuration and values")
    parser.set_defaults(do=_run)


def _add_references(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", nargs="?", default="all")
    parser.add_argument("--tasks", help="comma-separated: only these")
    parser.set_defaults(do=_references)


def _chosen(arguments: argparse.Namespace) -> list[tuple[str, tasks.Task]]:
    """The (group, task) pairs that the arguments name."""
    groups = tasks.GROUPS if arguments.groups == "all" else arguments.groups.split(",")
    found = [(group, task) for group in groups for task in tasks.group(group).values()]
    if arguments.tasks is None:
        return found
    names = set(arguments.tasks.split(","))
    return [(group, task) for group, task in found if task.name in names]


def _references(arguments: argparse.Namespace) -> None:
    references.write([task for _, task in _chosen(arguments)])


def _run(arguments: argparse.Namespace) -> None:
    chosen = _chosen(arguments)
    first, _, last = arguments.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    settings = schedule.Settings(
        results=arguments.results,
        pending=arguments.pending,
        workers=arguments.workers,
        timeout_s=arguments.timeout,
        minutes=arguments.minutes,
        keep_trials=arguments.keep_trials,
    )
    missing = [label for label in arguments.peers.split(",") if not peers.find(label).python.exists()]
    if missing:
        raise SystemExit(f"no environment in {peers.peers_folder()} for {', '.join(missing)}\nhint: make bench-peers")
    schedule.run(
        schedule.jobs(arguments.peers.split(","), chosen, seeds), settings, say=lambda line: print(line, flush=True)
    )


def _list(arguments: argparse.Namespace) -> None:
    for group in tasks.GROUPS:
        print(group)
        for task in tasks.group(group).values():
            size = f"{len(task.space):>3} parameters, {task.objectives} objective(s), {task.trials} trials"
            print(f"  {task.name:<24}{size}")
    print("peers\n  " + " ".join(peers.PEERS))


if __name__ == "__main__":
    main()
