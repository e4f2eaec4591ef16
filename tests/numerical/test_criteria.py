"""The criteria that may be chosen, against closed forms and plain simulation."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import norm

import paretune as pt
from paretune.algorithms import Problem, create
from paretune.algorithms._gp.criteria import CRITERIA, View
from paretune.algorithms._gp.settings import GP, Acquisition
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.errors import AlgorithmError
from paretune.objective import Objectives

GRID = np.linspace(0, 1, 7)[:, None]
TEST = torch.tensor([[0.07], [0.31], [0.58], [0.93]], dtype=torch.double)
ANCHORS = torch.linspace(0, 1, 41, dtype=torch.double)[:, None]


def fitted() -> Surrogate:
    return fit(GRID, np.sin(9 * GRID), dimensions=1)


def view(seed: int = 0) -> View:
    (posterior,) = fitted().posteriors
    best_k11 = posterior(torch.from_numpy(GRID))[0].amin(1, keepdim=True)
    return View(posterior, posterior, best_k11, ANCHORS, seed)


def moments() -> tuple[np.ndarray, np.ndarray, float]:
    mean_k, sd_k = view().known(TEST)
    return mean_k[0, :, 0].numpy(), sd_k[0, :, 0].numpy(), view().best_k1s.item()


def values(name: str, seed: int = 0) -> np.ndarray:
    return CRITERIA[name](view(seed))(TEST).detach().numpy()


def test_every_acquisition_that_may_be_set_is_there() -> None:
    assert set(get_args(Acquisition)) == set(CRITERIA)


def test_improvement_and_its_probability_are_the_closed_forms() -> None:
    mean_t, sd_t, best = moments()
    z = (best - mean_t) / sd_t
    assert values("log_ei") == pytest.approx(np.log(sd_t * (z * norm.cdf(z) + norm.pdf(z))), rel=1e-6)
    assert values("log_pi") == pytest.approx(norm.logcdf(z), rel=1e-6)


def test_the_confidence_bound_orders_points_as_it_does() -> None:
    mean_t, sd_t, _ = moments()
    assert np.argsort(values("ucb")).tolist() == np.argsort(2 * sd_t - mean_t).tolist()


def test_thompson_draws_are_draws_of_the_posterior() -> None:
    """The log of softplus is undone; over many seeds the drawn values have the posterior's moments."""
    mean_t, sd_t, best = moments()
    drawn = best - np.log(np.expm1(np.exp([values("thompson", seed) for seed in range(300)])))
    assert drawn.mean(axis=0) == pytest.approx(mean_t, abs=0.2 * sd_t.max())
    assert drawn.std(axis=0) == pytest.approx(sd_t, rel=0.25, abs=0.05 * sd_t.max())


def test_the_knowledge_gradient_is_what_a_simulated_result_brings() -> None:
    posterior = view().known
    generator = np.random.default_rng(0)
    before = posterior(ANCHORS)[0].min().item()
    for point, value in zip(TEST, values("knowledge_gradient"), strict=True):
        normal = torch.from_numpy(generator.standard_normal((2000, 1)))
        known, _ = posterior.imagine(point[None], normal)
        after_s = known(ANCHORS)[0][0].amin(0)
        assert np.exp(value) == pytest.approx(before - after_s.mean().item(), rel=0.1, abs=1e-3)


def test_max_value_entropy_is_the_entropy_that_a_bound_takes_away() -> None:
    """Of a normal variable known to be above a draw of the least value, by quadrature."""
    mean_t, sd_t, _ = moments()
    rng = np.random.default_rng(0)
    normal_sa = torch.from_numpy(rng.standard_normal((16, len(ANCHORS))))
    _, drawn_ksa = view().known.imagine(ANCHORS, normal_sa)
    least_s = drawn_ksa[0].amin(-1).numpy()
    for mean, sd, value in zip(mean_t, sd_t, values("max_value_entropy"), strict=True):
        loss = []
        for least in least_s:
            y = np.linspace(least, max(least, mean) + 9 * sd, 20001)
            density = norm.pdf(y, mean, sd) / norm.sf(least, mean, sd)
            truncated = -np.trapezoid(density * np.log(np.maximum(density, 1e-300)), y)
            loss.append(norm.entropy(mean, sd) - truncated)
        assert np.exp(value) == pytest.approx(np.mean(loss), rel=0.02, abs=1e-4)


def bowl(config: dict[str, float]) -> float:
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.8) ** 2


@pytest.mark.parametrize("name", sorted(CRITERIA))
def test_every_criterion_finds_the_bottom_of_a_bowl(name: str) -> None:
    found = []
    for seed in range(5):
        opt = pt.Optimizer(
            {"x": pt.Float(0, 1), "y": pt.Float(0, 1)},
            {"loss": "minimize"},
            algorithm=GP(acquisition=name),  # type: ignore[arg-type]
            seed=seed,
        )
        opt.ask()  # one stays pending
        for _ in range(16):
            suggestion = opt.ask()
            opt.tell(suggestion, {"loss": bowl(suggestion.config)})  # type: ignore[arg-type]
        found.append(min(trial.metrics["loss"] for trial in opt.log.ended))
    # The best of 16 random points has a mean of 1 / 16 pi; the median of five searches is a quarter of it by chance
    # once in 13. Of eight searches by log_pi one creeps along a slope all the time, so not the mean.
    assert np.median(found) < 0.25 / (16 * np.pi)


def test_several_objectives_have_no_such_choice() -> None:
    problem = Problem(
        space=pt.Space({"x": pt.Float(0, 1)}), objectives=Objectives.from_dict({"a": "minimize", "b": "minimize"})
    )
    with pytest.raises(AlgorithmError, match="acquisition: ucb is for one objective, got 2"):
        create(GP(acquisition="ucb"), problem)
