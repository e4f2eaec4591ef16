"""Markdown tables of a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.optimizers.analysis import bootstrap, scores
from benchmarks.optimizers.analysis.boards import Board, board, paired
from benchmarks.optimizers.analysis.scores import Array, Results
from benchmarks.optimizers.harness import records
from benchmarks.optimizers.tasks import Task

SEQUENTIAL, PENDING = "sequential", "pending8"
OURS = "paretune"

ONE_OBJECTIVE = ("ml", "synthetic", "noisy", "conditional")
TITLES: Mapping[str, tuple[str, ...]] = {
    "All tasks of one objective, 60 trials": ONE_OBJECTIVE,
    "Training runs": ("ml",),
    "Closed forms": ("synthetic",),
    "Noisy": ("noisy",),
    "Conditional": ("conditional",),
    "A few tasks of every group, for the slow libraries": ("core",),
    "Many dimensions, 200 trials": ("many_dimensions",),
    "Several objectives (hypervolume)": ("multi_objective",),
    "Constrained": ("constrained",),
    "With earlier studies": ("transfer",),
}
"""A table each: its title, and the groups of its tasks."""


def document(folder: Path) -> str:
    """The whole report of a results folder."""
    sequential, pending = scores.load(folder, SEQUENTIAL), scores.load(folder, PENDING)
    parts = [_INTRODUCTION]
    for title, groups in TITLES.items():
        made = board(groups, sequential, [pending])
        if made.regrets:
            parts += [f"## {title}", *_group(made, each_task=len(groups) == 1)]
        if made.complete() and groups == ("multi_objective",):
            parts.append(_volumes(made, sequential))
        if made.regrets and groups == ("constrained",):
            parts.append(_infeasible(made, sequential))
    parts += list(_asynchronous(sequential, pending))
    parts += list(_seconds(sequential))
    parts += list(_latency(folder / "latency.jsonl"))
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """# Optimizers compared

![Regret against trials](optimizers.png)

Written by `make bench-report` from `benchmarks/optimizers/results/`; `benchmarks/optimizers/README.md` says
how it is run.

Mean normalised regret: 0 is the best known, 1 what random search reaches in the median with all trials; each run is
clipped at 2. In brackets 95 % bootstrap intervals over seeds with the tasks fixed; nothing in brackets where a task has
one seed. *Seeds* says how many a library has run, and whether the tasks differ in it. *Rank* is the mean over tasks of
the rank by regret at the end, among the libraries that have run all tasks of a table. Ranks, and the ratios of
paretune's regret to another's, compare two libraries on the seeds that both have."""


def _group(made: Board, *, each_task: bool) -> Iterator[str]:
    yield _means(made)
    if OURS in made.regrets and len(made.regrets) > 1:
        yield _against(made)
    if each_task:
        yield _per_task(made)


def _means(made: Board) -> str:
    peers, ranks = made.complete(), made.ranks()
    ends = sorted({task.trials for task in made.tasks})
    heads = [f"at {' or '.join(str(round(share * end)) for end in ends)}" for share in scores.SHARES]
    rows = []
    for peer in peers:
        of_peer = made.of(peer)
        low_k, high_k = bootstrap.interval(of_peer)
        cells = [_spread(*entry) for entry in zip(bootstrap.mean(of_peer), low_k, high_k, strict=True)]
        rows.append([_bold(peer), *cells, f"{ranks[peer]:.1f}", made.seeds(peer)])
    text = markdown(["", *heads, "rank", "seeds"], rows) if rows else "No library has run all of these tasks yet."
    partial = {peer: len(by_task) for peer, by_task in made.regrets.items() if peer not in peers}
    if partial:
        listed = ", ".join(f"{peer} ({count} of {len(made.tasks)})" for peer, count in sorted(partial.items()))
        text += f"\n\nHaving run only some of the tasks: {listed}."
    return text


def _against(made: Board) -> str:
    """paretune against each other one on what both have run: at the end, and in half of the trials."""
    half = scores.SHARES.index(1 / 2)
    rows = []
    for peer in (*made.complete(), *sorted(set(made.regrets) - set(made.complete()))):
        ours, theirs = made.paired(OURS, peer)
        if peer == OURS or not ours:
            continue
        ours_k, theirs_k = bootstrap.mean(ours), bootstrap.mean(theirs)
        low, high = bootstrap.ratio_interval([one[:, -1:] for one in ours], [one[:, -1:] for one in theirs])
        won = sum(a[:, -1].mean() < b[:, -1].mean() for a, b in zip(ours, theirs, strict=True))
        rows.append(
            [
                _bold(peer),
                f"{ours_k[half]:.3f}",
                f"{ours_k[-1]:.3f}",
                f"{theirs_k[-1]:.3f}",
                _spread(ours_k[-1] / theirs_k[-1], low, high),
                f"{won} of {len(ours)}",
                _counts([len(one) for one in ours]),
            ]
        )
    heads = ["paretune against", "ours, half the trials", "ours", "theirs", "ratio", "tasks won", "seeds of both"]
    return markdown(heads, rows)


def _per_task(made: Board) -> str:
    """The mean regret at the end, task by task, also of peers that have run only some."""

    def cell(peer: str, task: Task) -> str:
        by_seed = made.regrets[peer].get(task.name)
        return f"{np.mean([regrets[-1] for regrets in by_seed.values()]):.2f}" if by_seed else ""

    peers = [*made.complete(), *sorted(set(made.regrets) - set(made.complete()))]
    rows = [[_bold(peer), *(cell(peer, task) for task in made.tasks)] for peer in peers]
    return markdown(["at the end", *(task.name for task in made.tasks)], rows)


def _volumes(made: Board, results: Results) -> str:
    """log10 of the missing hypervolume at the end, and its mean rank."""
    missing = {
        peer: {
            task.name: {
                seed: scores.log_volume_difference(line, task.trials, made.against[task.name])
                for seed, line in results.lines[peer][task.name].items()
            }
            for task in made.tasks
        }
        for peer in made.complete()
    }
    ranks = bootstrap.ranks(missing)
    rows = [
        [
            _bold(peer),
            f"{ranks[peer]:.1f}",
            *(f"{np.mean(list(missing[peer][task.name].values())):.2f}" for task in made.tasks),
        ]
        for peer in sorted(missing, key=ranks.__getitem__)
    ]
    return markdown(["log10 of the missing hypervolume", "rank", *(task.name for task in made.tasks)], rows)


def _infeasible(made: Board, results: Results) -> str:
    """The share of trials that failed or broke a limit."""

    def share(peer: str, task: Task) -> str:
        lines = results.lines[peer].get(task.name, {}).values()
        return f"{np.mean([line['infeasible'] / line['trials'] for line in lines]):.0%}" if lines else ""

    rows = [[_bold(peer), *(share(peer, task) for task in made.tasks)] for peer in sorted(made.regrets)]
    return markdown(["infeasible trials", *(task.name for task in made.tasks)], rows)


def _asynchronous(sequential: Results, pending: Results) -> Iterator[str]:
    """What eight trials under way cost against one, at equal trials, on the runs that both have."""
    alone = board(ONE_OBJECTIVE, sequential, [pending])
    beside = board(ONE_OBJECTIVE, pending, [sequential])
    rows = []
    for peer in pending.peers:
        before, after = _last(*paired(alone.regrets.get(peer, {}), beside.regrets.get(peer, {})))
        if not before:
            continue
        first, second = float(bootstrap.mean(before)[0]), float(bootstrap.mean(after)[0])
        ratio = _spread(second / first, *bootstrap.ratio_interval(after, before))
        seeds = _counts([len(one) for one in before])
        rows.append([_bold(peer), f"{first:.3f}", f"{second:.3f}", ratio, str(len(before)), seeds])
    if rows:
        yield "## Eight trials under way"
        yield markdown(["mean regret at the end", "one at a time", "eight", "ratio", "tasks", "seeds of both"], rows)
        yield from (part for part in _group(beside, each_task=False) if beside.complete())


def _last(*both: list[Array]) -> tuple[list[Array], ...]:
    """The last column of each; shapes (seeds, 1)."""
    return tuple([regrets[:, -1:] for regrets in one] for one in both)


def _seconds(results: Results) -> Iterator[str]:
    """CPU seconds of asking and telling per run of 60 trials."""
    rows = []
    for peer in results.peers:
        lines = [line for by_seed in results.lines[peer].values() for line in by_seed.values()]
        spent = [sum(line["cpu_s"]) * line["trials"] / len(line["cpu_s"]) for line in lines if line["trials"] <= 60]
        if spent:
            rows.append([_bold(peer), f"{np.median(spent):.1f}", f"{max(spent):.1f}", str(len(spent))])
    if rows:
        yield "## CPU seconds of one run of 60 trials"
        yield markdown(["asking and telling, one thread", "median", "most", "runs"], rows)


def _latency(path: Path) -> Iterator[str]:
    """One ask and one tell with n observations, the latest line of each peer in `latency.jsonl`."""
    latest = {line["peer"]: line for line in records.read(path)}
    if not latest:
        return
    sizes = sorted({int(n) for line in latest.values() for n in line["median_ms"]})

    def cell(line: Mapping[str, Mapping[str, float]], n: int) -> str:
        if str(n) not in line["median_ms"]:
            return ""
        return f"{line['median_ms'][str(n)]:.0f} ({line['mean_ms'][str(n)]:.0f})"

    rows = [
        [_bold(peer), *(cell(line, n) for n in sizes), f"{line['peak_mb']:.0f}"]
        for peer, line in sorted(latest.items(), key=lambda pair: pair[1]["median_ms"].get("100", 0.0))
    ]
    yield "## One suggestion"
    yield (
        "CPU milliseconds of asking and telling once with n results, one thread, six mixed parameters: the median of "
        "eight in a row and, in brackets, the mean, which has the occasional fit in it. A library that took two "
        "minutes of CPU for fewer than eight was not asked with more results. The memory is the process's peak."
    )
    yield markdown(["", *(f"n = {n}" for n in sizes), "peak MB"], rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is left-aligned, the others right."""
    bar: Callable[[Sequence[str]], str] = lambda cells: "| " + " | ".join(cells) + " |"  # noqa: E731
    return "\n".join([bar(heads), bar(["---", *["---:"] * (len(heads) - 1)]), *map(bar, rows)])


def _spread(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} [{low:.2f}, {high:.2f}]"


def _bold(peer: str) -> str:
    return f"**{peer}**" if peer.startswith("paretune") else peer


def _counts(counts: Sequence[int]) -> str:
    """`3`, or `2 to 8`."""
    return " to ".join(map(str, sorted({min(counts), max(counts)})))
