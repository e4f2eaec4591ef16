"""What a run watches and measures of itself, on one worker; tests/numerical/test_layouts.py has those on many."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from paretune import train
from paretune.errors import DivergedError, StarvedError
from paretune.train import Layout, Rules
from paretune.train.stats import stragglers

RULES = Rules(every=4, patience=2)


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))


def sgd(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.0)


def prepared(layout: Layout | None = None, **options: Any) -> train.Run:
    return train.prepare(net(), sgd, layout, **{"loss": mse_loss, "watch": RULES, **options})


def batch(size: float = 1.0) -> tuple[Tensor, Tensor]:
    """Its loss and gradients grow with the size."""
    x = torch.linspace(-1, 1, 24).view(8, 3)
    return x, torch.full((8, 1), size)


def feed(run: train.Run, sizes: list[float]) -> None:
    for size in sizes:
        run.step(batch(size))


def test_a_loss_that_is_not_finite_ends_the_run_before_its_update() -> None:
    with prepared() as run:
        run.step(batch())
        with pytest.raises(DivergedError, match="the loss is nan at step 2"):
            run.step(batch(math.nan))
        assert run.updates == 1


def test_a_rising_loss_ends_the_run_in_the_second_window_that_is_too_high() -> None:
    with prepared() as run:
        feed(run, [1.0] * 4 + [10.0] * 7)
        with pytest.raises(DivergedError, match=r"the loss was 1.* at the start and is 1.* at step 12"):
            run.step(batch(10.0))


def test_an_epochs_end_judges_what_there_is_and_a_checkpoint_holds_no_diverged_run(tmp_path: Path) -> None:
    def sick(rules: Rules) -> train.Run:
        run = prepared(watch=rules)
        feed(run, [1.0] * 2 + [99.0] * 3)
        return run

    rules = Rules(every=2, patience=2)
    with sick(rules) as run, pytest.raises(DivergedError, match="at step 5"):
        run.flush()
    with sick(rules) as run, pytest.raises(DivergedError, match="at step 5"):
        run.save(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layout", [Layout(), Layout(accumulate=3), Layout(clip_norm=0.5)])
def test_an_exploding_norm_ends_the_run_though_the_loss_does_not_rise(layout: Layout) -> None:
    """Its gradients grow a million-fold around the same loss."""
    steep = 1.0

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return mse_loss(outputs, targets).detach() + steep * (outputs - outputs.detach()).mean()

    with prepared(layout, loss=loss) as run:
        feed(run, [1.0] * 12)
        before, steep = run.stats.grad_norm, 1e6
        assert before is not None
        with pytest.raises(DivergedError, match="the gradient's norm was"):
            feed(run, [1.0] * 24)
        assert run.stats.grad_norm == pytest.approx(1e6 * before)


def test_the_norm_that_is_measured_now_and_then_is_that_of_the_gradients() -> None:
    model, (x, y) = net(), batch()
    mse_loss(model(x), y).backward()
    expected = nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)
    with prepared() as run:
        run.step(batch())
        assert run.stats.grad_norm == pytest.approx(float(expected))


@pytest.mark.parametrize(("bias", "reason"), [(-9.0, "the representation is dead"), (1e4, "has collapsed")])
def test_a_part_that_no_longer_tells_samples_apart_ends_the_run(bias: float, reason: str) -> None:
    model = net()
    with torch.no_grad():
        model[0].bias.fill_(bias)
    with train.prepare(model, sgd, loss=mse_loss, watch=RULES, representation=model[1]) as run:
        feed(run, [1.0] * 7)
        run.evaluate(batch())
        with pytest.raises(DivergedError, match=rf"{reason}.* at step 8"):
            run.step(batch())
    assert not model[1]._forward_hooks, "closing leaves the model as it was"


def test_a_sound_run_is_let_pass_and_so_is_any_that_nobody_watches() -> None:
    model = net()
    with train.prepare(model, sgd, loss=mse_loss, watch=RULES, representation=model[1]) as run:
        feed(run, [1.0] * 40)
        run.flush()
    with prepared(watch=None) as run:
        feed(run, [1.0, 1e9, math.nan, 1e9])


def starve(run: train.Run, *, busy: bool) -> None:
    for _ in range(6):
        run.step(batch())
        time.sleep(0.03)
        if busy:
            run.evaluate(batch())


def test_waiting_for_batches_ends_the_run_and_other_work_between_two_steps_does_not() -> None:
    rules = Rules(every=1, patience=2, waiting=0.05, waiting_s=0.02)
    with prepared(watch=rules) as run:
        run.step(batch())  # pays for what a first step pays for
        starve(run, busy=True)
        with pytest.raises(StarvedError, match=r"% of the time went into waiting for data"):
            starve(run, busy=False)
        assert run.stats.rank_step_s[0] > 0


def test_a_resumed_run_is_judged_by_its_first_start(tmp_path: Path) -> None:
    """The cut lies between the two windows that are too high."""
    with prepared() as run:
        feed(run, [1.0] * 4 + [9.0] * 4)
        run.save(tmp_path / "one")
    with prepared() as run:
        run.restore(tmp_path / "one")
        with pytest.raises(DivergedError, match="at step 12"):
            feed(run, [9.0] * 4)


def test_stragglers_are_slower_than_most_copies_of_their_stage() -> None:
    assert stragglers([1.0, 1.6, 1.0, 1.0], copies=4, steps=8) == (1,)
    assert stragglers([1.0, 1.6, 1.0, 1.0], copies=4, steps=7) == (), "too early to say"
    assert stragglers([1.0, 1.6], copies=2, steps=8) == (1,)
    assert stragglers([1.0, 1.6, 1.0, 1.6], copies=1, steps=8) == (), "stages do different work"
    assert stragglers([1.0, 1.1, 9.0, 2.0], copies=2, steps=8) == (2,)


@given(st.lists(st.floats(0.1, 1e3), min_size=1, max_size=9))
def test_stragglers_are_never_the_fastest_and_do_not_depend_on_the_unit(times_s: list[float]) -> None:
    found = stragglers(times_s, copies=len(times_s), steps=8)
    assert times_s.index(min(times_s)) not in found
    assert len(found) <= len(times_s) / 2
    assert found == stragglers([4 * time_s for time_s in times_s], copies=len(times_s), steps=8)
