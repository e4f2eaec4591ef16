"""xPatch against hand-computed numbers, loops and closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from paretune.errors import SpecError
from paretune.trainables.xpatch import XPatch, ema_matrix, horizon_weights, weighted_mae
from paretune.trainables.xpatch.loop import learning_rate
from paretune.trainables.xpatch.model import Decomposition, RevIN, SeasonalStream, TrendStream


def ema_by_loop(x_LC: Tensor, alpha: float) -> Tensor:
    s = [x_LC[0]]
    for x in x_LC[1:]:
        s.append(alpha * x + (1 - alpha) * s[-1])
    return torch.stack(s)


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 96, 720])
def test_the_matrix_ema_equals_the_recursion(steps: int, alpha: float) -> None:
    x_LC = torch.randn(steps, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(steps))
    difference = (ema_matrix(steps, alpha) @ x_LC - ema_by_loop(x_LC, alpha)).abs().max()
    assert difference < 1e-10


def test_every_row_of_the_ema_matrix_is_an_average() -> None:
    for alpha in (0.1, 0.9):
        rows = ema_matrix(720, alpha).sum(dim=1)
        torch.testing.assert_close(rows, torch.ones(720, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1, math.nan])
def test_an_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(SpecError, match="alpha"):
        ema_matrix(4, alpha)


def test_trend_and_seasonal_part_add_up_to_the_series() -> None:
    x_BLC = torch.randn(2, 96, 7)
    seasonal, trend = Decomposition(96, 0.3)(x_BLC)
    torch.testing.assert_close(seasonal + trend, x_BLC)
    assert torch.equal(trend[:, 0], x_BLC[:, 0])  # s_0 = x_0


def test_the_loss_weights_start_at_one_and_fall_to_their_limit() -> None:
    rho = horizon_weights(720).double()
    assert rho[0] == 1.0
    assert rho[1].item() == pytest.approx(1 + math.pi / 4 - math.atan(2))  # .678
    assert (rho.diff() < 0).all()
    assert rho[-1].item() == pytest.approx(1 + math.pi / 4 - math.pi / 2, abs=2e-3)  # .215


def test_the_weighted_loss_by_hand() -> None:
    forecast = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])  # (B 1, T 2, C 2)
    loss = weighted_mae(forecast, torch.zeros(1, 2, 2), torch.tensor([1.0, 0.5]))
    assert loss.item() == pytest.approx((1.0 + 0.5 * 2.0) / 4)


@pytest.mark.parametrize(
    ("epoch", "share"),
    [
        (0, 0.0),  # both sigmoids are sigma(-5)
        (1, 0.00395336),  # sigma(-4.5) - sigma(-4.95)
        (10, 0.4890130),  # sigma(0) - sigma(-4.5)
        (20, 0.9753212),  # sigma(5) - sigma(-4)
        (100, 0.5),  # sigma(45) - sigma(0)
    ],
)
def test_the_learning_rate_schedule_by_hand(epoch: int, share: float) -> None:
    assert learning_rate(1e-4, epoch, warmup_epochs=10) == pytest.approx(share * 1e-4, rel=1e-5, abs=1e-18)


def test_the_schedule_survives_extreme_epochs() -> None:
    assert learning_rate(1.0, 100_000, warmup_epochs=10) == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(1.0, 1, warmup_epochs=1e5) == pytest.approx(0.0, abs=1e-12)


def test_revin_normalises_and_its_inverse_restores() -> None:
    revin = RevIN(3)
    with torch.no_grad():
        revin.scale_C.copy_(torch.tensor([2.0, 0.5, -1.0]))
        revin.shift_C.copy_(torch.tensor([0.1, -3.0, 0.0]))
    x = torch.randn(4, 96, 3) * 5 + 100
    normal, mean, std = revin.normalise(x)
    plain = (normal - revin.shift_C) / revin.scale_C
    torch.testing.assert_close(plain.mean(dim=1), torch.zeros(4, 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(plain.var(dim=1, unbiased=False), torch.ones(4, 3), rtol=0, atol=1e-3)
    torch.testing.assert_close(revin.restore(normal, mean, std), x, rtol=1e-4, atol=1e-3)


def test_a_constant_window_stays_finite() -> None:
    assert torch.isfinite(XPatch(channels=2)(torch.full((1, 96, 2), 3.0))).all()


@pytest.mark.parametrize(
    ("seq_len", "horizon", "patch_len", "stride"), [(96, 96, 16, 8), (720, 336, 32, 16), (36, 24, 6, 3), (16, 2, 16, 8)]
)
def test_shapes(seq_len: int, horizon: int, patch_len: int, stride: int) -> None:
    model = XPatch(channels=7, seq_len=seq_len, horizon=horizon, patch_len=patch_len, stride=stride)
    assert model(torch.randn(3, seq_len, 7)).shape == (3, horizon, 7)


def test_twelve_patches_at_96_steps_and_the_end_is_repeated() -> None:
    stream = SeasonalStream(96, 96, 16, 8)
    patches = stream.pad(torch.arange(96.0)[None]).unfold(-1, 16, 8)[0]
    assert patches.shape == (12, 16)
    assert patches[1].tolist() == list(range(8, 24))
    assert patches[-1].tolist() == [*range(88, 96), *[95.0] * 8]


def test_the_number_of_parameters_by_hand() -> None:
    revin = 2 * 7
    seasonal = (
        (16 * 256 + 256)  # P -> P^2
        + (12 * 16 + 12)  # depthwise over 12 patches, kernel 16
        + (256 * 16 + 16)  # residual P^2 -> P
        + (12 * 12 + 12)  # pointwise
        + 3 * 2 * 12  # three batch norms over patches
        + (192 * 192 + 192)
        + (192 * 96 + 96)
    )
    trend = (96 * 384 + 384) + 2 * 192 + (192 * 96 + 96) + 2 * 48 + (48 * 96 + 96)
    mix = 192 * 96 + 96
    assert sum(p.numel() for p in XPatch(channels=7).parameters()) == revin + seasonal + trend + mix == 143_982


def test_the_trend_stream_has_no_activation_between_its_norms() -> None:
    """LayerNorm apart it is affine, so scaling its input leaves the first normalised layer unchanged."""
    stream = TrendStream(32, 16).double().eval()
    with torch.no_grad():
        for layer in stream.layers:
            if isinstance(layer, torch.nn.Linear):
                layer.bias.zero_()
        x = torch.randn(5, 32, dtype=torch.float64)
        torch.testing.assert_close(stream(x), stream(3 * x), rtol=1e-3, atol=1e-3)


def test_both_streams_feed_the_forecast() -> None:
    torch.manual_seed(0)
    model = XPatch(channels=2, seq_len=32, horizon=8, patch_len=8, stride=4).eval()
    x = torch.randn(3, 32, 2)
    normal, mean, std = model.revin.normalise(x)
    seasonal, trend = model.decompose(normal)
    assert model.seasonal is not None
    assert model.trend is not None
    parts = [s(p.transpose(1, 2).reshape(6, 32)) for s, p in ((model.seasonal, seasonal), (model.trend, trend))]
    mixed = model.mix(torch.cat(parts, dim=-1)).reshape(3, 2, 8).transpose(1, 2)
    torch.testing.assert_close(model(x), model.revin.restore(mixed, mean, std))


def test_channels_do_not_see_each_other() -> None:
    model = XPatch(channels=3).eval()
    x = torch.randn(2, 96, 3)
    changed = x.clone()
    changed[..., 2] += torch.randn(2, 96)
    assert torch.equal(model(x)[..., :2], model(changed)[..., :2])


@pytest.mark.parametrize("streams", ["seasonal", "trend"])
def test_one_stream_alone_works_and_is_smaller(streams: str) -> None:
    model = XPatch(channels=2, streams=streams)  # type: ignore[arg-type]
    assert model(torch.randn(2, 96, 2)).shape == (2, 96, 2)
    assert sum(p.numel() for p in model.parameters()) < 143_000


@pytest.mark.parametrize(
    ("bad", "word"),
    [({"horizon": 95}, "even"), ({"patch_len": 97}, "patch_len"), ({"stride": 0}, "stride")],
)
def test_impossible_sizes_are_refused(bad: dict[str, int], word: str) -> None:
    with pytest.raises(SpecError, match=word):
        XPatch(channels=1, **bad)  # type: ignore[arg-type]
