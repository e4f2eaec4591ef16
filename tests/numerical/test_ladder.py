"""The model of whole trainings from trials that were cut short: dense algebra, and where first scores mislead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import paretune as pt
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.kernel import covariances
from paretune.algorithms._gp.knowledge import Knowledge, learn
from paretune.algorithms._gp.ladder import Ladder
from paretune.algorithms._gp.levels import Levels, correlations
from paretune.algorithms._gp.posterior_mode import log_density
from paretune.algorithms._gp.process import Posterior, condition
from paretune.algorithms._gp.table import results, tabulate
from paretune.objective import Objectives
from paretune.records import Observation, Status
from paretune.space import Space

RUNGS = (1.0, 3.0, 9.0)
SPACE = Space({"x": pt.Float(0, 1), "y": pt.Float(0, 1)})
LOSS = Objectives.from_dict({"loss": "minimize"})
LENGTHS_KF = torch.tensor([[0.3, 0.6], [0.5, 0.2]]).double()
TIES_KQ = torch.tensor([[0.9, -0.4], [0.2, 1.5]]).double()
LEVEL_N = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])


def known(noise_n: torch.Tensor) -> tuple[Posterior, torch.Tensor, torch.Tensor]:
    """What ten results at three levels teach of the last one, under two members; the points and the results."""
    random = torch.Generator().manual_seed(3)
    X_nf, z_n = torch.rand(10, 2, generator=random).double(), torch.randn(10, generator=random).double()
    posterior = condition(
        X_nf, z_n, lengths_kf=LENGTHS_KF, noise_kn=noise_n.expand(2, -1), mean_k=torch.tensor([0.2, -0.1]).double(),
        levels=Levels(LEVEL_N, 3), correlations_krr=correlations(TIES_KQ),
    )  # fmt: skip
    return posterior, X_nf, z_n


def dense(
    X_nf: torch.Tensor, z_n: torch.Tensor, noise_n: torch.Tensor, X_tf: torch.Tensor, member: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and covariance of the last level at X_tf, by one joint normal distribution of everything."""
    first, second = torch.tanh(TIES_KQ[member]).tolist()
    C_rr = torch.tensor([[1, first, first * second], [first, 1, second], [first * second, second, 1]]).double()
    lengths_1f = LENGTHS_KF[member][None]
    K_nn = covariances(X_nf, X_nf, lengths_1f, "matern52") * C_rr[LEVEL_N][:, LEVEL_N] + torch.diag(noise_n)
    K_tn = covariances(X_tf, X_nf, lengths_1f, "matern52") * C_rr[2, LEVEL_N]
    weights_nt = torch.linalg.solve(K_nn, K_tn.T)
    mean = (0.2, -0.1)[member]
    return mean + weights_nt.T @ (z_n - mean), covariances(X_tf, X_tf, lengths_1f, "matern52") - K_tn @ weights_nt


def test_results_of_all_levels_teach_of_the_last_one() -> None:
    noise_n = torch.linspace(0.01, 0.2, 10).double()
    posterior, X_nf, z_n = known(noise_n)
    X_tf = torch.rand(7, 2, generator=torch.Generator().manual_seed(4)).double()
    mean_kt1, sd_kt1 = posterior(X_tf)
    for member in range(2):
        mean_t, covariance_tt = dense(X_nf, z_n, noise_n, X_tf, member)
        torch.testing.assert_close(mean_kt1[member, :, 0], mean_t)
        torch.testing.assert_close(posterior.mean(X_tf)[member, :, 0], mean_t)
        torch.testing.assert_close(sd_kt1[member, :, 0], covariance_tt.diagonal().sqrt())
        torch.testing.assert_close(posterior.covariance(X_tf, X_tf)[member], covariance_tt)


def test_imagined_ends_condition_the_rest() -> None:
    noise_n = torch.full((10,), 0.05).double()
    posterior, X_nf, z_n = known(noise_n)
    points = torch.rand(6, 2, generator=torch.Generator().manual_seed(5)).double()
    X_pf, X_tf = points[:2], points[2:]
    grown, values_ksp = posterior.imagine(X_pf, torch.tensor([[0.3, -1.2], [2.0, 0.1]]).double())
    mean_kts, _ = grown(X_tf)
    for member in range(2):
        mean, covariance = dense(X_nf, z_n, noise_n, points, member)
        gain_tp = torch.linalg.solve(covariance[:2, :2], covariance[:2, 2:]).T
        for draw in range(2):
            given_t = mean[2:] + gain_tp @ (values_ksp[member, draw] - mean[:2])
            torch.testing.assert_close(mean_kts[member, :, draw], given_t, rtol=1e-5, atol=1e-6)
        left_tt = covariance[2:, 2:] - gain_tp @ covariance[:2, 2:]
        torch.testing.assert_close(grown.covariance(X_tf, X_tf)[member], left_tt, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bent", [False, True])
def test_the_gradient_by_ties_and_noises_is_that_of_the_density(bent: bool) -> None:
    rng = np.random.default_rng(0)
    X_nf, z_n = torch.from_numpy(rng.random((20, 3))), torch.from_numpy(rng.standard_normal(20))
    levels = Levels(rng.integers(0, 3, 20), 3)
    theta_p = rng.standard_normal(3 + 2 + 6 * bent + 4) / 2

    def density(theta_p: np.ndarray) -> float:
        return log_density(theta_p[None], X_nf, z_n, dimensions=3, levels=levels)[0].item()

    gradient_p = log_density(theta_p[None], X_nf, z_n, dimensions=3, levels=levels)[1][0]
    steps_pp = 1e-6 * np.eye(len(theta_p))
    differences_p = [(density(theta_p + step) - density(theta_p - step)) / 2e-6 for step in steps_pp]
    np.testing.assert_allclose(gradient_p, differences_p, rtol=1e-5, atol=1e-6)


def test_where_all_are_trained_whole_the_ends_alone_decide() -> None:
    """Without noise, the last level given itself does not depend on the others (Bonilla et al., 2008, section 2.3)."""
    random = torch.Generator().manual_seed(7)
    X_nf, Z_rn = torch.rand(8, 2, generator=random).double(), torch.randn(3, 8, generator=random).double()
    X_tf = torch.rand(5, 2, generator=random).double()
    quiet: dict[str, torch.Tensor] = {"lengths_kf": LENGTHS_KF[:1], "mean_k": torch.tensor([0.2]).double()}
    ends = condition(X_nf, Z_rn[2], noise_kn=torch.full((1, 8), 1e-8).double(), **quiet)
    everything = condition(
        X_nf.repeat(3, 1), Z_rn.flatten(), noise_kn=torch.full((1, 24), 1e-8).double(), **quiet,
        levels=Levels(np.repeat(np.arange(3), 8), 3), correlations_krr=correlations(TIES_KQ[:1]),
    )  # fmt: skip
    for found, expected in zip(everything(X_tf), ends(X_tf), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_what_stays_as_it_is_is_known_from_any_rung() -> None:
    """A model's size, say: trials that were stopped tell it as well as whole ones."""
    both = Objectives.from_dict({"loss": "minimize", "size": "minimize"})
    rows = np.random.default_rng(6).random((30, 2))
    history = [
        replace(
            seen,
            metrics={**seen.metrics, "size": 1 + seen.config["x"] ** 2},
            curve={rung: {**told, "size": 1 + seen.config["x"] ** 2} for rung, told in seen.curve.items()},
        )
        for seen in trained(rows, [2 if i % 6 == 0 else 0 for i in range(30)])
    ]
    elsewhere = np.random.default_rng(1).random((40, 2))
    mean_to, sd_to = learn(history, both, Encoding(SPACE), rungs=RUNGS).model.predict(elsewhere)
    assert np.abs(mean_to[:, 1] - 1 - elsewhere[:, 0] ** 2).max() < 0.02
    assert sd_to[:, 1].max() < 0.05 < sd_to[:, 0].max()


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
        forecast_t = [line.end(loss(x, y, rung)) for line, (x, y) in zip(lines, elsewhere, strict=True)]
        hopeful_t = [line.end(loss(x, y, rung), sds=-3.0) for line, (x, y) in zip(lines, elsewhere, strict=True)]
        careful_t = [line.end(loss(x, y, rung), sds=3.0) for line, (x, y) in zip(lines, elsewhere, strict=True)]
        assert np.std(forecast_t - end_t) < 0.15 * np.std(end_t)
        assert np.mean((hopeful_t < end_t) & (end_t < careful_t)) > 0.9


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
