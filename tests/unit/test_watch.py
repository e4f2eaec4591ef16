"""Watchers: what they end, what they let pass, and that a resumed trial is judged as an undisturbed one."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from paretune.errors import DivergedError, StarvedError
from paretune.train import Rules, Watch
from paretune.trainables import transformer

RULES = Rules(every=4, patience=2)


def feed(watch: Watch, losses: list[float], **others: float) -> None:
    for loss in losses:
        watch.step(torch.tensor(loss), **others)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_ends_the_trial_with_its_step(bad: float) -> None:
    watch = Watch(RULES)
    feed(watch, [1.0] * 4)
    with pytest.raises(DivergedError, match=f"the loss is {bad} at step 6"):
        feed(watch, [1.0, bad, 1.0, 1.0])


def test_it_is_found_at_the_epochs_end_also_within_a_window() -> None:
    watch = Watch(RULES)
    watch.step(1.0, grad_norm=math.inf)
    with pytest.raises(DivergedError, match="the gradient's norm is inf at step 1"):
        watch.look()


@pytest.mark.parametrize(
    ("start", "limit"),
    [
        ([5.0] * 4, 15.0),  # rise 2: three times the start
        ([-1.0] * 4, 1.0),
        ([1.0, -1.0, 1.0, -1.0], 2.0),  # around zero the deviation is the scale, 1
    ],
)
def test_a_rising_loss_ends_the_trial_beyond_the_documented_limit(start: list[float], limit: float) -> None:
    below, above = Watch(RULES), Watch(RULES)
    feed(below, start)
    feed(below, [limit - 0.01] * 40)
    feed(above, start)
    feed(above, [limit + 0.01] * 7)
    with pytest.raises(DivergedError, match=rf"at the start and is {limit + 0.01:.4g} at step 12"):
        feed(above, [limit + 0.01])


def test_a_spike_is_no_divergence() -> None:
    watch = Watch(RULES)
    for _ in range(10):
        feed(watch, [1.0] * 4 + [1e6] * 4)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_losses_that_never_exceed_the_first_windows_mean_are_let_pass(
    falls: list[float], scale: float, start: float
) -> None:
    watch = Watch(RULES)
    feed(watch, [start] * 4 + [start - scale * abs(fall) for fall in falls])
    watch.look()


def test_an_exploding_norm_ends_the_trial_and_a_large_one_does_not() -> None:
    watch = Watch(RULES)
    feed(watch, [1.0] * 4, grad_norm=0.5)
    feed(watch, [1.0] * 40, grad_norm=0.5e4)
    with pytest.raises(DivergedError, match=r"norm was 0.5 at the start and is 6000 at step 52"):
        feed(watch, [1.0] * 8, grad_norm=0.6e4)


def batches(kind: str) -> Iterator[torch.Tensor]:
    """Representations (32, 8) of twelve batches."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        noise = torch.randn(32, 8, generator=generator)
        yield {
            "sound": noise,
            "rectified": noise.relu(),
            "collapsed": torch.arange(1.0, 9.0) + 1e-3 * noise,
            "dead": torch.zeros(32, 8) * noise,
        }[kind]


def look_at(representations: Iterator[torch.Tensor]) -> None:
    watch = Watch(RULES)
    for h in representations:
        watch.step(1.0, representation=h)


@pytest.mark.parametrize("kind", ["sound", "rectified"])
def test_sound_representations_pass(kind: str) -> None:
    look_at(batches(kind))


@pytest.mark.parametrize(("kind", "reason"), [("collapsed", "has collapsed"), ("dead", "dead: 0.0% of its features")])
def test_collapsed_and_dead_representations_end_the_trial(kind: str, reason: str) -> None:
    with pytest.raises(DivergedError, match=rf"{reason}.* at step 8"):
        look_at(batches(kind))


def slow(wait_s: float) -> Iterator[int]:
    for i in range(8):
        time.sleep(wait_s)
        yield i


def train_slowly(rules: Rules) -> None:
    watch = Watch(rules)
    for _ in watch.batches(slow(0.02)):
        watch.step(1.0)


def test_waiting_for_data_ends_the_trial_only_when_it_takes_long_enough() -> None:
    train_slowly(Rules(every=1, patience=2))  # 60 s are not over
    with pytest.raises(StarvedError, match=r"% of the time went into waiting for data(?s:.*)hint: more workers"):
        train_slowly(Rules(every=1, patience=2, waiting_s=0.02, waiting=0.5))


def test_a_loader_that_keeps_up_is_let_pass_and_loses_no_batch() -> None:
    watch, seen = Watch(Rules(every=1, patience=1, waiting_s=0.0, waiting=0.5)), []
    for i in watch.batches(range(8)):
        time.sleep(0.005)
        watch.step(1.0)
        seen.append(i)
    assert seen == list(range(8))


def test_a_resumed_trial_is_judged_by_its_first_start() -> None:
    """The cut lies between the two windows that must be above the limit."""
    watch = Watch(RULES)
    feed(watch, [5.0] * 4 + [0.1] * 4 + [20.0] * 4)
    file = io.BytesIO()
    torch.save(watch.state_dict(), file)
    file.seek(0)
    resumed = Watch(RULES)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for one in (watch, resumed):
        with pytest.raises(DivergedError, match="the loss was 5 at the start and is 20 at step 16"):
            feed(one, [20.0] * 4)


def test_a_transformer_at_a_hopeless_rate_has_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built-in loop, before its first report: SGD without effective clipping, at a rate of 1e4."""
    import ray.train
    import ray.train.torch

    from paretune.trainables import datasets

    monkeypatch.setattr(ray.train, "get_checkpoint", lambda: None)
    monkeypatch.setattr(ray.train.torch, "prepare_model", lambda model: model)
    monkeypatch.setattr(datasets, "_standard_library", lambda split: bytes(range(256)) * 16)
    config = {"width": 16, "depth": 1, "context": 16, "optimizer": "sgd", "lr": 1e4, "clip": 1e9, "batch_size": 2}
    with pytest.raises(DivergedError, match=r"the (loss|gradient's norm) "):
        transformer.train({**config, "epochs": 1, "warmup": 0.0, "seed": 0})
