"""The training runs behind the tables: a space and a run that returns its validation loss after every epoch.

Needs scikit-learn and torch. Data sets ship with scikit-learn or are generated; the model's seed is fixed, so that a
configuration has one curve. A run that diverges stays at the worst loss that its task knows. Legend: e epochs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn import datasets, ensemble
from torch import Tensor, nn

from benchmarks.optimizers.spaces import Config, Space, choice, integer, real

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Training:
    """`curve` maps a configuration to its losses, shape (e,); `runs` is how many configurations are tried."""

    name: str
    space: Space
    curve: Callable[[Config], Array]
    epochs: int
    runs: int


# -- a network on digits: optimizers, schedules, dropout ---------------------------------------------------------------

_DIGITS_EPOCHS = 27
_DIGITS_WORST = 5.0  # log loss; chance is 2.3

_DIGITS = Space(
    [
        choice("optimizer", ["adam", "sgd"]),
        real("momentum", 0.0, 0.99, when=("optimizer", "sgd")),
        real("lr", 1e-4, 1.0, log=True),
        choice("schedule", ["constant", "cosine"]),
        integer("batch", 32, 256, log=True),
        integer("width", 8, 256, log=True),
        real("decay", 1e-6, 1e-1, log=True),
        real("dropout", 0.0, 0.7),
    ]
)


def _digits(config: Config) -> Array:
    X, y = datasets.load_digits(return_X_y=True)
    inputs, labels = torch.tensor(X / 16, dtype=torch.float32), torch.tensor(y)
    torch.manual_seed(0)
    width = config["width"]
    model = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Dropout(config["dropout"]),
        nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10),
    )  # fmt: skip
    data = (inputs[:700], labels[:700]), (inputs[700:], labels[700:])
    losses = _losses(model, config, data, epochs=_DIGITS_EPOCHS, loss=nn.functional.cross_entropy)
    return _curve(losses, _DIGITS_EPOCHS, worst=_DIGITS_WORST)


# -- two spirals: nothing at all for many epochs, then all at once -----------------------------------------------------

_SPIRALS_EPOCHS = 81
_SPIRALS_WORST = 1.0  # Brier score; chance is 0.25, the wrong labels alone cost 0.05

_SPIRALS = Space(
    [
        real("lr", 1e-3, 1.0, log=True),
        real("momentum", 0.0, 0.99),
        choice("schedule", ["constant", "cosine"]),
        integer("batch", 32, 128, log=True),
        integer("layers", 1, 3),
        integer("width", 4, 64, log=True),
        choice("activation", ["relu", "tanh"]),
        real("decay", 1e-7, 1e-2, log=True),
    ]
)


def _spirals(config: Config) -> Array:
    rng = np.random.default_rng(0)
    turn = np.sqrt(rng.uniform(0.02, 1, 1000)) * 2.5 * math.pi
    label = rng.integers(2, size=1000)
    angle = turn + math.pi * label
    points = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) / 4 + rng.normal(0, 0.07, (1000, 2))
    label ^= rng.random(1000) < 0.05
    inputs, labels = torch.tensor(points, dtype=torch.float32), torch.tensor(label)
    torch.manual_seed(0)
    act = nn.ReLU if config["activation"] == "relu" else nn.Tanh
    sizes = [2, *[config["width"]] * config["layers"]]
    hidden = [m for i in range(config["layers"]) for m in (nn.Linear(sizes[i], sizes[i + 1]), act())]
    model = nn.Sequential(*hidden, nn.Linear(config["width"], 2))
    data = (inputs[:300], labels[:300]), (inputs[300:], labels[300:])
    losses = _losses(model, {"optimizer": "sgd", **config}, data, epochs=_SPIRALS_EPOCHS, loss=_brier)
    return _curve(losses, _SPIRALS_EPOCHS, worst=_SPIRALS_WORST)


def _brier(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean squared error of the second class's probability."""
    return ((logits.softmax(dim=1)[:, 1] - labels) ** 2).mean()


def _losses(
    model: nn.Module,
    config: Config,
    data: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]],
    *,
    epochs: int,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[float]:
    """The `loss` on the held-out part after each epoch; what is trained on is the log loss."""
    (inputs, labels), (held_inputs, held_labels) = data
    if config["optimizer"] == "adam":
        optimizer: Any = torch.optim.AdamW(model.parameters(), lr=config["lr"] / 10, weight_decay=config["decay"])
    else:
        optimizer = torch.optim.SGD(
            model.parameters(), lr=config["lr"], momentum=config["momentum"], weight_decay=config["decay"]
        )
    cosine = config["schedule"] == "cosine"
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs) if cosine else None
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(len(inputs), generator=order).split(config["batch"]):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
        if schedule is not None:
            schedule.step()
        model.eval()
        with torch.no_grad():
            yield float(loss(model(held_inputs), held_labels))


def _curve(losses: Iterator[float], epochs: int, *, worst: float) -> Array:
    curve = np.full(epochs, worst)
    for epoch, loss in enumerate(losses):
        if not math.isfinite(loss):
            break
        curve[epoch] = min(loss, worst)
    return curve


# -- boosting: quick learners overfit, slow ones are not done in time --------------------------------------------------

_ROUNDS = 81
_BOOSTING_WORST = 4.0  # as a share of the target's variance

_BOOSTING = Space(
    [
        real("lr", 1e-2, 1.0, log=True),
        integer("leaves", 2, 48, log=True),
        integer("leaf", 1, 80, log=True),
        real("l2", 1e-6, 1e3, log=True),
        real("features", 0.1, 1.0),
    ]
)


def _boosting(config: Config) -> Array:
    X, y = datasets.make_friedman1(600, noise=2.0, random_state=1)
    model = ensemble.HistGradientBoostingRegressor(
        learning_rate=config["lr"],
        max_iter=_ROUNDS,
        max_leaf_nodes=config["leaves"],
        min_samples_leaf=config["leaf"],
        l2_regularization=config["l2"],
        max_features=config["features"],
        early_stopping=False,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        staged = model.fit(X[:300], y[:300]).staged_predict(X[300:])
        squared = [float(np.mean((predicted - y[300:]) ** 2)) for predicted in staged]
    return np.asarray(np.minimum(np.array(squared) / np.var(y[300:]), _BOOSTING_WORST))


TRAININGS = (
    Training("network_digits", _DIGITS, _digits, _DIGITS_EPOCHS, runs=400),
    Training("spirals", _SPIRALS, _spirals, _SPIRALS_EPOCHS, runs=300),
    Training("boosting", _BOOSTING, _boosting, _ROUNDS, runs=400),
)
