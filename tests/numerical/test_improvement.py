"""Expected improvements against numerical integration and high precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mpmath import mp, mpf
from scipy.integrate import quad
from scipy.stats import norm

from paretune.algorithms._gp.improvement import log_expected_improvement, log_expected_overlap, log_h


@pytest.mark.parametrize("u", [5.0, 0.3, -0.99, -1.01, -5.0, -40.0, -900.0, -1100.0, -1e5])
def test_log_h_to_many_digits(u: float) -> None:
    with mp.workdps(60):
        x = mpf(u)
        density = mp.exp(-(x**2) / 2) / mp.sqrt(2 * mp.pi)
        if u > -30:
            expected = mp.log(density + x * mp.erfc(-x / mp.sqrt(2)) / 2)
        else:
            expected = mp.log(density) + mp.log(1 / x**2 - 3 / x**4 + 15 / x**6)
    assert log_h(torch.tensor(u, dtype=torch.double)).item() == pytest.approx(float(expected), rel=1e-8)


def test_the_gradient_is_that_of_the_value() -> None:
    points = torch.linspace(-30, 5, 36, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(log_h, points, rtol=1e-4)


def test_expected_improvement_by_integration() -> None:
    mean, sd, best = 0.4, 0.7, 0.1
    expected = quad(lambda y: (best - y) * norm.pdf(y, mean, sd), -10, best)[0]
    value = log_expected_improvement(torch.tensor(mean), torch.tensor(sd), torch.tensor(best))
    assert value.exp().item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("lower", "upper"), [(-0.5, 0.3), (-np.inf, 0.3), (2.0, 2.5), (-9.0, -8.9)])
def test_expected_overlap_by_integration(lower: float, upper: float) -> None:
    mean, sd = 0.4, 0.7
    start = max(lower, -10.0)
    expected = quad(lambda z: norm.cdf(z, mean, sd), start, upper, epsabs=0)[0]
    mean_t, sd_t, lower_t, upper_t = (torch.tensor(v, dtype=torch.double) for v in (mean, sd, lower, upper))
    assert log_expected_overlap(mean_t, sd_t, lower_t, upper_t).exp().item() == pytest.approx(expected, rel=1e-6)
