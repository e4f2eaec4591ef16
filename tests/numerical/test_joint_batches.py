"""Several candidates chosen one after the other, each given those before it, against candidates chosen jointly."""

from __future__ import annotations

from collections.abc import Sequence

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
from paretune.algorithms._gp.joint import FINER, improved, worth
from paretune.algorithms._gp.optimize import Candidate, Search
from paretune.algorithms._gp.surrogate import Surrogate, fit
from paretune.space import Config, Space

D = 4
BOUNDS = torch.tensor([[0.0] * D, [1.0] * D], dtype=torch.double)


def valley(X_nf: np.ndarray) -> np.ndarray:
    """A bent valley with ripples; shape (n,)."""
    return np.asarray(
        10 * (X_nf[:, 1] - X_nf[:, 0] ** 2) ** 2 + ((X_nf[:, 2:] - 0.3) ** 2).sum(1) + 0.2 * np.sin(9 * X_nf[:, 2])
    )


class Chooser:
    """Chooses batches as `gp` does."""

    def __init__(self, surrogate: Surrogate, X_nf: np.ndarray) -> None:
        self._surrogate, self._X_nf = surrogate, X_nf
        self._space = Space({f"x{j}": pt.Float(0, 1) for j in range(D)})
        self._cube = Cube(Encoding(self._space))

    def one_by_one(self, q: int) -> list[Config]:
        """Each given those before it."""
        batch: list[Config] = []
        for _ in range(q):
            batch.append(self.best(batch).config)
        return batch

    def best(self, others: Sequence[Config]) -> Candidate:
        found = Search(self._acquisition(others), self._cube, set()).best([], np.random.default_rng(0))
        assert found is not None
        return found

    def added(self, config: Config, others: Sequence[Config]) -> float:
        with torch.no_grad():
            return self._acquisition(others)(self.points([config])).item()

    def points(self, batch: Sequence[Config]) -> torch.Tensor:
        """Shape (q, f)."""
        return torch.from_numpy(self._cube.encoding.features(batch))

    def _acquisition(self, others: Sequence[Config]) -> Acquisition:
        return Acquisition(
            self._surrogate,
            leaders_bf=self._X_nf,
            pending_pf=self.points(others).numpy(),
            reference_m=np.zeros(1),
            limits_o=np.full(1, np.inf),
            feasibility=None,
            finer=FINER,
            seed=0,
        )


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


@pytest.mark.parametrize("q", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_one_by_one_is_about_as_good_as_jointly_and_jointly_as_botorchs_joint_optimum(q: int) -> None:
    """A greedy batch of a submodular worth (Wilson et al., 2018, arXiv:1805.10196) loses little in practice."""
    ratios = []
    for seed in range(3):
        X_nf = np.random.default_rng(seed).random((15, D))
        Y_nm = valley(X_nf)[:, None]
        with reproducible(seed):
            surrogate = fit(X_nf, Y_nm, dimensions=D)
            theirs = batch_improvement(surrogate, X_nf, Y_nm)
            _, optimum = optimize_acqf(theirs, BOUNDS, q=q, num_restarts=4, raw_samples=64)
            chooser = Chooser(surrogate, X_nf)
            greedy = chooser.one_by_one(q)
            joint = improved(greedy, chooser.best, chooser.added)
            before = worth([chooser.added(config, greedy[:place]) for place, config in enumerate(greedy)])
            assert worth([candidate.value for candidate in joint]) >= before
            batches = greedy, [candidate.config for candidate in joint]
            ratios.append([(theirs(chooser.points(batch)) - optimum).exp().item() for batch in batches])
    one_by_one, jointly = np.mean(ratios, axis=0)
    assert one_by_one > 0.9, ratios
    assert jointly > 0.97, ratios
