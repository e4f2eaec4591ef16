"""`python -m benchmarks.optimizers --help`; see README.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.optimizers import references, tasks
from benchmarks.optimizers.harness import latency, peers, records, schedule
from benchmarks.optimizers.harness.client import Client, PeerError

HERE = Path(__file__).parent
DOCS = peers.ROOT / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="run peers on groups of tasks"))
    _add_latency(commands.add_parser("latency", help="measure the CPU time of one suggestion"))
    _add_report(commands.add_parser("report", help="write the tables and the figure"))
    _add_references(commands.add_parser("references", help="compute what results are measured against"))
    commands.add_parser("list", help="list groups, tasks and peers").set_defaults(do=_list)
    arguments = parser.parse_args()
    arguments.do(arguments)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("groups", help=f"comma-separated, of {', '.join(tasks.GROUPS)}; or all")
    parser.add_argument("--peers", default="paretune", help="comma-separated names, each with :option=value ...")
    parser.add_argument("--tasks", help="comma-separated: only these; or core, a few for slow libraries")
    parser.add_argument("--seeds", default="0-9", help="0-9, or 3")
    parser.add_argument("--pending", type=int, default=1, help="trials under way at a time")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds that one answer may take")
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
    names = set(tasks.CORE if arguments.tasks == "core" else arguments.tasks.split(","))
    return [(group, task) for group, task in found if task.name in names]


def _references(arguments: argparse.Namespace) -> None:
    references.write([task for _, task in _chosen(arguments)])


def _add_latency(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peers", default="paretune")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(latency.SIZES), help="numbers of observations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.set_defaults(do=_latency)


def _latency(arguments: argparse.Namespace) -> None:
    for label in _peers(arguments):
        peer = peers.find(label)
        try:
            with Client(peer, timeout_s=arguments.timeout) as client:
                version = client.start(latency.task(), seed=arguments.seed, pending=1, given=True)
                line = latency.measure(client, seed=arguments.seed, sizes=arguments.sizes)
        except PeerError as error:
            print(f"{label}: FAILED: {error}", flush=True)
            continue
        line = {"peer": label, "version": peers.version(peer, version), **line}
        records.append(arguments.results / "latency.jsonl", line)
        print(line, flush=True)


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=HERE / "results")
    parser.add_argument("--tables", type=Path, default=DOCS / "optimizers.md")
    parser.add_argument("--figure", type=Path, default=DOCS / "optimizers.png")
    parser.set_defaults(do=_report)


def _report(arguments: argparse.Namespace) -> None:
    from benchmarks.optimizers.analysis import figure, tables

    arguments.tables.write_text(tables.document(arguments.results), encoding="utf-8")
    figure.write(arguments.results, arguments.figure)
    print(f"written: {arguments.tables}, {arguments.figure}")


def _peers(arguments: argparse.Namespace) -> list[str]:
    """The labels asked for; leaves when one has no environment."""
    labels: list[str] = arguments.peers.split(",")
    missing = [label for label in labels if not peers.find(label).python.exists()]
    if missing:
        raise SystemExit(f"no environment in {peers.peers_folder()} for {', '.join(missing)}\nhint: make bench-peers")
    return labels


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
    schedule.run(schedule.jobs(_peers(arguments), chosen, seeds), settings, say=lambda line: print(line, flush=True))


def _list(arguments: argparse.Namespace) -> None:
    for group in tasks.GROUPS:
        print(group)
        for task in tasks.group(group).values():
            size = f"{len(task.space):>3} parameters, {task.objectives} objective(s), {task.trials} trials"
            print(f"  {task.name:<24}{size}")
    print("peers\n  " + " ".join(peers.PEERS))


if __name__ == "__main__":
    main()
