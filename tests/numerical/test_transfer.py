"""What earlier studies are worth: prior means against closed forms, and searches with and without them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.prior import Prior
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.algorithms._gp.transfer import Lessons, average, lessons_of, prior_mean, priors
from paretune.earlier import Source
from paretune.objective import Objectives
from paretune.records import Observation
from paretune.space import Choice, Config, Float, Int, Space

ONE = Objectives.from_dict({"a": "minimize"})
TWO = Objectives.from_dict({"a": "minimize", "b": "maximize"})
PLANE = Space({"x": Float(0, 1), "y": Float(0, 1)})
CUBE = Space({**PLANE, "z": Float(0, 1)})


def bowl(config: Any) -> dict[str, float]:
    return {"a": (config["x"] - 0.3) ** 2 + math.sin(4 * config["y"]), "b": config["x"] * config["y"]}


def source(function: Callable[[Any], dict[str, float]] = bowl, *, space: Space = PLANE, n: int = 25) -> Source:
    rng = np.random.default_rng(0)
    configs = [space.decode(rng.random(len(space))) for _ in range(n)]
    seen = tuple(
        Observation(trial=i, config=config, status="completed", resource=1.0, metrics=function(config))
        for i, config in enumerate(configs)
    )
    return Source(name="old", space=space, objectives=TWO, observations=seen)


def taught(*sources: Source, objectives: Objectives = ONE, space: Space = PLANE) -> Lessons:
    return lessons_of(sources, objectives, Encoding(space))


def fit_with(lessons: Lessons, X_nf: np.ndarray, Y_nm: np.ndarray) -> Surrogate:
    d, keep_m = X_nf.shape[1], np.full(Y_nm.shape[1], np.nan)
    expected = priors(X_nf, Y_nm, dimensions=d, keep_m=keep_m, lessons=lessons)
    return fit(X_nf, Y_nm, dimensions=d, priors=expected)


def means(model: Callable[[torch.Tensor], torch.Tensor], X_tf: np.ndarray) -> np.ndarray:
    return model(torch.from_numpy(X_tf)).numpy()


def test_a_sources_mean_is_that_of_its_gaussian_process() -> None:
    old, X_tf = source(), np.random.default_rng(1).random((9, 2))
    X_nf = Encoding(PLANE).features([o.config for o in old.observations])
    surrogate = fit(X_nf, np.array([TWO.minimized(o.metrics) for o in old.observations]), dimensions=2)
    expected_tm = surrogate.scale.apply(surrogate.predict(X_tf)[0])
    for j, model in enumerate(taught(old, objectives=TWO).means[0]):
        assert means(model, X_tf) == pytest.approx(expected_tm[:, j], rel=1e-5, abs=1e-6)


def test_it_has_the_gradient_of_its_values_also_at_its_own_points() -> None:
    old = source(n=8)
    ((model,),) = taught(old).means
    X_tf = torch.from_numpy(Encoding(PLANE).features([o.config for o in old.observations])).requires_grad_()
    assert torch.autograd.gradcheck(model, X_tf, eps=1e-6, atol=1e-4)


def test_what_the_source_did_not_vary_does_not_matter_to_it() -> None:
    space = Space({"z": Choice(["p", "q", "r"]), "y": Float(0, 1), "n": Int(1, 9), "x": Float(0, 1)})
    encoding = Encoding(space)
    ((model,),) = taught(source(), space=space).means
    configs: list[Config] = [{"z": z, "y": 0.2, "n": n, "x": 0.7} for z, n in (("p", 1), ("q", 5), ("r", 9))]
    values = means(model, encoding.features(configs))
    assert values == pytest.approx(np.full(3, values[0]), abs=1e-12)
    assert values[0] != pytest.approx(means(model, encoding.features([{**configs[0], "x": 0.1}]))[0], abs=0.01)


def test_results_beyond_the_range_are_learnt_from_where_they_are() -> None:
    """The source's best, at x = 0.3, lies left of the new range: its mean must fall towards the lower bound."""
    right = Space({"x": Float(0.4, 0.9), "y": Float(0, 1)})
    ((model,),) = taught(source(), space=right).means
    mean_t = means(model, np.array([[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]))
    assert mean_t[0] < mean_t[1] < mean_t[2]


def plain_average(M_n: np.ndarray, y_n: np.ndarray) -> tuple[float, float, float]:
    """The average over a source and none written out for one source: least squares, and the weight of its evidence."""
    slope, offset = np.polyfit(M_n, y_n, 1)
    n, left = len(y_n), np.var(y_n - offset - slope * M_n) / np.var(y_n)
    odds = left ** (-(n - 3) / 2) / math.sqrt(n)
    weight = odds / (1 + odds)
    return weight * offset + (1 - weight) * y_n.mean(), weight * slope, weight


def test_the_average_of_one_source_is_the_closed_form() -> None:
    rng = np.random.default_rng(0)
    M_n = rng.normal(size=9)
    y_n = 2 + 3 * M_n + rng.normal(size=9)
    offset, slope_k, weight_k = average(M_n[None], y_n)
    assert (offset, *slope_k, *weight_k) == pytest.approx(plain_average(M_n, y_n))


def test_a_good_source_is_found_among_bad_ones_and_an_opposite_one_is_worth_nothing() -> None:
    rng = np.random.default_rng(0)
    M_kn = rng.normal(size=(8, 12))
    offset, slope_k, weight_k = average(M_kn, 5 + 3 * M_kn[4] + 0.1 * rng.normal(size=12))
    assert (offset, slope_k[4]) == pytest.approx((5, 3), abs=0.2)
    assert np.delete(slope_k, 4) == pytest.approx(0, abs=1e-3)
    assert weight_k == pytest.approx(np.eye(8)[4], abs=1e-3)
    assert not average(M_kn[4:5], -M_kn[4])[1].any()
    offset, slope_k, weight_k = average(M_kn, np.full(12, 3.0))
    assert (offset, slope_k.any(), weight_k.any()) == (3.0, False, False)


def test_a_prior_mean_leaves_the_rest_to_the_process() -> None:
    """Prediction is the prior mean plus scikit-learn's prediction of the residuals; the other outcome has none."""
    X_nf = np.random.default_rng(2).random((12, 2))
    Y_nm = np.stack([X_nf.sum(1) ** 2, 100 * np.sin(3 * X_nf[:, 0])], axis=1)
    X_tf = np.random.default_rng(3).random((6, 2))
    prior = Prior(-1.0, (1.0, 0.5), (lambda X: X[:, 0], lambda X: X[:, 1] ** 2))
    plain, surrogate = fit(X_nf, Y_nm, dimensions=2), fit(X_nf, Y_nm, dimensions=2, priors=[prior, None])
    mean_tm, sd_tm = surrogate.predict(X_tf)
    mode, unit = surrogate.modes[0], surrogate.scale.spread_m[0] / plain.scale.spread_m[0]
    assert unit < 1
    other = GaussianProcessRegressor(Matern(mode.lengthscales_f, "fixed", nu=2.5), alpha=mode.noise, optimizer=None)
    other.fit(X_nf, (plain.scale.apply(Y_nm)[:, 0] - means(prior, X_nf)) / unit - mode.mean)
    rest_t, sd_t = other.predict(X_tf, return_std=True)
    expected_t = means(prior, X_tf) + unit * (rest_t + mode.mean)
    expected_tm, expected_sd_tm = plain.scale.restore(expected_t[:, None], (unit * sd_t)[:, None])
    assert mean_tm[:, 0] == pytest.approx(expected_tm[:, 0], rel=1e-6)
    assert sd_tm[:, 0] == pytest.approx(expected_sd_tm[:, 0], rel=1e-5)
    assert mean_tm[:, 1] == pytest.approx(plain.predict(X_tf)[0][:, 1])


def test_imagined_outcomes_have_the_prior_mean_too() -> None:
    X_nf = np.random.default_rng(2).random((5, 2))
    prior = Prior(50.0, (10.0,), (lambda X: X[:, 0],))
    surrogate = fit(X_nf, 7 + X_nf[:, :1], dimensions=2, priors=[prior])
    (posterior,), points = surrogate.posteriors, torch.tensor([[0.1, 0.2], [0.9, 0.9]], dtype=torch.double)
    grown, values_ksp = posterior.imagine(points, torch.zeros(1, 2, dtype=torch.double))
    assert values_ksp[:, 0] == pytest.approx(posterior(points)[0][:, :, 0], abs=1e-6)
    assert grown(points)[0][:, :, 0].numpy() == pytest.approx(values_ksp[:, 0].numpy(), abs=1e-5)


def test_a_prior_that_fits_a_few_results_too_well_is_doubted() -> None:
    z_n = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.double)
    X_nf = z_n[:, None].expand(3, 2)
    exact = Prior(0.0, (1.0,), (lambda X: X[:, 0],))
    assert exact.left_over(X_nf, z_n) == pytest.approx(float(z_n.std(correction=0)) / 2 * math.sqrt(4 / 7))
    useless = Prior(0.0, (), ())
    assert useless.left_over(X_nf, z_n) == pytest.approx(float(z_n.std(correction=0)))


def wave(number: int) -> Callable[[np.ndarray], np.ndarray]:
    """A random smooth function of the cube."""
    rng = np.random.default_rng(number)
    waves, phases = rng.normal(size=(8, 3)) * 3, rng.uniform(0, 2 * math.pi, 8)
    return lambda X_nf: np.sin(X_nf @ waves.T + phases).sum(axis=1)


def study_of(function: Callable[[np.ndarray], np.ndarray]) -> Source:
    def metrics(config: Any) -> dict[str, float]:
        return {"a": float(function(np.array([list(config.values())]))[0]), "b": 0.0}

    return source(metrics, space=CUBE, n=60)


def errors(sources: list[Source], truth: Callable[[np.ndarray], np.ndarray], *, n: int, seed: int) -> float:
    """The root mean squared error of predictions from n results."""
    rng = np.random.default_rng(seed)
    X_nf, X_tf = rng.random((n, 3)), rng.random((200, 3))
    surrogate = fit_with(taught(*sources, space=CUBE), X_nf, truth(X_nf)[:, None])
    return float(np.sqrt(np.mean((surrogate.predict(X_tf)[0][:, 0] - truth(X_tf)) ** 2)))


def test_a_related_study_halves_the_error_of_few_results_and_an_unrelated_one_does_not_add_to_it() -> None:
    related, unrelated, mixed = [], [], []
    for seed in range(8):
        truth, other = wave(seed), wave(100 + seed)
        alone = errors([], truth, n=8, seed=seed)
        kin, stranger = study_of(lambda X, f=truth: 10 + 4 * f(X + 0.02)), study_of(other)
        related.append(errors([kin], truth, n=8, seed=seed) / alone)
        unrelated.append(errors([stranger], truth, n=8, seed=seed) / alone)
        mixed.append(errors([stranger, study_of(wave(200 + seed)), kin], truth, n=8, seed=seed) / alone)
    assert np.median(related) < 0.5
    assert np.median(mixed) < 0.6
    assert np.median(unrelated) <= 1.0
    assert max(unrelated) < 1.3


def test_objectives_are_judged_one_by_one() -> None:
    """The source tells of the first outcome; the second has nothing to do with it."""
    known = taught(source(), objectives=TWO)
    (models,) = known.means
    X_nf = np.random.default_rng(4).random((14, 2))
    noise_n = np.random.default_rng(5).normal(size=14)
    Y_nm = np.stack([3 + 2 * means(models[0], X_nf), noise_n], axis=1)
    prior = prior_mean(known, 0, torch.from_numpy(X_nf), Y_nm[:, 0])
    assert prior is not None
    assert (prior.offset, *prior.slopes) == pytest.approx((3.0, 2.0), rel=1e-3)
    both = fit_with(known, X_nf, Y_nm)
    assert [posterior.prior is None for posterior in both.posteriors] == [False, True]
    X_tf = np.random.default_rng(6).random((5, 2))
    assert both.predict(X_tf)[0][:, 1] == pytest.approx(fit(X_nf, Y_nm, dimensions=2).predict(X_tf)[0][:, 1])
    assert both.predict(X_tf)[0][:, 0] == pytest.approx(3 + 2 * means(models[0], X_tf), abs=0.05)


def test_too_few_results_say_nothing_of_a_source() -> None:
    X_nf = np.array([[0.1, 0.2], [0.8, 0.9]])
    known = taught(source())
    Y_nm = means(known.means[0][0], X_nf)[:, None]
    assert fit_with(known, X_nf, Y_nm).posteriors[0].prior is None


def test_a_warp_that_explains_more_than_a_source_wins() -> None:
    """A source that has seen the slopes of a steep valley is of use, unless the valley's logarithm is one without."""
    X_nf = np.random.default_rng(7).random((20, 2))
    Y_nm = np.exp(6 * ((X_nf - 0.5) ** 2).sum(axis=1, keepdims=True))

    def slope(config: Any) -> dict[str, float]:
        x, y = config["x"] - 0.5, config["y"] - 0.5
        return {"a": abs(x) ** 3 + abs(y) ** 3, "b": 0.0}

    expected = [
        priors(X_nf, Y_nm, dimensions=2, keep_m=np.array([np.nan]), lessons=taught(source(slope)), warp=warp)[0]
        for warp in (False, True)
    ]
    assert [prior is None for prior in expected] == [False, True]
