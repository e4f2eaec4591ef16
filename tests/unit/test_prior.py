"""Beliefs about parameters: densities, quantiles, the term they add to an acquisition, and bad ones refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from paretune.algorithms._gp.belief import Belief, belief
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._initial import next_initial
from paretune.algorithms._untried import believed_points, sobol_points
from paretune.beliefs import Normal
from paretune.errors import SpaceError
from paretune.prior import DOUBT, drawn, log_density, log_prior, option_log_densities
from paretune.space import Choice, Float, Int, Parameter, Space

UNITS = (np.arange(20_000) + 0.5) / 20_000
NUMBERS = [
    Float(1e-5, 1e-1, log=True, prior=Normal(log10=-3, sd=0.5)),
    Float(0, 10, prior=Normal(mean=9, sd=2)),
    Float(1e-4, 1, log=True, prior=Normal(mean=0.5, sd=0.1)),
    Float(1, 100, prior=Normal(log10=1, sd=0.3)),
    Float(0, 1, step=0.1, prior=Normal(mean=0.3, sd=0.1)),
    Int(1, 64, prior=Normal(mean=8, sd=4)),
    Int(1, 512, log=True, prior=Normal(log10=2, sd=0.2)),
    Int(8, 1024, step="power2", prior=Normal(log10=2, sd=0.5)),
]


@pytest.mark.parametrize("parameter", NUMBERS, ids=repr)
def test_densities_integrate_to_one_and_quantiles_follow_them(parameter: Float | Int) -> None:
    density = np.exp(log_density(parameter, UNITS, np))
    assert density.mean() == pytest.approx(1.0, abs=2e-3)
    sure = (density - DOUBT) / (1 - DOUBT)
    drawn_at = np.array([drawn(Space({"p": parameter}), np.array([u]))[0] for u in UNITS[::20]])
    assert drawn_at.mean() == pytest.approx((sure * UNITS).mean(), abs=1e-3)
    assert (drawn_at**2).mean() == pytest.approx((sure * UNITS**2).mean(), abs=1e-3)
    of_torch = log_density(parameter, torch.from_numpy(UNITS), torch).numpy()
    assert of_torch == pytest.approx(np.log(density), rel=1e-12)


def test_a_density_by_hand() -> None:
    """lr in [1e-5, 1e-1]: four decades, so that z = (4 u - 2) / 0.5 around 1e-3 and dz/du = 8."""
    share = norm.cdf(4) - norm.cdf(-4)
    expected = (1 - DOUBT) * 8 * norm.pdf((4 * 0.6 - 2) / 0.5) / share + DOUBT
    assert np.exp(log_density(NUMBERS[0], np.array([0.6]), np)) == pytest.approx([expected], rel=1e-9)


def test_options_are_weighed() -> None:
    choice = Choice(["adamw", "sgd", "lion"], prior={"adamw": 3, "sgd": 2})
    assert choice.prior == (3.0, 2.0, 1.0)
    assert np.exp(option_log_densities(choice)) == pytest.approx((1 - DOUBT) * 3 * np.array([3, 2, 1]) / 6 + DOUBT)
    space = Space({"o": choice})
    options = [space.decode(drawn(space, np.array([u])))["o"] for u in UNITS[::10]]
    assert [options.count(option) for option in choice.options] == pytest.approx([1000, 667, 333], abs=1)


CONDITIONAL = Space(
    {
        "optimizer": Choice(["adamw", "sgd", "lion"], prior={"adamw": 3}),
        "layers": Int(1, 9),
        "nesterov": Choice([True, False], when={"optimizer": "sgd"}, prior=[1, 3]),
        "momentum": Float(0, 1, prior={"mean": 0.9, "sd": 0.05}, when={"nesterov": True, "layers": [1, 2]}),
        "lr": Float(1e-5, 1e-1, log=True, prior=Normal(log10=-3, sd=0.5)),
    }
)


def _alone(name: str) -> Parameter:
    return replace(CONDITIONAL[name], when={})


def test_what_is_absent_adds_nothing_and_the_term_is_the_log_prior() -> None:
    rng = np.random.default_rng(0)
    configs = [CONDITIONAL.decode(x_d) for x_d in rng.random((200, len(CONDITIONAL)))]
    total_n = log_prior(CONDITIONAL, configs)
    for config, total in zip(configs, total_n, strict=True):
        parts = [log_prior(Space({"p": _alone(name)}), [{"p": config[name]}])[0] for name in config]
        assert total == pytest.approx(sum(parts))
    encoding = Encoding(CONDITIONAL)
    X_nf = torch.from_numpy(encoding.features(configs)).requires_grad_(True)
    term_n = Belief(encoding, beta=10.0, results=4)(X_nf)
    assert term_n.detach().numpy() == pytest.approx(2.5 * total_n, rel=1e-9)
    (gradient_nf,) = torch.autograd.grad(term_n.sum(), X_nf)
    place = encoding.labels.index("lr")
    u = X_nf.detach().numpy()[:, place]
    step = (log_density(NUMBERS[0], u + 1e-6, np) - log_density(NUMBERS[0], u - 1e-6, np)) / 2e-6
    assert gradient_nf[:, place].numpy() == pytest.approx(2.5 * step, rel=1e-4, abs=1e-6)


def test_beliefs_fade_and_may_be_switched_off() -> None:
    encoding = Encoding(CONDITIONAL)
    X_nf = torch.from_numpy(encoding.features([{"optimizer": "lion", "layers": 1, "lr": 1e-5}]))
    few, many = (Belief(encoding, beta=10.0, results=n)(X_nf).item() for n in (5, 500))
    assert few == pytest.approx(100 * many)
    assert belief(encoding, beta=0.0, results=5) is None
    assert belief(Encoding(Space({"x": Float(0, 1)})), beta=10.0, results=5) is None


def test_half_of_the_start_is_drawn_from_the_beliefs_and_half_is_not() -> None:
    plain = Space({"x": Float(0, 1), "lr": Float(1e-5, 1e-1, log=True)})
    space = Space({"x": Float(0, 1), "lr": NUMBERS[0]})
    taken, configs = set[Any](), []
    for trials in range(64):
        configs.append(next_initial(space, taken, seed=0, trials=trials).config)
        taken.add(space.key(configs[-1]))
    even = [plain.decode(x_d) for x_d in itertools.islice(sobol_points(2, seed=0, ahead=31), 32)]
    assert configs[1::2] == even, "every second point is one of the sequence that an unbelieving search makes"
    near = [abs(np.log10(config["lr"]) + 3) < 0.5 for config in configs[::2]]  # one standard deviation
    assert sum(near) / 32 == pytest.approx(0.68, abs=0.07)


def test_who_believes_nothing_has_the_points_he_had() -> None:
    space = Space({"x": Float(0, 1)})
    points = list(itertools.islice(sobol_points(1, seed=0, ahead=9), 9))
    assert list(believed_points(space, iter(points), iter(points), start=0)) == points


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Normal(sd=1), "prior must have either mean or log10"),
        (lambda: Normal(mean=1, log10=0, sd=1), "prior must have either mean or log10"),
        (lambda: Normal(mean=1, sd=0), "prior: sd must be > 0, got 0"),
        (lambda: Normal(mean=float("nan"), sd=1), "prior: mean must be a finite number, got nan"),
        (lambda: Float(1, 2, prior={"mean": 1}), "prior: sd is missing"),
        (lambda: Float(1, 2, prior={"maen": 1, "sd": 1}), "prior: unknown key 'maen'"),
        (lambda: Float(1, 2, prior=3), "prior must be a Normal or a mapping, got 3"),  # type: ignore[arg-type]
        (lambda: Float(1, 2, prior=Normal(mean=3, sd=1)), r"prior: mean must be in [1, 2], got 3"),
        (lambda: Float(0, 2, prior=Normal(log10=0, sd=1)), "prior: log10 needs low > 0, got low 0"),
        (lambda: Int(1, 100, prior=Normal(log10=3, sd=1)), "prior: log10 must be in [0, 2], got 3"),
        (lambda: Choice(["a", "b"], prior={"c": 1}), "prior must name options of ['a', 'b'], got 'c'"),
        (lambda: Choice(["a", "b"], prior=[1]), "prior must map options to weights, got [1]"),
        (lambda: Choice(["a", "b"], prior={"a": 0}), "prior must be > 0 for each option, got 0"),
    ],
)
def test_bad_beliefs_are_refused(made: Any, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        made()
    assert caught.value.message.startswith(message)


def test_beliefs_survive_the_plain_form() -> None:
    space = Space(dict(CONDITIONAL))
    data = space.to_dict()
    assert data["lr"]["prior"] == {"log10": -3.0, "sd": 0.5}
    assert data["optimizer"]["prior"] == {"adamw": 3.0, "sgd": 1.0, "lion": 1.0}
    assert data["nesterov"]["prior"] == [1.0, 3.0], "JSON knows no mapping from booleans"
    assert Space.from_dict(data) == space
