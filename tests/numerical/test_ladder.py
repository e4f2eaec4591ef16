"""The model of whole trainings from trials that were cut short: dense algebra, and where first scores mislead."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import paretune as pt
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.kernel import covariances
from paretune.algorithms._gp.knowledge import Knowledge, learn
from paretune.algorithms._gp.ladder import Ladder
from paretune.algorithms._gp.process import Posterior, condition
from paretune.algorithms._gp.table import results, tabulate
from paretune.algorithms._gp.total import Part, Total
from paretune.objective import Objectives
from paretune.records import Observation, Status
from paretune.space import Space

RUNGS = (1.0, 3.0, 9.0)
SPACE = Space({"x": pt.Float(0, 1), "y": pt.Float(0, 1)})
LOSS = Objectives.from_dict({"loss": "minimize"})
LENGTHS = (torch.tensor([[0.3, 0.6]]).double(), torch.tensor([[0.5, 0.2]]).double())
NOISES = (0.01, 0.04)
FACTORS = (1.5, -0.7)


def process(X_nf: torch.Tensor, z_n: torch.Tensor, which: int) -> Posterior:
    noise_kn = torch.full((1, len(X_nf)), NOISES[which]).double()
    return condition(X_nf, z_n, lengths_kf=LENGTHS[which], noise_kn=noise_kn, mean_k=torch.tensor([0.2]).double())


def dense(X: list[torch.Tensor], Z: list[torch.Tensor], X_tf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the total at X_tf, by one joint normal distribution of everything."""
    mean_t, covariance_tt = torch.full((len(X_tf),), 0.5).double(), torch.zeros(len(X_tf), len(X_tf)).double()
    for factor, X_nf, z_n, lengths, noise in zip(FACTORS, X, Z, LENGTHS, NOISES, strict=True):
        K_tn = covariances(X_tf, X_nf, lengths[:, None], "matern52")[0]
        K_nn = covariances(X_nf, X_nf, lengths[:, None], "matern52")[0] + noise * torch.eye(len(X_nf)).double()
        K_tt = covariances(X_tf, X_tf, lengths[:, None], "matern52")[0]
        weights_nt = torch.linalg.solve(K_nn, K_tn.T)
        mean_t += factor * (0.2 + weights_nt.T @ (z_n - 0.2))
        covariance_tt += factor**2 * (K_tt - K_tn @ weights_nt)
    return mean_t, covariance_tt


@pytest.fixture
def known() -> tuple[Total, list[torch.Tensor], list[torch.Tensor]]:
    random = torch.Generator().manual_seed(3)
    X = [torch.rand(n, 2, generator=random).double() for n in (9, 5)]
    Z = [torch.randn(n, generator=random).double() for n in (9, 5)]
    parts = tuple(Part(process(X[i], Z[i], i), FACTORS[i]) for i in range(2))
    return Total(0.5, parts), X, Z


def test_a_total_is_the_sum_of_independent_processes(
    known: tuple[Total, list[torch.Tensor], list[torch.Tensor]],
) -> None:
    total, X, Z = known
    X_tf = torch.rand(7, 2, generator=torch.Generator().manual_seed(4)).double()
    mean_t, covariance_tt = dense(X, Z, X_tf)
    mean_kt1, sd_kt1 = total(X_tf)
    torch.testing.assert_close(mean_kt1[0, :, 0], mean_t)
    torch.testing.assert_close(sd_kt1[0, :, 0], covariance_tt.diagonal().sqrt())
    torch.testing.assert_close(total.covariance(X_tf, X_tf)[0], covariance_tt)


def test_an_imagined_total_conditions_the_rest(known: tuple[Total, list[torch.Tensor], list[torch.Tensor]]) -> None:
    total, X, Z = known
    points = torch.rand(6, 2, generator=torch.Generator().manual_seed(5)).double()
    X_pf, X_tf = points[:2], points[2:]
    grown, values_ksp = total.imagine(X_pf, torch.tensor([[0.3, -1.2], [2.0, 0.1]]).double())
    mean, covariance = dense(X, Z, torch.cat([X_pf, X_tf]))
    gain_tp = torch.linalg.solve(covariance[:2, :2], covariance[:2, 2:]).T
    mean_kts, sd_kt1 = grown(X_tf)
    for draw in range(2):
        given_t = mean[2:] + gain_tp @ (values_ksp[0, draw] - mean[:2])
        torch.testing.assert_close(mean_kts[0, :, draw], given_t, rtol=1e-5, atol=1e-6)
    left_tt = covariance[2:, 2:] - gain_tp @ covariance[:2, 2:]
    torch.testing.assert_close(sd_kt1[0, :, 0], left_tt.diagonal().sqrt(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(grown.covariance(X_tf, X_tf)[0], left_tt, rtol=1e-5, atol=1e-6)
    mean_kps, sd_kp1 = grown(X_pf)
    torch.testing.assert_close(mean_kps[0].T, values_ksp[0], rtol=1e-4, atol=1e-4)
    assert (sd_kp1 < 1e-3).all()


def loss(x: float, y: float, epoch: float) -> float:
    """Who is fast at first (a large x) ends badly."""
    return float((2 - x) / epoch + 2 * x * (1 - 1 / epoch) + 0.5 * (y - 0.4) ** 2)


def trained(rows: np.ndarray, reached: list[int], *, status: Status = "stopped") -> list[Observation]:
    """Trials at the rows' configurations, each cut short at its rung."""
    history = []
    for trial, ((x, y), last) in enumerate(zip(rows.tolist(), reached, strict=True)):
        curve = {rung: {"loss": loss(x, y, rung)} for rung in RUNGS[: last + 1]}
        ended: Status = "completed" if last == len(RUNGS) - 1 else status
        history.append(
            Observation(
                trial=trial, config={"x": x, "y": y}, status=ended, resource=RUNGS[last], metrics=curve[RUNGS[last]],
                curve=curve,
            )
        )  # fmt: skip
    return history


def learnt(history: list[Observation]) -> Knowledge:
    return learn(history, LOSS, Encoding(SPACE), rungs=RUNGS)


@pytest.fixture(scope="module")
def misled() -> list[Observation]:
    """Forty trials, of which ten got to the end: as many slow starters as fast ones."""
    rows = np.random.default_rng(0).random((40, 2))
    return trained(rows, [2 if i % 4 == 0 else i % 2 for i in range(40)])


def test_whole_trainings_are_forecast_where_first_scores_mislead(misled: list[Observation]) -> None:
    model = learnt(misled).model
    assert isinstance(model, Ladder)
    elsewhere = np.random.default_rng(1).random((60, 2))
    end_t = np.array([loss(x, y, RUNGS[-1]) for x, y in elsewhere])
    start_t = np.array([loss(x, y, RUNGS[0]) for x, y in elsewhere])
    mean_t1, sd_t1 = model.predict(elsewhere)
    assert spearmanr(mean_t1[:, 0], end_t)[0] > 0.95 > 0 > spearmanr(start_t, end_t)[0]
    assert np.mean(np.abs(mean_t1[:, 0] - end_t) < 3 * sd_t1[:, 0]) > 0.9


def test_lines_lead_from_a_rung_to_the_end(misled: list[Observation]) -> None:
    """What is left to a forecast from the ninth epoch's result, or the first one's, is less than the ends differ by."""
    model = learnt(misled).model
    assert isinstance(model, Ladder)
    elsewhere = np.random.default_rng(5).random((40, 2))
    end_t = np.array([loss(x, y, RUNGS[-1]) for x, y in elsewhere])
    for rung in RUNGS[:-1]:
        lines = [model.lines(row)[rung][0] for row in elsewhere]
        forecast_t = [
            slope * loss(x, y, rung) + offset for (slope, offset), (x, y) in zip(lines, elsewhere, strict=True)
        ]
        assert np.std(forecast_t - end_t) < 0.15 * np.std(end_t)


def test_a_truncated_score_is_not_taken_as_final(misled: list[Observation]) -> None:
    """A trial cut short with a score that no whole training reaches is no leader because of that."""
    cut = trained(np.array([[0.99, 0.4]]), [0])[0]
    lucky = Observation(
        trial=99, config=cut.config, status="stopped", resource=1.0, metrics={"loss": 0.9}, curve={1.0: {"loss": 0.9}}
    )
    assert cut.config not in [dict(config) for config in learnt([*misled, lucky]).leaders[:5]]


def test_the_order_of_statuses_does_not_matter_to_the_model(misled: list[Observation]) -> None:
    """Paused, running or stopped at a rung: what was seen is the same."""
    rows = np.array([[o.config["x"], o.config["y"]] for o in misled])
    reached = [len(o.curve) - 1 for o in misled]
    elsewhere = np.random.default_rng(1).random((5, 2))
    stopped = learnt(misled).model.predict(elsewhere)
    for status in ("paused", "running"):
        np.testing.assert_array_equal(learnt(trained(rows, reached, status=status)).model.predict(elsewhere), stopped)


def test_failed_and_diverged_trials_teach_nothing_but_where_trials_fail(misled: list[Observation]) -> None:
    lost = [
        Observation(trial=50 + i, config=o.config, status=status, resource=1.0, metrics={}, curve={1.0: {"loss": -9.0}})
        for i, (o, status) in enumerate(zip(misled, ("failed", "diverged"), strict=False))
    ]
    assert len(results([*misled, *lost], LOSS, RUNGS)) == len(misled)
    assert learnt([*misled, *lost]).feasibility is not None
    assert learnt(misled).feasibility is None


def test_a_rung_is_modelled_when_enough_have_reached_it() -> None:
    rows = np.random.default_rng(2).random((12, 2))
    encoding = Encoding(SPACE)
    few = tabulate(trained(rows, [0] * 9 + [1] * 3), LOSS, encoding, RUNGS)
    more = tabulate(trained(rows, [0] * 8 + [1] * 3 + [2]), LOSS, encoding, RUNGS)
    assert few.rungs == RUNGS[:1]
    assert more.rungs == RUNGS[:2]
    assert more.Y_rno.shape == (2, 12, 1)
    assert np.isnan(more.Y_rno[1]).sum() == 8


def test_a_training_that_ends_early_stays_as_it_was() -> None:
    """Its last result is its final one at every rung that it did not pass."""
    done = Observation(
        trial=0, config={"x": 0.5, "y": 0.5}, status="completed", resource=2.0, metrics={"loss": 0.3},
        curve={1.0: {"loss": 0.7}},
    )  # fmt: skip
    table = tabulate([done] * 4, LOSS, Encoding(SPACE), RUNGS)
    assert table.Y_rno[:, 0, 0].tolist() == [0.7, 0.3, 0.3]
