"""Optimizers by name: torch's AdamW and SGD, and the two for large batches that torch does not have.

Both scale each matrix's step by the ratio of the matrix's norm to the norm of its update, so that no layer moves out of
proportion when the batch, and with it the learning rate, grows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, get_args, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from paretune.errors import SpecError

OptimizerName = Literal["adamw", "lamb", "lars", "sgd"]
Parameters: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]


def make_optimizer(
    name: OptimizerName, parameters: Parameters, *, lr: float, weight_decay: float = 0.0, momentum: float = 0.9
) -> Optimizer:
    """The optimizer of that name; `momentum` is for sgd and lars alone.

    `parameters` is what torch's optimizers take, for instance what `parameter_groups` returns.
    Raises SpecError for an unknown name.
    """
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    if name == "lamb":
        return Lamb(parameters, lr=lr, weight_decay=weight_decay)
    if name == "lars":
        return Lars(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)
    raise SpecError(f"optimizer must be one of {', '.join(get_args(OptimizerName))}, got {name!r}")


def parameter_groups(parameters: Iterable[nn.Parameter]) -> list[dict[str, Any]]:
    """Matrices (and convolutions) in one group; biases and norms in another, without weight decay and layer-wise rate.

    That is how LAMB's and LARS's authors run them: the norm of a bias near zero says nothing about its step.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.dim() > 1]
    vectors = [parameter for parameter in trained if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices},
        {"params": vectors, "weight_decay": 0.0, "layer_wise": False},
    ]
    return [group for group in groups if group["params"]]


class _LayerWise(Optimizer, ABC):
    """A step per parameter, with the state that `_update` keeps for it."""

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; `closure` computes the loss anew and its gradients, as with torch's optimizers."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, self.state[parameter], group)
        return loss

    @abstractmethod
    def _update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Change one parameter by its gradient; `state` is kept for it from step to step."""


class Lamb(_LayerWise):
    """You et al., "Large Batch Optimization for Deep Learning", arXiv:1904.00962, algorithm 2, phi the identity.

    Adam's bias-corrected step r plus weight decay, scaled to the norm of the weights:
    w <- w - lr * |w| / |r + decay w| * (r + decay w). Where one of the norms is 0 the ratio is 1.
    A group with `layer_wise: False` takes Adam's step as it is.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        _check(lr=lr, eps=eps, weight_decay=weight_decay)
        _check_share(beta1=betas[0], beta2=betas[1])
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "layer_wise": True}
        )

    def _update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        beta1, beta2 = group["betas"]
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        step = (mean / (1 - beta1 ** state["step"])) / ((square / (1 - beta2 ** state["step"])).sqrt() + group["eps"])
        step = step.add(parameter, alpha=group["weight_decay"])
        if group["layer_wise"]:
            step = step * _ratio(parameter.norm(), step.norm())
        parameter.sub_(step, alpha=group["lr"])


class Lars(_LayerWise):
    """You et al., "Large Batch Training of Convolutional Networks", arXiv:1708.03888, algorithm 1.

    SGD with momentum whose rate in each layer is lr * trust * |w| / (|g| + decay |w|); `trust` is the paper's eta.
    Where |w| or |g| is 0 the layer's rate is lr. A group with `layer_wise: False` is plain SGD with momentum.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 0.1,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 1e-3,
    ) -> None:
        _check(lr=lr, weight_decay=weight_decay, trust=trust)
        _check_share(momentum=momentum)
        super().__init__(
            params,
            {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust, "layer_wise": True},
        )

    def _update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        decay = group["weight_decay"]
        step = gradient.add(parameter, alpha=decay) * group["lr"]
        if group["layer_wise"]:
            weight, slope = parameter.norm(), gradient.norm()
            rate = group["trust"] * weight / (slope + decay * weight)
            step = step * torch.where((weight > 0) & (slope > 0), rate, torch.ones_like(rate))
        if "velocity" not in state:
            state["velocity"] = torch.zeros_like(parameter)
        parameter.sub_(state["velocity"].mul_(group["momentum"]).add_(step))


def _ratio(weight: Tensor, step: Tensor) -> Tensor:
    """|w| / |step|, 1 where either is 0; stays on the device."""
    return torch.where((weight > 0) & (step > 0), weight / step, torch.ones_like(weight))


def _check(**values: float) -> None:
    for name, value in values.items():
        if value < 0:
            raise SpecError(f"optimizer: {name} must be >= 0, got {value}")


def _check_share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise SpecError(f"optimizer: {name} must be in [0, 1), got {value}")
