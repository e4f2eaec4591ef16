"""LAMB and LARS against a step computed by hand, schedules against their formulas, and all of them saved and loaded."""

from __future__ import annotations

import io
import math
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from paretune.errors import SpecError
from paretune.train import Lamb, Lars, make_optimizer, make_schedule, parameter_groups, scaled_lr
from paretune.train.optimizers import OptimizerName
from paretune.train.schedule import Schedule


def weight(*values: float) -> nn.Parameter:
    return nn.Parameter(torch.tensor([values], dtype=torch.float64))


def step(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, *gradient: float) -> list[float]:
    parameter.grad = torch.tensor([gradient], dtype=torch.float64)
    optimizer.step()
    return [float(value) for value in parameter.detach()[0]]


def test_the_first_two_steps_of_lamb() -> None:
    """w = (3, 4), |w| = 5. Bias correction makes the first r the gradient's signs, so r + 0.1 w = (1.3, -0.6)."""
    w = weight(3.0, 4.0)
    optimizer = Lamb([w], lr=0.1, betas=(0.5, 0.5), eps=0.0, weight_decay=0.1)
    scale = 0.1 * 5 / math.hypot(1.3, -0.6)
    first = [3 - 1.3 * scale, 4 + 0.6 * scale]
    assert step(optimizer, w, 2.0, -2.0) == pytest.approx(first, rel=1e-12)

    # second gradient (0, -2): m = (.5, -1.5) / .75, v = (1, 3) / .75 after bias correction
    r = [0.5 / 0.75 / math.sqrt(1 / 0.75) + 0.1 * first[0], -1.5 / 0.75 / math.sqrt(3 / 0.75) + 0.1 * first[1]]
    scale = 0.1 * math.hypot(*first) / math.hypot(*r)
    second = [first[0] - scale * r[0], first[1] - scale * r[1]]
    assert step(optimizer, w, 0.0, -2.0) == pytest.approx(second, rel=1e-12)


def test_the_first_two_steps_of_lars() -> None:
    """w = (3, 4), g = (0, 2), decay 0.5: the layer's rate is 0.1 * 5 / (2 + 0.5 * 5) = 1/9, g + decay w = (1.5, 4)."""
    w = weight(3.0, 4.0)
    optimizer = Lars([w], lr=0.9, momentum=0.5, weight_decay=0.5, trust=0.1)
    velocity = [0.1 * 1.5, 0.1 * 4]
    first = [3 - velocity[0], 4 - velocity[1]]
    assert step(optimizer, w, 0.0, 2.0) == pytest.approx(first, rel=1e-12)

    rate = 0.9 * 0.1 * math.hypot(*first) / (1 + 0.5 * math.hypot(*first))
    pull = [1 + 0.5 * first[0], 0.5 * first[1]]
    second = [x - (0.5 * v + rate * p) for x, v, p in zip(first, velocity, pull, strict=True)]
    assert step(optimizer, w, 1.0, 0.0) == pytest.approx(second, rel=1e-12)


@pytest.mark.parametrize("kind", [Lamb, Lars])
def test_a_step_does_not_grow_with_the_gradient(kind: Any) -> None:
    """What the layer-wise rate is for: a gradient a thousand times as large moves the weights as far."""
    ends = []
    for factor in (1.0, 1000.0):
        w = weight(3.0, 4.0)
        ends.append(step(kind([w], lr=0.1), w, factor, -2 * factor))
    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


@pytest.mark.parametrize("kind", [Lamb, Lars])
def test_weights_or_gradients_of_zero_do_no_harm(kind: Any) -> None:
    w = weight(0.0, 0.0)
    moved = step(kind([w], lr=0.1, weight_decay=0.1), w, 1.0, 0.0)
    assert moved == pytest.approx([-0.1, 0.0], abs=1e-6)  # ratio 1: Adam's, or plain gradient descent's first step
    w = weight(3.0, 4.0)
    assert step(kind([w], lr=0.1), w, 0.0, 0.0) == [3.0, 4.0]


def test_without_the_layer_wise_rate_they_are_adam_and_momentum() -> None:
    for own, torchs in (
        (lambda p: Lamb(p, lr=0.1, eps=1e-8), lambda p: torch.optim.Adam(p, lr=0.1, eps=1e-8)),
        (lambda p: Lars(p, lr=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    ):
        ends = []
        for build in (own, torchs):
            w = weight(3.0, 4.0)
            optimizer = build([{"params": [w], "layer_wise": False}])
            ends.append([step(optimizer, w, float(k), -1.0) for k in range(4)])
        torch.testing.assert_close(torch.tensor(ends[0]), torch.tensor(ends[1]))


def test_biases_and_norms_stand_in_a_group_of_their_own() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1, bias=False))
    matrices, vectors = Lars(parameter_groups(model.parameters()), weight_decay=0.1).param_groups
    assert [p.dim() for p in matrices["params"]] == [2, 2]
    assert [p.dim() for p in vectors["params"]] == [1, 1, 1]
    assert [(g["weight_decay"], g["layer_wise"]) for g in (matrices, vectors)] == [(0.1, True), (0.0, False)]


def train(model: nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> Tensor:
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).square().mean().backward()
        optimizer.step()
        scheduler.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", get_args(OptimizerName))
@pytest.mark.parametrize("schedule", get_args(Schedule))
def test_saved_after_three_steps_and_loaded_they_go_on_exactly(name: OptimizerName, schedule: Schedule) -> None:
    """Through a file that `torch.load(weights_only=True)` accepts, the warmup's end lying behind the cut."""

    def build() -> tuple[nn.Module, torch.optim.Optimizer, Any]:
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        optimizer = make_optimizer(name, parameter_groups(model.parameters()), lr=0.1, weight_decay=0.01)
        return model, optimizer, make_schedule(optimizer, schedule, steps=8, warmup=0.5)

    parts = build()
    train(*parts, steps=3)
    file = io.BytesIO()
    torch.save([part.state_dict() for part in parts], file)
    expected = train(*parts, steps=5)
    file.seek(0)
    again = build()
    for part, state in zip(again, torch.load(file, weights_only=True), strict=True):
        part.load_state_dict(state)
    assert torch.equal(train(*again, steps=5), expected)


def rates(name: Schedule, *, steps: int, warmup: float = 0.0, **settings: float) -> list[float]:
    optimizer = torch.optim.SGD([weight(1.0)], lr=2.0)
    scheduler = make_schedule(optimizer, name, steps=steps, warmup=warmup, **settings)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_schedules_follow_their_formulas() -> None:
    assert rates("constant", steps=4, warmup=0.5) == pytest.approx([1, 2, 2, 2])
    assert rates("cosine", steps=4) == pytest.approx([1 + math.cos(math.pi * i / 4) for i in range(4)])
    assert rates("step", steps=6, gamma=0.5) == pytest.approx([2, 2, 1, 1, 0.5, 0.5])
    assert rates("polynomial", steps=4, power=2.0) == pytest.approx([2 * (1 - i / 4) ** 2 for i in range(4)])
    assert rates("polynomial", steps=8, warmup=0.5) == pytest.approx([0.5, 1, 1.5, 2, 2, 1.5, 1, 0.5])
    cycle = rates("one_cycle", steps=10, warmup=0.5)
    assert cycle[0] == pytest.approx(2 / 25)
    assert max(cycle) > 1.9
    assert cycle.index(max(cycle)) in (4, 5)


@pytest.mark.parametrize("name", get_args(Schedule))
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.9])
def test_every_rate_is_positive_and_at_most_the_peak_even_of_one_step(name: Schedule, warmup: float) -> None:
    for steps in (1, 2, 7):
        assert all(0 < rate <= 2.0 + 1e-12 for rate in rates(name, steps=steps, warmup=warmup))


def test_the_rate_grows_with_the_batch() -> None:
    found = [scaled_lr(0.1, rule, batch_size=64, base_batch_size=16) for rule in ("none", "sqrt", "linear")]
    assert found == pytest.approx([0.1, 0.2, 0.4])


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(SpecError, match="one of adamw, lamb, lars, sgd, got 'lion'"):
        make_optimizer("lion", [weight(1.0)], lr=0.1)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([weight(1.0)], lr=1.0)
    with pytest.raises(SpecError, match="polynomial, one_cycle, got 'cosin'"):
        make_schedule(optimizer, "cosin", steps=4)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="warmup must be a share of the steps"):
        make_schedule(optimizer, "cosine", steps=4, warmup=100)
    with pytest.raises(SpecError, match="none, sqrt, linear, got 'cubic'"):
        scaled_lr(0.1, "cubic", batch_size=1, base_batch_size=1)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="momentum must be in"):
        Lars([weight(1.0)], momentum=1.0)
