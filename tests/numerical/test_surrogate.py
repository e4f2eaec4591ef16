"""The Gaussian process against other people's, and against what must come out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.distributions import MultivariateNormal
from gpytorch.kernels import MaternKernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood, GaussianLikelihood
from gpytorch.means import ConstantMean
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from scipy.optimize import check_grad
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

import paretune as pt
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.kernel import PROFILES, covariances
from paretune.algorithms._gp.outcomes import Scale
from paretune.algorithms._gp.posterior_mode import (
    NOISE_PRIOR,
    NOISES,
    bounds,
    lengthscale_prior,
    log_density,
    log_normal,
    posterior_mode,
)
from paretune.algorithms._gp.posterior_sample import posterior_sample
from paretune.algorithms._gp.settings import Kernel
from paretune.algorithms._gp.surrogate import fit
from paretune.errors import ParetuneError


def data(n: int, d: int, m: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X_nf = rng.random((n, d))
    Y_nm = np.stack([10.0**j * (np.sin(5 * X_nf[:, 0] + j) + X_nf.sum(1) ** 2) for j in range(m)], axis=1)
    return X_nf, Y_nm


SMOOTHNESS: dict[Kernel, float] = {"matern52": 2.5, "matern32": 1.5, "rbf": np.inf}


@pytest.mark.parametrize("kernel", SMOOTHNESS)
def test_predictions_are_those_of_scikit_learn_with_the_same_hyperparameters(kernel: Kernel) -> None:
    X_nf, Y_nm = data(20, 3, 2)
    X_tf = np.random.default_rng(1).random((7, 3))
    surrogate = fit(X_nf, Y_nm, dimensions=3, kernel=kernel)
    mean_tm, sd_tm = surrogate.predict(X_tf)
    for j, mode in enumerate(surrogate.modes):
        unit = surrogate.scale.own_units_m()[j]
        same = Matern(mode.lengthscales_f, "fixed", nu=SMOOTHNESS[kernel])
        other = GaussianProcessRegressor(same, alpha=mode.noise, optimizer=None)
        other.fit(X_nf, surrogate.scale.apply(Y_nm)[:, j] - mode.mean)
        mean_t, sd_t = other.predict(X_tf, return_std=True)
        expected_t, _ = surrogate.scale.restore((mean_t + mode.mean)[:, None], sd_t[:, None])
        assert mean_tm[:, j] == pytest.approx(expected_t[:, j], rel=1e-6)
        assert sd_tm[:, j] == pytest.approx(unit * sd_t, rel=1e-5)


def test_kernel_and_input_warping_are_settings() -> None:
    def asked(**settings: object) -> dict[str, object]:
        space = {"x": pt.Float(0, 1), "y": pt.Float(0, 1)}
        opt = pt.Optimizer(space, {"error": "minimize"}, algorithm={"name": "gp", **settings}, seed=0)
        for _ in range(6):
            suggestion = opt.ask()
            opt.tell(suggestion, {"error": abs(suggestion.config["x"] - 0.4) + suggestion.config["y"]})
        return dict(opt.ask().config)

    assert asked() == asked(kernel="matern52")
    assert len({str(asked(kernel=kernel)) for kernel in SMOOTHNESS}) == 3
    assert asked() == asked(input_warping=False) != asked(input_warping=True)
    with pytest.raises(ParetuneError, match="kernel"):
        asked(kernel="cubic")


@pytest.mark.parametrize("kernel", SMOOTHNESS)
def test_the_density_is_gpytorchs_at_any_hyperparameters(kernel: Kernel) -> None:
    X_nf, Y_nm = data(12, 4, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy(Y_nm[:, 0] - 3)
    for theta in np.random.default_rng(0).normal(size=(5, 6)):
        theirs = get_covar_module_with_dim_scaled_prior(4, use_rbf_kernel=kernel == "rbf")
        if kernel != "rbf":
            theirs.nu = SMOOTHNESS[kernel]
        likelihood = GaussianLikelihood(noise_prior=LogNormalPrior(*NOISE_PRIOR))
        model = _exact(X, z_n, theirs, likelihood, theta)
        expected = ExactMarginalLogLikelihood(likelihood, model)(model(X), z_n).item()
        found = log_density(theta[None], X, z_n, dimensions=4, kernel=kernel)[0].item() / len(z_n)
        assert found == pytest.approx(expected, rel=1e-7)  # its priors are single precision


@pytest.mark.parametrize("known", [None, torch.linspace(0.0, 2.0, 15, dtype=torch.double)])
@pytest.mark.parametrize("kernel", SMOOTHNESS)
def test_the_density_has_the_gradient_it_says(kernel: Kernel, known: torch.Tensor | None) -> None:
    X_nf, Y_nm = data(15, 3, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy(Y_nm[:, 0])
    for theta in np.random.default_rng(0).normal(size=(5, 5)):
        error = check_grad(
            lambda t: log_density(t[None], X, z_n, dimensions=3, kernel=kernel, known_n=known)[0].item(),
            lambda t: log_density(t[None], X, z_n, dimensions=3, kernel=kernel, known_n=known)[1][0],
            theta,
        )
        assert error < 1e-4


def test_the_density_has_the_gradient_it_says_where_columns_are_bent() -> None:
    X_nf, Y_nm = data(15, 3, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy(Y_nm[:, 0])
    for theta in 0.5 * np.random.default_rng(0).normal(size=(5, 11)):
        error = check_grad(
            lambda t: log_density(t[None], X, z_n, dimensions=3)[0].item(),
            lambda t: log_density(t[None], X, z_n, dimensions=3)[1][0],
            theta,
        )
        assert error < 1e-4


def test_powers_of_one_bend_nothing() -> None:
    X_nf, Y_nm = data(15, 3, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy(Y_nm[:, 0])
    theta = np.random.default_rng(0).normal(size=(1, 5))
    straight, _ = log_density(theta, X, z_n, dimensions=3)
    bent, _ = log_density(np.pad(theta, ((0, 0), (0, 6))), X, z_n, dimensions=3)
    assert bent == pytest.approx(straight, rel=1e-9)


def test_columns_are_bent_where_a_function_asks_for_it() -> None:
    """A wave that is ten times as fast at one end: bent, it is predicted better; and only what may be bent is."""
    rng = np.random.default_rng(0)
    X_nf, X_tf = rng.random((25, 2)), rng.random((200, 2))

    def wave(X: np.ndarray) -> np.ndarray:
        return np.sin(9 * X[:, :1] ** 0.25)

    straight = fit(X_nf, wave(X_nf), dimensions=2)
    bent = fit(X_nf, wave(X_nf), dimensions=2, bent_f=(True, False))
    powers_2f = bent.modes[0].powers_2f
    assert powers_2f is not None
    assert powers_2f[0, 0] < 0.8
    assert powers_2f[:, 1] == pytest.approx(1.0)
    (posterior,) = fit(X_nf, wave(X_nf), dimensions=2, bent_f=(True, False), members=4).posteriors
    assert posterior.powers_2k1f is not None
    assert len(posterior.powers_2k1f[0, :, 0, 0].unique()) > 1
    assert posterior.powers_2k1f[..., 1].flatten().tolist() == pytest.approx([1.0] * 8)
    inside_tf = torch.from_numpy(X_tf[:5]).requires_grad_(True)
    assert torch.autograd.gradcheck(posterior, inside_tf)
    errors = [np.abs(model.predict(X_tf)[0] - wave(X_tf)).mean() for model in (straight, bent)]
    assert errors[1] < errors[0]


def test_predictions_of_bent_columns_are_those_of_scikit_learn_on_them() -> None:
    X_nf, Y_nm = data(20, 2, 1)
    X_tf = np.random.default_rng(1).random((7, 2))
    surrogate = fit(X_nf, Y_nm, dimensions=2, bent_f=(True, True))
    (mode,) = surrogate.modes
    assert mode.powers_2f is not None
    a_f, b_f = mode.powers_2f
    other = GaussianProcessRegressor(Matern(mode.lengthscales_f, "fixed", nu=2.5), alpha=mode.noise, optimizer=None)
    other.fit(1 - (1 - X_nf**a_f) ** b_f, surrogate.scale.apply(Y_nm)[:, 0] - mode.mean)
    mean_t, sd_t = other.predict(1 - (1 - X_tf**a_f) ** b_f, return_std=True)
    mean_tm, sd_tm = surrogate.scale.restore((mean_t + mode.mean)[:, None], sd_t[:, None])
    found_tm, found_sd_tm = surrogate.predict(X_tf)
    assert found_tm == pytest.approx(mean_tm, rel=1e-6)
    assert found_sd_tm == pytest.approx(sd_tm, rel=1e-4)


@pytest.mark.parametrize("kernel", PROFILES)
def test_a_covariance_has_the_gradient_it_says(kernel: Kernel) -> None:
    """Where points coincide, too: there it is zero."""
    rng = np.random.default_rng(0)
    X_af, X_bf = (torch.from_numpy(rng.random((n, 3))).requires_grad_(True) for n in (4, 5))
    lengths_1f = torch.tensor([[0.3, 0.6, 2.0]], dtype=torch.double)
    assert torch.autograd.gradcheck(lambda a, b: covariances(a, b, lengths_1f, kernel), (X_af, X_bf))
    (at_itself_af,) = torch.autograd.grad(covariances(X_af, X_af.detach(), lengths_1f, kernel).diagonal().sum(), X_af)
    assert at_itself_af.abs().max() < 1e-12


def test_known_variances_are_those_of_gpytorchs_fixed_noise() -> None:
    """Its `FixedNoiseGaussianLikelihood` holds known and inferred noise together; the priors are added by hand."""
    X_nf, Y_nm = data(12, 2, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy(Y_nm[:, 0] - 3)
    known_n = torch.linspace(0.0, 1.5, 12, dtype=torch.double)
    for theta in np.random.default_rng(0).normal(size=(5, 4)):
        likelihood = FixedNoiseGaussianLikelihood(noise=known_n + float(np.exp(theta[2])))
        mean, kernel = ConstantMean().double(), MaternKernel(nu=2.5, ard_num_dims=2).double()
        mean.constant, kernel.lengthscale = torch.tensor(theta[3]), torch.from_numpy(np.exp(theta[:2]))
        marginal = likelihood(MultivariateNormal(mean(X), kernel(X))).log_prob(z_n).item()
        priors = log_normal(theta[:2], *lengthscale_prior(2)).sum() + log_normal(theta[2], *NOISE_PRIOR)
        found = log_density(theta[None], X, z_n, dimensions=2, known_n=known_n)[0].item()
        assert found == pytest.approx(marginal + priors, rel=1e-6)


def test_known_errors_weigh_outcomes_as_scikit_learn_does() -> None:
    X_nf, Y_nm = data(20, 3, 1)
    X_tf = np.random.default_rng(1).random((7, 3))
    errors_nm = np.random.default_rng(2).random((20, 1))
    surrogate = fit(X_nf, Y_nm, dimensions=3, errors_nm=errors_nm)
    (mode,), (unit,) = surrogate.modes, surrogate.scale.own_units_m()
    kernel = Matern(mode.lengthscales_f, "fixed", nu=2.5)
    other = GaussianProcessRegressor(kernel, alpha=mode.noise + (errors_nm[:, 0] / unit) ** 2, optimizer=None)
    mean_t, sd_t = other.fit(X_nf, surrogate.scale.apply(Y_nm)[:, 0] - mode.mean).predict(X_tf, return_std=True)
    expected_t, _ = surrogate.scale.restore((mean_t + mode.mean)[:, None], sd_t[:, None])
    mean_tm, sd_tm = surrogate.predict(X_tf)
    assert mean_tm == pytest.approx(expected_t, rel=1e-6)
    assert sd_tm[:, 0] == pytest.approx(unit * sd_t, rel=1e-5)


def test_an_error_through_the_warp_is_what_it_is_far_from_the_best_and_no_more_than_the_warp_bends_at_it() -> None:
    Y_n1 = np.linspace(0.0, 10.0, 21)[:, None]
    scale = Scale.of(Y_n1, strength_m=np.array([100.0]))
    sd_n = np.sqrt(scale.variances(Y_n1, np.full((21, 1), 0.2)))[:, 0]
    around_n = (scale.apply(Y_n1 + 0.1) - scale.apply(Y_n1 - 0.1))[:, 0]
    assert sd_n[1:] == pytest.approx(around_n[1:], rel=0.3)
    assert sd_n[0] == pytest.approx((scale.apply(Y_n1[:1] + 0.2) - scale.apply(Y_n1[:1])).item())


def test_the_mode_is_no_worse_than_scikit_learns_on_the_likelihood_alone() -> None:
    """With 150 points the prior hardly matters: lengthscales and noise must agree with a maximum-likelihood fit."""
    X_nf, Y_nm = data(150, 2, 1)
    z_n = (Y_nm[:, 0] - Y_nm.mean()) / Y_nm.std() + 0.05 * np.random.default_rng(0).standard_normal(150)
    kernel = Matern([1.0, 1.0], (1e-2, 1e2), nu=2.5) + WhiteKernel(1e-2, (1e-4, 1.0))
    other = GaussianProcessRegressor(kernel).fit(X_nf, z_n)
    mode = posterior_mode(torch.from_numpy(X_nf), torch.from_numpy(z_n), dimensions=2)
    assert mode.noise == pytest.approx(other.kernel_.k2.noise_level, rel=0.15)
    assert mode.lengthscales_f == pytest.approx(other.kernel_.k1.length_scale, rel=0.3)


def test_the_sample_is_of_the_posterior() -> None:
    """Mean and spread of many members against a long random walk by Metropolis's rule."""
    X_nf, Y_nm = data(12, 2, 1)
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy((Y_nm[:, 0] - Y_nm.mean()) / Y_nm.std())
    mode = posterior_mode(X, z_n, dimensions=2)
    members, _ = posterior_sample(X, z_n, mode, members=400, dimensions=2)
    drawn = np.array([member.theta_p for member in members])
    walked = _walk(lambda t: log_density(t, X, z_n, dimensions=2)[0], mode.theta_p, chains=400, steps=400)
    assert drawn.mean(0) == pytest.approx(walked.mean(0), abs=0.35)
    assert drawn.std(0) == pytest.approx(walked.std(0), rel=0.35)


def test_members_differ_where_the_noise_is_at_its_bound() -> None:
    """Of results without noise the most probable one is the least allowed; lengthscales are uncertain all the same."""
    X_nf = np.random.default_rng(0).random((50, 2))
    Y_n = np.sin(5 * X_nf[:, 0]) + 0.2 * X_nf[:, 1]
    X, z_n = torch.from_numpy(X_nf), torch.from_numpy((Y_n - Y_n.mean()) / Y_n.std())
    mode = posterior_mode(X, z_n, dimensions=2)
    assert mode.noise == pytest.approx(NOISES[0])
    members, _ = posterior_sample(X, z_n, mode, members=16, dimensions=2)
    assert len({member.lengthscales_f.tobytes() for member in members}) > 8
    assert all(member.noise == pytest.approx(NOISES[0]) for member in members)


def _walk(density: Callable[[np.ndarray], np.ndarray], start: np.ndarray, *, chains: int, steps: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    low, high = bounds(len(start) - 2)
    theta = np.tile(start, (chains, 1))
    value = density(theta)
    for _ in range(steps):
        there = theta + 0.6 * rng.standard_normal(theta.shape)
        inside = ((low <= there) & (there <= high)).all(1)
        there_value = np.where(inside, density(np.clip(there, low, high)), -np.inf)
        moved = np.log(rng.random(chains)) < there_value - value
        theta, value = np.where(moved[:, None], there, theta), np.where(moved, there_value, value)
    return theta


def test_the_fit_draws_nothing_and_equal_data_give_equal_bits() -> None:
    X_nf, Y_nm = data(30, 5, 2)
    torch.manual_seed(1)
    first = fit(X_nf, Y_nm, dimensions=5)
    torch.manual_seed(2)
    second = fit(X_nf, Y_nm, dimensions=5)
    labels = list("abcde")
    assert first.hyperparameters(labels) == second.hyperparameters(labels)


def test_an_irrelevant_column_gets_the_longer_lengthscale() -> None:
    rng = np.random.default_rng(0)
    X_nf = rng.random((40, 2))
    surrogate = fit(X_nf, np.sin(8 * X_nf[:, :1]), dimensions=2)
    (record,) = surrogate.hyperparameters(["used", "unused"])
    assert record["lengthscales"]["unused"] > 3 * record["lengthscales"]["used"]
    assert record["noise"] < 0.05


def test_noise_is_told_from_signal_in_the_metrics_own_units() -> None:
    rng = np.random.default_rng(0)
    X_nf = rng.random((200, 1))
    Y_nm = 1000 + 100 * np.sin(6 * X_nf) + 20 * rng.standard_normal((200, 1))
    (record,) = fit(X_nf, Y_nm, dimensions=1).hyperparameters(["x"])
    assert record["noise"] == pytest.approx(20, rel=0.15)


def test_an_exploded_value_does_not_flatten_the_rest() -> None:
    X_nf, Y_nm = data(25, 2, 1)
    spoiled_nm = Y_nm.copy()
    spoiled_nm[3] = 1e9
    others = np.arange(25) != 3
    mean_tm, _ = fit(X_nf, spoiled_nm, dimensions=2).predict(X_nf[others])
    assert np.corrcoef(mean_tm[:, 0], Y_nm[others, 0])[0, 1] > 0.95


def test_values_beyond_a_limit_stay_beyond_it() -> None:
    """Limit 50 lies above the fence of these values; what breaks it must not come to lie within."""
    Y_nm = np.array([[0.0], [1.0], [2.0], [3.0], [100.0]])
    scale = fit(np.linspace(0, 1, 5)[:, None], Y_nm, dimensions=1, keep_m=np.array([50.0])).scale
    assert scale.apply(Y_nm)[4, 0] > scale.apply(np.array([50.0]))[0] > scale.apply(Y_nm)[3, 0]


def test_where_trials_fail_is_learnt() -> None:
    X_nf = np.linspace(0, 1, 21)[:, None]
    with reproducible(0):
        model = Feasibility(X_nf, X_nf[:, 0] < 0.62, dimensions=1)
        log_p = model.log_probability(torch.tensor([[0.1], [0.5], [0.625], [0.9]], dtype=torch.double))
    p = log_p.exp().tolist()
    assert p[0] > 0.99
    assert p[1] > 0.95
    assert 0.1 < p[2] < 0.9
    assert p[3] < 0.02


def _exact(
    X: torch.Tensor, z_n: torch.Tensor, kernel: object, likelihood: object, theta: np.ndarray
) -> torch.nn.Module:
    from botorch.models import SingleTaskGP

    model = SingleTaskGP(X, z_n[:, None], covar_module=kernel, likelihood=likelihood, outcome_transform=None)
    model.covar_module.lengthscale = torch.from_numpy(np.exp(theta[:4]))
    model.likelihood.noise = torch.tensor([float(np.exp(theta[4]))], dtype=torch.double)
    model.mean_module.constant = torch.tensor(float(theta[5]), dtype=torch.double)
    return model.train()


@pytest.mark.parametrize("seed", range(20))
def test_a_climb_survives_any_data(seed: int) -> None:
    """Few points, steps, cliffs, clusters: the search over logarithms must stay within the range of numbers."""
    rng = np.random.default_rng(seed)
    n, d = int(rng.integers(2, 30)), int(rng.integers(1, 7))
    X_nf = np.round(rng.random((n, d)), int(rng.integers(0, 4)))
    Y_nm = np.exp(rng.normal(scale=seed, size=(n, 1))) + 100.0 * (X_nf[:, :1] > 0.5)
    surrogate = fit(X_nf, Y_nm, dimensions=d)
    mean_tm, sd_tm = surrogate.predict(rng.random((5, d)))
    assert np.isfinite(mean_tm).all()
    assert (sd_tm > 0).all()
