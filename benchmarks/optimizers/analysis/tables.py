"""Markdown tables of a folder of results."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.optimizers.analysis import bootstrap, scores
from benchmarks.optimizers.analysis.scores import Array, Results
from benchmarks.optimizers.references import Reference
from benchmarks.optimizers.tasks import GROUPS, Task

SEQUENTIAL, PENDING = "sequential", "pending8"

TITLES = {
    "core": "A few tasks of every group, for the slow libraries",
    "ml": "Training runs",
    "synthetic": "Closed forms",
    "noisy": "Noisy",
    "conditional": "Conditional",
    "many_dimensions": "Many dimensions (200 trials)",
    "multi_objective": "Several objectives (hypervolume)",
    "constrained": "Constrained",
    "transfer": "With earlier studies",
}


@dataclass(frozen=True, slots=True)
class Board:
    """A group's regrets: peer -> task -> (seeds, shares), with the references they were made with."""

    tasks: list[Task]
    regrets: Mapping[str, Mapping[str, Array]]
    against: Mapping[str, Reference]

    def complete(self) -> list[str]:
        """The peers that have run every task, the best last result first."""
        have = [peer for peer, by_task in self.regrets.items() if len(by_task) == len(self.tasks)]
        return sorted(have, key=lambda peer: float(bootstrap.mean(self.of(peer))[-1]))

    def of(self, peer: str) -> list[Array]:
        return list(self.regrets[peer].values())


def board(group: str, results: Results, others: Sequence[Results]) -> Board:
    """A group's board; `others` also contribute to the best known values."""
    chosen = scores.group_tasks(group)
    against = {task.name: scores.reference(task, [results, *others]) for task in chosen}
    found: dict[str, dict[str, Array]] = {}
    for task in chosen:
        for peer, regrets in scores.table(results, task, against[task.name]).items():
            found.setdefault(peer, {})[task.name] = regrets
    return Board(chosen, found, against)


def document(folder: Path) -> str:
    """The whole report of a results folder."""
    sequential, pending = scores.load(folder, SEQUENTIAL), scores.load(folder, PENDING)
    parts = [_INTRODUCTION]
    for group in ("core", *GROUPS):
        made = board(group, sequential, [pending])
        if made.regrets:
            parts += [f"## {TITLES[group]}", _group(made), _per_task(made)]
        if made.complete() and made.tasks[0].objectives > 1:
            parts.append(_volumes(made, sequential))
        if group == "constrained" and made.regrets:
            parts.append(_infeasible(made, sequential))
    parts += list(_asynchronous(sequential, pending))
    parts += list(_seconds(sequential))
    parts += list(_latency(folder / "latency.jsonl"))
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """# Optimizers compared

Written by `make bench-report` from `benchmarks/optimizers/results/`; `benchmarks/optimizers/README.md` says
how it is run.

Mean normalised regret: 0 is the best known, 1 what random search reaches in the median with all trials; each run is
clipped at 2. In brackets 95 % bootstrap intervals over seeds with the tasks fixed. *Rank* is the mean over tasks of the
rank by mean regret at the end, among the peers that have run all tasks of a table."""


def _group(made: Board) -> str:
    peers = made.complete()
    ends = sorted({task.trials for task in made.tasks})
    heads = [f"at {' or '.join(str(round(share * end)) for end in ends)}" for share in scores.SHARES]
    rows = []
    ranks = _ranks(made, peers)
    for peer in peers:
        of_peer = made.of(peer)
        mean_k = bootstrap.mean(of_peer)
        low_k, high_k = bootstrap.interval(of_peer)
        cells = [_spread(*entry) for entry in zip(mean_k, low_k, high_k, strict=True)]
        rows.append([_bold(peer), *cells, f"{ranks[peer]:.1f}", _seeds(of_peer)])
    text = markdown(["", *heads, "rank", "seeds"], rows) if rows else "No peer has run all of these tasks yet."
    partial = {peer: len(by_task) for peer, by_task in made.regrets.items() if peer not in peers}
    if partial:
        listed = ", ".join(f"{peer} ({count} of {len(made.tasks)})" for peer, count in sorted(partial.items()))
        text += f"\n\nHaving run only some of the tasks: {listed}."
    return text


def _ranks(made: Board, peers: list[str]) -> dict[str, float]:
    if not peers:
        return {}
    means_pT = np.array([[regrets[:, -1].mean() for regrets in made.of(peer)] for peer in peers])
    return dict(zip(peers, bootstrap.ranks(means_pT).tolist(), strict=True))


def _per_task(made: Board) -> str:
    """The mean regret at the end, task by task, also of peers that have run only some."""
    peers = [*made.complete(), *sorted(set(made.regrets) - set(made.complete()))]
    rows = [
        [
            _bold(peer),
            *(
                f"{made.regrets[peer][t.name][:, -1].mean():.2f}" if t.name in made.regrets[peer] else ""
                for t in made.tasks
            ),
        ]
        for peer in peers
    ]
    return markdown(["at the end", *(task.name for task in made.tasks)], rows)


def _volumes(made: Board, results: Results) -> str:
    """log10 of the missing hypervolume at the end, and its mean rank."""

    def mean(peer: str, task: Task) -> float:
        lines = results.lines[peer][task.name].values()
        return float(np.mean([scores.log_volume_difference(x, task.trials, made.against[task.name]) for x in lines]))

    peers = made.complete()
    means_pT = np.array([[mean(peer, task) for task in made.tasks] for peer in peers]).reshape(len(peers), -1)
    ranks = bootstrap.ranks(means_pT)
    order = np.argsort(ranks)
    rows = [[_bold(peers[i]), f"{ranks[i]:.1f}", *(f"{value:.2f}" for value in means_pT[i])] for i in order.tolist()]
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
    rows = []
    for peer in pending.peers:
        alone, beside = _paired(peer, sequential, pending)
        if not alone:
            continue
        before, after = float(bootstrap.mean(alone)[0]), float(bootstrap.mean(beside)[0])
        low, high = bootstrap.ratio_interval(beside, alone)
        rows.append([_bold(peer), str(len(alone)), f"{before:.3f}", f"{after:.3f}", _spread(after / before, low, high)])
    if rows:
        yield "## Eight trials under way"
        yield markdown(["mean regret at the end", "tasks", "one at a time", "eight", "ratio"], rows)


def _paired(peer: str, sequential: Results, pending: Results) -> tuple[list[Array], list[Array]]:
    """Regrets at the end of one peer's runs in both modes, task by task; shapes (seeds, 1)."""
    alone, beside = [], []
    for group in GROUPS:
        for task in scores.group_tasks(group):
            first = sequential.lines.get(peer, {}).get(task.name, {})
            second = pending.lines.get(peer, {}).get(task.name, {})
            seeds = sorted(set(first) & set(second))
            if not seeds:
                continue
            against = scores.reference(task, [sequential, pending])
            alone.append(np.array([[scores.regret(first[seed], task.trials, against)] for seed in seeds]))
            beside.append(np.array([[scores.regret(second[seed], task.trials, against)] for seed in seeds]))
    return alone, beside


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
    """One ask and one tell with n observations, from `latency.jsonl`."""
    if not path.exists():
        return
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    latest = {line["peer"]: line for line in lines}
    sizes = sorted({int(n) for line in latest.values() for n in line["median_ms"]})
    rows = [
        [
            _bold(peer),
            *(f"{line['median_ms'][str(n)]:.0f}" if str(n) in line["median_ms"] else "" for n in sizes),
            f"{line['peak_mb']:.0f}",
        ]
        for peer, line in sorted(latest.items())
    ]
    yield "## One suggestion"
    yield markdown(["median CPU ms of ask and tell, 6-D mixed space", *(f"n = {n}" for n in sizes), "peak MB"], rows)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is left-aligned, the others right."""
    bar: Callable[[Sequence[str]], str] = lambda cells: "| " + " | ".join(cells) + " |"  # noqa: E731
    return "\n".join([bar(heads), bar(["---", *["---:"] * (len(heads) - 1)]), *map(bar, rows)])


def _spread(mean: float, low: float, high: float) -> str:
    return f"{mean:.3f}" if np.isnan(low) else f"{mean:.3f} [{low:.2f}, {high:.2f}]"


def _bold(peer: str) -> str:
    return f"**{peer}**" if peer.startswith("paretune") else peer


def _seeds(of_peer: Sequence[Array]) -> str:
    counts = sorted({len(regrets) for regrets in of_peer})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
