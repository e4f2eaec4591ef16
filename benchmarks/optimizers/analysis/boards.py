"""Everybody's regrets on a set of tasks, whoever has run how many seeds.

Libraries differ by a hundred times in speed, so they have run different numbers of seeds. Means take all of a peer's
seeds; ranks and ratios compare two peers on the seeds that both have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.optimizers.analysis import bootstrap, scores
from benchmarks.optimizers.analysis.scores import Array, Results
from benchmarks.optimizers.references import Reference
from benchmarks.optimizers.tasks import Task


@dataclass(frozen=True, slots=True)
class Board:
    """Regrets: peer -> task -> seed -> (shares,), with the references they were made with."""

    tasks: list[Task]
    regrets: Mapping[str, Mapping[str, Mapping[int, Array]]]
    against: Mapping[str, Reference]

    def complete(self) -> list[str]:
        """The peers that have run every task, the best last result first."""
        have = [peer for peer, by_task in self.regrets.items() if len(by_task) == len(self.tasks)]
        return sorted(have, key=lambda peer: float(bootstrap.mean(self.of(peer))[-1]))

    def of(self, peer: str) -> list[Array]:
        """A peer's regrets task by task, with all of its seeds; shapes (seeds, shares)."""
        return [np.array(list(by_seed.values())) for by_seed in self.regrets[peer].values()]

    def seeds(self, peer: str) -> str:
        """How many seeds a peer has, as `3` or `2 to 8`."""
        counts = sorted({len(by_seed) for by_seed in self.regrets[peer].values()})
        return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"

    def ranks(self) -> dict[str, float]:
        """The mean ranks at the end of those who are complete."""
        last = {
            peer: {
                task: {seed: float(regrets[-1]) for seed, regrets in by_seed.items()}
                for task, by_seed in self.regrets[peer].items()
            }
            for peer in self.complete()
        }
        return bootstrap.ranks(last)

    def paired(self, first: str, second: str) -> tuple[list[Array], list[Array]]:
        """Both peers' regrets task by task on the seeds that both have; shapes (seeds, shares), equal in pairs."""
        return paired(self.regrets.get(first, {}), self.regrets.get(second, {}))


def paired(
    first: Mapping[str, Mapping[int, Array]], second: Mapping[str, Mapping[int, Array]]
) -> tuple[list[Array], list[Array]]:
    """The regrets of two (task -> seed -> regrets) where both have the task and the seed; tasks of neither drop out."""
    ours, theirs = [], []
    for task in first:
        seeds = sorted(set(first[task]) & set(second.get(task, {})))
        if seeds:
            ours.append(np.array([first[task][seed] for seed in seeds]))
            theirs.append(np.array([second[task][seed] for seed in seeds]))
    return ours, theirs


def board(
    groups: Sequence[str], results: Results, others: Sequence[Results], shares: Sequence[float] = scores.SHARES
) -> Board:
    """The board of all tasks of some groups; `others` also contribute to the best known values."""
    chosen = [task for group in groups for task in scores.group_tasks(group)]
    against = {task.name: scores.reference(task, [results, *others]) for task in chosen}
    found: dict[str, dict[str, Mapping[int, Array]]] = {}
    for task in chosen:
        for peer, by_seed in scores.regrets(results, task, against[task.name], shares).items():
            found.setdefault(peer, {})[task.name] = by_seed
    return Board(chosen, found, against)
