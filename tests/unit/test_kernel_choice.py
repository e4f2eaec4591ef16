"""The kernel that `gp` is told to use is used wherever a study is modelled: looking back, and for earlier studies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import paretune as pt
import synthetic
from paretune import algorithms
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.transfer import lessons_of, priors
from paretune.diagnosis import diagnose
from paretune.recommendation import recommend
from paretune.settings import AlgorithmSpec
from paretune.space import Space

PLANE: dict[str, Any] = {"x": pt.Float(0, 1), "y": pt.Float(0, 1)}


def told(algorithm: Any) -> pt.Optimizer:
    """Twelve noisy results."""
    opt = pt.Optimizer(PLANE, {"error": "minimize"}, algorithm=algorithm)
    rng = np.random.default_rng(0)
    for x, y in rng.random((12, 2)).tolist():
        opt.add({"x": x, "y": y}, {"error": (x - 0.3) ** 2 + y**2 + 0.2 * rng.normal()})
    return opt


CHOSEN: list[tuple[Any, str]] = [
    ("gp", "matern52"),
    ("random", "matern52"),
    (pt.TPE(), "matern52"),
    (pt.GP(kernel="rbf"), "rbf"),
    ({"name": "gp", "kernel": "matern32"}, "matern32"),
]


@pytest.mark.parametrize(("algorithm", "kernel"), CHOSEN)
def test_it_is_read_from_what_was_chosen(algorithm: Any, kernel: str) -> None:
    assert algorithms.kernel_of(AlgorithmSpec.model_validate(algorithm)) == kernel


def test_a_recommendation_rests_on_it() -> None:
    opt = told(pt.GP(kernel="rbf"))
    found = opt.recommendation()
    assert found == recommend(opt.log.trials.values(), opt.space, opt.objectives, kernel="rbf")
    assert (found.low, found.high) != (told("gp").recommendation().low, told("gp").recommendation().high)


def test_a_diagnosis_rests_on_it() -> None:
    log = synthetic.log(synthetic.spec(objectives=1), trials=12, ending="completed")
    specs = [
        synthetic.spec(objectives=1, search={"algorithm": {"name": "gp", "kernel": k}}) for k in ("rbf", "matern52")
    ]
    rbf, matern = (diagnose(spec, log) for spec in specs)
    assert rbf.models[0].lengthscales != matern.models[0].lengthscales
    assert rbf.best[0].low != matern.best[0].low


def test_earlier_studies_are_modelled_with_it() -> None:
    opt = told("random")
    encoding = Encoding(Space(PLANE))
    X_nf = encoding.features([seen.config for seen in opt.history])
    Y_nm = np.array([[seen.metrics["error"]] for seen in opt.history])
    means = []
    for kernel in ("rbf", "matern52"):
        lessons = lessons_of([opt.source()], opt.objectives, encoding, kernel)
        assert lessons.means[0][0].posterior.kernel == kernel
        (prior,) = priors(X_nf, Y_nm, dimensions=2, keep_m=np.full(1, np.nan), lessons=lessons, kernel=kernel)
        assert prior is not None, "it is the same study"
        means.append(prior.offset)
    assert means[0] != means[1]
