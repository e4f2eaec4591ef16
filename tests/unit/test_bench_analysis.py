"""The optimizer benchmark's analysis: normalised regret, intervals, ranks, tables."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.optimizers import references, tasks
from benchmarks.optimizers.analysis import boards, bootstrap, figure, scores, tables
from benchmarks.optimizers.harness import records
from benchmarks.optimizers.references import Reference

AGAINST = Reference(best=1.0, random=3.0)


def line(*best: list[float], task: str = "levy5", seed: int = 0, **more: Any) -> dict[str, Any]:
    return {"task": task, "seed": seed, "trials": 60, "best": list(best), "cpu_s": [0.1] * 6, "infeasible": 0, **more}


def test_regret_is_nought_at_the_best_and_one_at_random() -> None:
    made = line([3, 4.0], [20, 3.0], [41, 2.0], [60, 1.0])
    assert [scores.regret(made, trials, AGAINST) for trials in (2, 3, 20, 40, 41, 60)] == [2.0, 1.5, 1.0, 1.0, 0.5, 0.0]
    assert scores.regret(line([1, 1e9]), 60, AGAINST) == scores.CLIP
    assert scores.regret(line([1, 0.5]), 60, AGAINST) == 0.0


def test_hypervolume_regret_runs_the_other_way() -> None:
    against = Reference(best=4.0, random=2.0)
    made = line([1, 0.0], [9, 2.0], [30, 3.0])
    assert [scores.regret(made, trials, against) for trials in (1, 9, 60)] == [2.0, 1.0, 0.5]
    assert scores.log_volume_difference(made, 60, against) == 0.0
    assert scores.log_volume_difference(line([1, 4.0]), 60, against) == pytest.approx(math.log10(4e-6))


def test_the_best_known_is_improved_by_runs_only_where_it_is_not_proved() -> None:
    results = scores.Results({"p": {"levy5": {0: line([1, -9.0])}, "network_digits": {0: line([1, 1e-3])}}})
    assert scores.reference(tasks.find("levy5"), [results]).best == 0.0
    assert scores.reference(tasks.find("network_digits"), [results]).best == 1e-3
    assert scores.reference(tasks.find("network_digits"), []).best == references.load()["network_digits"].best


def test_a_mean_weighs_tasks_equally() -> None:
    few, many = np.full((2, 1), 1.0), np.full((50, 1), 0.0)
    assert bootstrap.mean([few, many]) == pytest.approx([0.5])


def test_intervals_cover_the_mean_as_often_as_they_say() -> None:
    """Of 200 samples of two tasks with 12 seeds: 95 % nominal, and percentile intervals of small samples cover less."""
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        low, high = bootstrap.interval([rng.normal(1.0, 0.5, (12, 1)), rng.normal(2.0, 1.0, (12, 1))])
        hits += bool(low[0] <= 1.5 <= high[0])
    assert 0.86 <= hits / 200 <= 0.99


def test_one_seed_has_no_interval() -> None:
    low, high = bootstrap.interval([np.ones((1, 3)), np.ones((9, 3))])
    assert np.isnan(low).all()
    assert np.isnan(high).all()
    assert all(math.isnan(bound) for bound in bootstrap.ratio_interval([np.ones((1, 1))], [np.ones((4, 1))]))


def test_a_ratio_s_interval_holds_the_ratio() -> None:
    rng = np.random.default_rng(0)
    low, high = bootstrap.ratio_interval([rng.normal(2, 0.1, (10, 1))], [rng.normal(1, 0.1, (10, 1))])
    assert low < 2 < high
    assert high - low < 0.5


def test_ranks_share_equal_places() -> None:
    made = {
        "a": {"s": {0: 1.0}, "t": {0: 1.0}},
        "b": {"s": {0: 2.0}, "t": {0: 1.0}},
        "c": {"s": {0: 3.0}, "t": {0: 0.0}},
    }
    assert bootstrap.ranks(made) == {"a": 1.75, "b": 2.25, "c": 2.0}


def test_ranks_compare_on_the_seeds_that_both_have() -> None:
    """Of b's seeds only the first is c's too: there b wins, though its mean is worse."""
    made = {"a": {"t": {0: 0.0, 1: 0.0}}, "b": {"t": {0: 1.0, 1: 9.0}}, "c": {"t": {0: 2.0}}}
    assert bootstrap.ranks(made) == {"a": 1.0, "b": 2.0, "c": 3.0}
    assert bootstrap.ranks({"a": {"t": {0: 0.0}}, "b": {"t": {1: 1.0}}}) == {"a": 1.5, "b": 1.5}


def write_results(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for mode, worse in (("sequential", 1.0), ("pending8", 1.1)):
        for peer, level in (("paretune", 0.2), ("optuna-tpe", 0.6)):
            path = records.file(folder, mode, peer)
            for group in ("noisy", "multi_objective", "constrained"):
                for task in tasks.group(group).values():
                    known = references.load()[task.name]
                    for seed in range(3):
                        share = level * worse * rng.uniform(0.8, 1.2)
                        value = known.best + share * (known.random - known.best)
                        halfway = known.random
                        records.append(path, line([1, halfway], [30, value], task=task.name, seed=seed))
    half = records.file(folder, "sequential", "ax")
    records.append(half, line([1, 0.5], task="branin_noisy"))
    for peer, median in (("paretune", 120.0), ("ax", 700.0)):
        timed = {"median_ms": {"100": median}, "mean_ms": {"100": 2 * median}, "peak_mb": 400}
        records.append(folder / "latency.jsonl", {"peer": peer, **timed})


def test_the_document_ranks_and_names_who_is_missing(tmp_path: Path) -> None:
    write_results(tmp_path)
    text = tables.document(tmp_path)
    noisy = text.split("## Noisy")[1].split("##")[0]
    assert noisy.index("**paretune**") < noisy.index("| optuna-tpe")
    assert "ax (1 of 5)" in noisy
    against = next(row for row in noisy.splitlines() if row.startswith("| ax |"))
    assert [cell.strip() for cell in against.split("|")][6:8] == ["1 of 1", "1"]
    assert "| **paretune** | 120 (240) | 400 |" in text
    assert "log10 of the missing hypervolume" in text
    assert "infeasible trials" in text
    row = next(row for row in text.split("## Eight trials under way")[1].splitlines() if "**paretune**" in row)
    ratio = float(row.split("|")[4].split("[")[0])
    assert ratio == pytest.approx(1.1, abs=0.1)


def test_columns_are_the_shares_of_the_trials(tmp_path: Path) -> None:
    write_results(tmp_path)
    made = boards.board(["noisy"], scores.load(tmp_path, "sequential"), [])
    mean_k = bootstrap.mean(made.of("paretune"))
    assert mean_k[0] == pytest.approx(1.0)  # at 20 of 60, as written
    assert mean_k[1] == mean_k[3] < 0.3
    assert made.complete() == ["paretune", "optuna-tpe"]


def test_a_pair_run_again_counts_once(tmp_path: Path) -> None:
    path = records.file(tmp_path, "sequential", "p")
    records.append(path, line([1, 5.0]))
    records.append(path, line([1, 4.0]))
    assert scores.load(tmp_path, "sequential").lines["p"]["levy5"][0]["best"] == [[1, 4.0]]


def test_the_figure_is_a_picture(tmp_path: Path) -> None:
    write_results(tmp_path)
    figure.write(tmp_path, tmp_path / "docs" / "figure.png")
    assert (tmp_path / "docs" / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_the_figure_leaves_out_who_is_incomplete(tmp_path: Path) -> None:
    write_results(tmp_path)
    made = boards.board(["noisy"], scores.load(tmp_path, "sequential"), [], [0.5, 1.0])
    rows = pd.DataFrame(list(figure._rows(made, [0.5, 1.0])))
    assert list(rows["peer"]) == ["paretune", "paretune", "optuna-tpe", "optuna-tpe"]
    assert list(rows["trials"]) == [30.0, 60.0, 30.0, 60.0]


def test_the_figure_says_when_the_best_other_one_is_reached() -> None:
    ours = pd.DataFrame(
        {"peer": "paretune", "trials": [20.0, 40.0, 60.0], "mean": [0.9, 0.4, 0.2], "low": 0, "high": 1}
    )
    theirs = ours.assign(peer="optuna-gp", mean=[1.0, 0.7, 0.5])
    ahead = figure.chart({figure.PANELS[0]: pd.concat([ours, theirs])}).to_dict()
    assert "'text': '40 trials'" in str(ahead["datasets"])
    behind = figure.chart({figure.PANELS[0]: pd.concat([ours, theirs.assign(mean=0.1)])}).to_dict()
    assert "'text'" not in str(behind["datasets"])
