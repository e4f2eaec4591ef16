"""The training runs behind the tables: a space and a scikit-learn run that returns a loss. Needs scikit-learn.

Data sets ship with scikit-learn or are generated. Losses are means over fixed folds, with the model's seed fixed, so a
configuration has one loss. Heavy tails are real: a diverging run or an over-confident model loses without bound, cut
off at 1e6.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import datasets, ensemble, linear_model, metrics, neighbors, neural_network, svm
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, QuantileTransformer, RobustScaler, StandardScaler

from benchmarks.optimizers.spaces import Config, Space, choice, integer, real

Array = npt.NDArray[np.float64]
Data = tuple[Array, Array]

WORST = 1e6


@dataclass(frozen=True, slots=True)
class Training:
    """`logarithm` says that the surrogate models the loss's logarithm; `runs` is how many configurations are tried."""

    name: str
    space: Space
    loss: Callable[[Config, Data], float]
    data: Callable[[], Data]
    logarithm: bool
    runs: int


def regression_loss(model: Any, data: Data, folds: int = 4) -> float:
    """Mean squared error on held-out folds, as a share of the target's variance; 1e6 when it is more or not finite."""
    X, y = data
    squared = []
    for train, test in KFold(folds, shuffle=True, random_state=0).split(X):
        predicted = np.asarray(model.fit(X[train], y[train]).predict(X[test]), dtype=np.float64)
        squared.append(np.mean((predicted - y[test]) ** 2) if np.all(np.abs(predicted) < 1e9) else WORST)
    return float(min(np.mean(squared) / np.var(y), WORST))


def classification_loss(model: Any, data: Data, folds: int = 4) -> float:
    """Log loss on held-out folds."""
    X, y = data
    losses = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(X, y):
        shares = model.fit(X[train], y[train]).predict_proba(X[test])
        shares = np.nan_to_num(shares, nan=1 / shares.shape[1])
        losses.append(metrics.log_loss(y[test], shares / shares.sum(axis=1, keepdims=True), labels=np.unique(y)))
    return float(min(np.mean(losses), WORST))


# -- a forest ----------------------------------------------------------------------------------------------------------

_FOREST = Space(
    [
        choice("kind", ["bagged", "extra"]),
        integer("trees", 3, 60, log=True),
        integer("depth", 1, 16),
        integer("leaf", 1, 60, log=True),
        real("features", 0.1, 1.0),
        real("rows", 0.1, 1.0, when=("kind", "bagged")),
    ]
)


def _forest(c: Config, data: Data) -> float:
    common = {"max_depth": c["depth"], "min_samples_leaf": c["leaf"], "max_features": c["features"], "random_state": 0}
    if c["kind"] == "bagged":
        model = ensemble.RandomForestRegressor(c["trees"], max_samples=c["rows"], **common)
    else:
        model = ensemble.ExtraTreesRegressor(c["trees"], **common)
    return regression_loss(model, data)


# -- boosting ----------------------------------------------------------------------------------------------------------

_BOOSTING = Space(
    [
        real("lr", 1e-3, 1.0, log=True),
        integer("rounds", 5, 120, log=True),
        integer("leaves", 2, 48, log=True),
        integer("leaf", 1, 80, log=True),
        real("l2", 1e-6, 1e3, log=True),
        real("features", 0.1, 1.0),
    ]
)


def _boosting(c: Config, data: Data) -> float:
    model = ensemble.HistGradientBoostingRegressor(
        learning_rate=c["lr"],
        max_iter=c["rounds"],
        max_leaf_nodes=c["leaves"],
        min_samples_leaf=c["leaf"],
        l2_regularization=c["l2"],
        max_features=c["features"],
        early_stopping=False,
        random_state=0,
    )
    return regression_loss(model, data, folds=2)


# -- support vectors ---------------------------------------------------------------------------------------------------

_VECTORS = Space(
    [
        choice("scale", ["standard", "robust", "quantile"]),
        real("cost", 1e-3, 1e4, log=True),
        choice("kernel", ["linear", "radial", "polynomial", "sigmoid"]),
        real("gamma", 1e-5, 1e1, log=True, when=("kernel", ["radial", "polynomial", "sigmoid"])),
        integer("degree", 2, 5, when=("kernel", "polynomial")),
        real("coef", -1.0, 2.0, when=("kernel", ["polynomial", "sigmoid"])),
    ]
)
_SCALERS: dict[str, Callable[[], Any]] = {
    "standard": StandardScaler,
    "robust": RobustScaler,
    "quantile": lambda: QuantileTransformer(n_quantiles=50),
    "none": lambda: "passthrough",
}
_KERNELS = {"linear": "linear", "radial": "rbf", "polynomial": "poly", "sigmoid": "sigmoid"}


def _vectors(c: Config, data: Data) -> float:
    """Squared hinge loss of two classes on held-out folds: a wrong and confident margin costs its square."""
    X, y = data
    machine = svm.SVC(
        C=c["cost"],
        kernel=_KERNELS[c["kernel"]],
        gamma=c.get("gamma", "scale"),
        degree=c.get("degree", 3),
        coef0=c.get("coef", 0.0),
        max_iter=20_000,  # as many as an ordinary fit needs; hopeless ones end there
    )
    losses = []
    for train, test in StratifiedKFold(4, shuffle=True, random_state=0).split(X, y):
        fitted = make_pipeline(_SCALERS[c["scale"]](), machine).fit(X[train], y[train])
        margins = (2 * y[test] - 1) * fitted.decision_function(X[test])
        losses.append(np.mean(np.maximum(0, 1 - margins) ** 2))
    return float(min(np.mean(losses), WORST))


# -- a network ---------------------------------------------------------------------------------------------------------

_NETWORK = Space(
    [
        choice("solver", ["adam", "sgd"]),
        real("momentum", 0.0, 0.99, when=("solver", "sgd")),
        real("lr", 1e-4, 1e0, log=True),
        integer("batch", 8, 256, log=True),
        real("decay", 1e-6, 1e1, log=True),
        choice("activation", ["relu", "tanh", "logistic"]),
        integer("layers", 1, 2),
        integer("width0", 4, 96, log=True),
        integer("width1", 4, 96, log=True, when=("layers", 2)),
    ]
)


def _network(c: Config, data: Data) -> float:
    widths = [c[name] for name in ("width0", "width1") if name in c]
    model = neural_network.MLPClassifier(
        widths,
        activation=c["activation"],
        solver=c["solver"],
        alpha=c["decay"],
        batch_size=c["batch"],
        learning_rate_init=c["lr"],
        momentum=c.get("momentum", 0.9),
        max_iter=12,
        random_state=0,
    )
    try:
        return classification_loss(model, data, folds=2)
    except ValueError:  # the weights overflowed
        return 40.0  # beyond any finite log loss of ten classes in double precision


# -- a linear model by gradient steps ----------------------------------------------------------------------------------

_GRADIENT = Space(
    [
        choice("loss", ["squared_error", "huber", "epsilon_insensitive"]),
        real("epsilon", 1e-3, 2.0, log=True, when=("loss", ["huber", "epsilon_insensitive"])),
        choice("penalty", ["l2", "l1", "elasticnet"]),
        real("mix", 0.0, 1.0, when=("penalty", "elasticnet")),
        real("alpha", 1e-7, 1e1, log=True),
        real("lr", 1e-5, 1e0, log=True),
        choice("schedule", ["constant", "invscaling"]),
        real("power", 0.05, 0.95, when=("schedule", "invscaling")),
        integer("epochs", 1, 100, log=True),
    ]
)


def _gradient(c: Config, data: Data) -> float:
    model = linear_model.SGDRegressor(
        loss=c["loss"],
        epsilon=c.get("epsilon", 0.1),
        penalty=c["penalty"],
        l1_ratio=c.get("mix", 0.15),
        alpha=c["alpha"],
        eta0=c["lr"],
        learning_rate=c["schedule"],
        power_t=c.get("power", 0.25),
        max_iter=c["epochs"],
        tol=None,
        random_state=0,
    )
    try:
        return regression_loss(make_pipeline(StandardScaler(), PolynomialFeatures(2), model), data)
    except ValueError:  # "Floating-point under-/overflow occurred"
        return WORST


# -- neighbours --------------------------------------------------------------------------------------------------------

_NEIGHBOURS = Space(
    [
        choice("scale", ["none", "standard", "robust", "quantile"]),
        choice("project", ["no", "yes"]),
        integer("components", 1, 12, when=("project", "yes")),
        integer("k", 1, 80, log=True),
        choice("weights", ["uniform", "distance"]),
        real("power", 0.7, 5.0, log=True),
    ]
)


def _neighbours(c: Config, data: Data) -> float:
    """Log loss: with few neighbours a wrong class is certain and costs 36."""
    steps = [_SCALERS[c["scale"]](), *([PCA(c["components"])] if c["project"] == "yes" else [])]
    model = neighbors.KNeighborsClassifier(c["k"], weights=c["weights"], p=c["power"], algorithm="brute")
    return classification_loss(make_pipeline(*steps, model), data)


# -- a penalised regression on products of features --------------------------------------------------------------------

_PENALISED = Space(
    [
        choice("model", ["ridge", "lasso", "elastic", "kernel"]),
        real("alpha", 1e-5, 1e3, log=True),
        real("mix", 0.01, 0.99, when=("model", "elastic")),
        integer("degree", 1, 3, when=("model", ["ridge", "lasso", "elastic"])),
        choice("squares", ["with", "without"], when=("degree", [2, 3])),
        real("gamma", 1e-4, 1e1, log=True, when=("model", "kernel")),
    ]
)


def _penalised(c: Config, data: Data) -> float:
    if c["model"] == "kernel":
        model = make_pipeline(StandardScaler(), svm.SVR(C=1 / c["alpha"] ** 0.5, gamma=c["gamma"], max_iter=20_000))
        return regression_loss(model, data)
    terms = PolynomialFeatures(c["degree"], interaction_only=c.get("squares") == "without", include_bias=False)
    kinds: dict[str, Callable[[], Any]] = {
        "ridge": lambda: linear_model.Ridge(alpha=c["alpha"] * 100),
        "lasso": lambda: linear_model.Lasso(alpha=c["alpha"], max_iter=200),
        "elastic": lambda: linear_model.ElasticNet(alpha=c["alpha"], l1_ratio=c["mix"], max_iter=200),
    }
    return regression_loss(make_pipeline(StandardScaler(), terms, StandardScaler(), kinds[c["model"]]()), data)


# -- data --------------------------------------------------------------------------------------------------------------


def _standardised(X: Array, y: Array) -> Data:
    return X, (y - y.mean()) / y.std()


def _diabetes() -> Data:
    return _standardised(*datasets.load_diabetes(return_X_y=True))


def _friedman(which: int) -> Data:
    make = (datasets.make_friedman1, datasets.make_friedman2, datasets.make_friedman3)[which - 1]
    noise = (2.0, 100.0, 0.2)[which - 1]  # about a sixth of the variance each
    return _standardised(*make(500, noise=noise, random_state=which))


def _sparse_regression() -> Data:
    made = datasets.make_regression(300, 8, n_informative=4, noise=8.0, effective_rank=5, random_state=4)
    X, y = made[0], made[1]
    return _standardised(X, y + 3 * X[:, 0] * X[:, 1] * y.std() / np.std(X[:, 0] * X[:, 1]) / 3)


def _cancer() -> Data:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    return X, y.astype(np.float64)


def _wine() -> Data:
    X, y = datasets.load_wine(return_X_y=True)
    return X, y.astype(np.float64)


def _digits() -> Data:
    X, y = datasets.load_digits(return_X_y=True)
    return X[:800] / 16, y[:800].astype(np.float64)


def _quiet(loss: Callable[[Config, Data], float]) -> Callable[[Config, Data], float]:
    """Without the warnings that bad hyperparameters rightly cause."""

    def run(config: Config, data: Data) -> float:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return loss(config, data)

    return run


TRAININGS = (
    Training("forest_diabetes", _FOREST, _quiet(_forest), _diabetes, logarithm=True, runs=800),
    Training("boosting_friedman1", _BOOSTING, _quiet(_boosting), lambda: _friedman(1), logarithm=True, runs=800),
    Training("vectors_cancer", _VECTORS, _quiet(_vectors), _cancer, logarithm=True, runs=800),
    Training("network_digits", _NETWORK, _quiet(_network), _digits, logarithm=True, runs=800),
    Training("gradient_regression", _GRADIENT, _quiet(_gradient), _sparse_regression, logarithm=True, runs=1000),
    Training("neighbours_wine", _NEIGHBOURS, _quiet(_neighbours), _wine, logarithm=True, runs=800),
    Training("penalised_diabetes", _PENALISED, _quiet(_penalised), _diabetes, logarithm=True, runs=800),
)

EARLIER = (
    Training("boosting_friedman2", _BOOSTING, _quiet(_boosting), lambda: _friedman(2), logarithm=True, runs=60),
    Training("boosting_friedman3", _BOOSTING, _quiet(_boosting), lambda: _friedman(3), logarithm=True, runs=60),
)
