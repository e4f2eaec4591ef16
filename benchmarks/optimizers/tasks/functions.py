"""Closed-form test functions of a point x_d, minimised (Surjanovic and Bingham, 2013, unless said otherwise)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.optimizers.spaces import Config, Parameter, real

Array = npt.NDArray[np.float64]


def box(d: int, low: float, high: float) -> list[Parameter]:
    """x0 ... x(d-1) with the same bounds."""
    return [real(f"x{i}", low, high) for i in range(d)]


def point(config: Config, d: int) -> Array:
    """x0 ... x(d-1) of a configuration; shape (d,)."""
    return np.array([config[f"x{i}"] for i in range(d)], dtype=np.float64)


def at(x_d: Array) -> Config:
    """The configuration of a point."""
    return {f"x{i}": float(x) for i, x in enumerate(x_d)}


def branin(x: float, y: float) -> float:
    """On [-5, 10] x [0, 15]; three minima of 0.397887."""
    bowl = (y - 5.1 / (4 * np.pi**2) * x * x + 5 / np.pi * x - 6) ** 2
    return float(bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10)


def six_hump_camel(x: float, y: float) -> float:
    """Minimum -1.031628453 at (0.089842, -0.712656) and its mirror image."""
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2


def beale(x: float, y: float) -> float:
    """Minimum 0 at (3, 0.5); up to 1.8e5 at the corners of [-4.5, 4.5]."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
_A3 = np.array([[3.0, 10, 30], [0.1, 10, 35], [3.0, 10, 30], [0.1, 10, 35]])
_P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
_A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(x_d: Array) -> float:
    """Hartmann's function of 3 or 6 variables on the unit cube; minima -3.862780 and -3.322368."""
    A_4d, P_4d = (_A3, _P3) if len(x_d) == 3 else (_A6, _P6)
    return -float(_HEIGHTS @ np.exp(-(A_4d * (x_d - P_4d) ** 2).sum(axis=1)))


HARTMANN3_AT = np.array([0.114588879, 0.555648894, 0.852546985])
HARTMANN6_AT = np.array([0.201689511, 0.150010695, 0.476873976, 0.275332431, 0.311651617, 0.657300535])


def hartmann4(x_d: Array) -> float:
    """The four-variable form of Picheny et al. (2012), scaled to mean 0 and variance 1; minimum -3.134494."""
    A_44, P_44 = _A6[:, :4], _P6[:, :4]
    return (1.1 - float(_HEIGHTS @ np.exp(-(A_44 * (x_d - P_44) ** 2).sum(axis=1)))) / 0.839


HARTMANN4_AT = np.array([0.187395273, 0.194151531, 0.557917780, 0.264779624])


def rosenbrock(x_d: Array) -> float:
    """A curved valley; minimum 0 at all ones."""
    return float(np.sum(100 * (x_d[1:] - x_d[:-1] ** 2) ** 2 + (1 - x_d[:-1]) ** 2))


def levy(x_d: Array) -> float:
    """Waves on a bowl; minimum 0 at all ones."""
    w_d = 1 + (x_d - 1) / 4
    middle = np.sum((w_d[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w_d[:-1] + 1) ** 2))
    return float(np.sin(np.pi * w_d[0]) ** 2 + middle + (w_d[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w_d[-1]) ** 2))


def griewank(x_d: Array) -> float:
    """Fine waves on a wide bowl; minimum 0 at the origin."""
    roots_d = np.sqrt(np.arange(1, len(x_d) + 1))
    return float(np.sum(x_d**2) / 4000 - np.prod(np.cos(x_d / roots_d)) + 1)


def ackley(z_d: Array) -> float:
    """A funnel with waves; minimum 0 at the origin."""
    funnel = -20 * np.exp(-0.2 * np.sqrt(np.mean(z_d**2)))
    return float(funnel - np.exp(np.mean(np.cos(2 * np.pi * z_d))) + 20 + np.e)


def rastrigin(z_d: Array, *, depth: float = 10.0) -> float:
    """A bowl with waves of the given depth; minimum 0 at the origin."""
    return float(np.sum(z_d**2 + depth * (1 - np.cos(2 * np.pi * z_d))))


STYBLINSKI_AT = -2.903534027771177  # the root of 4 x^3 - 32 x + 5 that is the global minimum
STYBLINSKI_BEST = -39.16616570377142  # per dimension


def styblinski_tang(x_d: Array) -> float:
    """Two wells in each dimension; minimum -39.166166 d at all -2.903534."""
    return float(np.sum(x_d**4 - 16 * x_d**2 + 5 * x_d) / 2)


def michalewicz(x_d: Array) -> float:
    """Ravines on plateaus, steepness 10, on [0, pi]; in four dimensions the minimum is -3.698857."""
    order_d = np.arange(1, len(x_d) + 1)
    return -float(np.sum(np.sin(x_d) * np.sin(order_d * x_d**2 / np.pi) ** 20))


MICHALEWICZ4_AT = np.array([2.202905517, 1.570796327, 1.284991570, 1.923058470])
