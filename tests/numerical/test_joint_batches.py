"""Several candidates chosen one after the other, each given those before it, against candidates chosen jointly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from botorch.acquisition import qLogNoisyExpectedImprovement
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.kernels import MaternKernel
from gpytorch.likelihoods import GaussianLikelihood

import paretune as pt
from paretune.algorithms._gp.acquire import Acquisition
from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.optimize import Search
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.space import Space

D = 4
BOUNDS = torch.tensor([[0.0] * D, [1.0] * D], dtype=torch.double)


def valley(X_nf: np.ndarray) -> np.ndarray:
    """A bent valley with ripples; shape (n,)."""
    return np.asarray(
        10 * (X_nf[:, 1] - X_nf[:, 0] ** 2) ** 2 + ((X_nf[:, 2:] - 0.3) ** 2).sum(1) + 0.2 * np.sin(9 * X_nf[:, 2])
    )


def one_by_one(surrogate: Surrogate, X_nf: np.ndarray, q: int) -> np.ndarray:
    """As `gp` chooses a batch; shape (q, f)."""
    space = Space({f"x{j}": pt.Float(0, 1) for j in range(D)})
    cube, chosen = Cube(Encoding(space)), np.empty((0, D))
    for number in range(q):
        acquisition = Acquisition(
            surrogate,
            leaders_bf=X_nf,
            pending_pf=chosen,
            reference_m=np.zeros(1),
            limits_o=np.full(1, np.inf),
            feasibility=None,
            seed=number,
        )
        found = Search(acquisition, cube, set()).best([], np.random.default_rng(number))
        assert found is not None
        chosen = np.vstack([chosen, space.encode(found.config)])
    return chosen


def batch_improvement(surrogate: Surrogate, X_nf: np.ndarray, Y_nm: np.ndarray) -> qLogNoisyExpectedImprovement:
    """BoTorch's noisy improvement of a whole batch, its logarithm, under the same Gaussian process."""
    mode = surrogate.modes[0]
    kernel, likelihood = MaternKernel(nu=2.5, ard_num_dims=D), GaussianLikelihood()
    kernel.lengthscale, likelihood.noise = torch.from_numpy(mode.lengthscales_f), mode.noise
    z_n1 = -torch.from_numpy(surrogate.scale.apply(Y_nm))
    model = SingleTaskGP(
        torch.from_numpy(X_nf), z_n1, covar_module=kernel, likelihood=likelihood, outcome_transform=None
    ).double()
    model.mean_module.initialize(constant=-mode.mean)
    model.eval()
    sampler = SobolQMCNormalSampler(torch.Size([512]), seed=0)
    return qLogNoisyExpectedImprovement(model, torch.from_numpy(X_nf), sampler=sampler, prune_baseline=False)


@pytest.mark.parametrize("q", [4, 8])
def test_one_by_one_is_about_as_good_as_jointly(q: int) -> None:
    """A greedy batch of a submodular worth (Wilson et al., 2018, arXiv:1805.10196) loses little in practice."""
    ratios = []
    for seed in range(3):
        X_nf = np.random.default_rng(seed).random((15, D))
        Y_nm = valley(X_nf)[:, None]
        with reproducible(seed):
            surrogate = fit(X_nf, Y_nm, dimensions=D)
            worth = batch_improvement(surrogate, X_nf, Y_nm)
            _, jointly = optimize_acqf(worth, BOUNDS, q=q, num_restarts=4, raw_samples=64)
            greedy_qf = torch.from_numpy(one_by_one(surrogate, X_nf, q))
            ratios.append((worth(greedy_qf) - jointly).exp().item())
    assert np.mean(ratios) > 0.9, ratios
