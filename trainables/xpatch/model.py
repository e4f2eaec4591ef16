"""The xPatch model and its loss, on one device.

Stitsyuk & Choi, "xPatch: Dual-Stream Time Series Forecasting with Exponential Seasonal-Trend Decomposition", AAAI
2025. A series is normalised per window (RevIN), split by an exponential moving average into trend and seasonal part,
each part forecast by its own channel-independent stream, and the two forecasts are mixed by one linear layer.

Shape legend: B batch, L input steps, T horizon steps, C channels, M = B * C independent series, N patches,
P patch length, S stride.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from paretune.errors import SpecError

Streams = Literal["both", "seasonal", "trend"]


class XPatch(nn.Module):
    """Forecast `horizon` steps of every channel from `seq_len` steps: (B, L, C) -> (B, T, C).

    `streams` other than "both" leaves one stream out, for the ablation in the paper's section on decomposition.
    Raises SpecError when the horizon is odd (the trend stream halves it) or a patch is longer than the input.
    """

    def __init__(
        self,
        *,
        channels: int,
        seq_len: int = 96,
        horizon: int = 96,
        patch_len: int = 16,
        stride: int = 8,
        alpha: float = 0.3,
        streams: Streams = "both",
    ) -> None:
        super().__init__()
        self.revin = RevIN(channels)
        self.decompose = Decomposition(seq_len, alpha)
        self.seasonal = None if streams == "trend" else SeasonalStream(seq_len, horizon, patch_len, stride)
        self.trend = None if streams == "seasonal" else TrendStream(seq_len, horizon)
        count = (self.seasonal is not None) + (self.trend is not None)
        self.mix = nn.Linear(count * horizon, horizon)

    def forward(self, x_BLC: Tensor) -> Tensor:
        batch, _, channels = x_BLC.shape
        normal_BLC, mean_B1C, std_B1C = self.revin.normalise(x_BLC)
        seasonal_BLC, trend_BLC = self.decompose(normal_BLC)
        forecasts_MT = []
        if self.seasonal is not None:
            forecasts_MT.append(self.seasonal(_fold_channels(seasonal_BLC)))
        if self.trend is not None:
            forecasts_MT.append(self.trend(_fold_channels(trend_BLC)))
        y_MT = self.mix(torch.cat(forecasts_MT, dim=-1))
        y_BTC = y_MT.reshape(batch, channels, -1).transpose(1, 2)
        return self.revin.restore(y_BTC, mean_B1C, std_B1C)


class RevIN(nn.Module):
    """Reversible instance normalisation with a learned affine map per channel (Kim et al., ICLR 2022)."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps  # keeps a constant window (std 0) finite; the value of the RevIN paper
        self.scale_C = nn.Parameter(torch.ones(channels))
        self.shift_C = nn.Parameter(torch.zeros(channels))

    def normalise(self, x_BLC: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The window with mean 0 and variance 1 over time, then the affine map; also the mean and deviation (B, 1, C).

        Both statistics are detached: they are data, no gradient is wanted through them.
        """
        mean_B1C = x_BLC.mean(dim=1, keepdim=True).detach()
        std_B1C = (x_BLC.var(dim=1, keepdim=True, unbiased=False) + self.eps).sqrt().detach()
        return (x_BLC - mean_B1C) / std_B1C * self.scale_C + self.shift_C, mean_B1C, std_B1C

    def restore(self, y_BTC: Tensor, mean_B1C: Tensor, std_B1C: Tensor) -> Tensor:
        """The inverse of `normalise` for any number of steps; eps^2 guards a scale that has been learned down to 0."""
        return (y_BTC - self.shift_C) / (self.scale_C + self.eps**2) * std_B1C + mean_B1C


class Decomposition(nn.Module):
    """Split a window into seasonal and trend part by an exponential moving average: (B, L, C) -> two of (B, L, C)."""

    matrix_LL: Tensor

    def __init__(self, seq_len: int, alpha: float) -> None:
        super().__init__()
        # Not persistent: it follows from two hyperparameters, a checkpoint need not carry L x L numbers.
        self.register_buffer("matrix_LL", ema_matrix(seq_len, alpha).float(), persistent=False)

    def forward(self, x_BLC: Tensor) -> tuple[Tensor, Tensor]:
        trend_BLC = self.matrix_LL @ x_BLC
        return x_BLC - trend_BLC, trend_BLC


class SeasonalStream(nn.Module):
    """Patches, a depthwise and a pointwise convolution over them, a two-layer head: (M, L) -> (M, T)."""

    def __init__(self, seq_len: int, horizon: int, patch_len: int, stride: int) -> None:
        super().__init__()
        if not 1 <= patch_len <= seq_len:
            raise SpecError(f"xpatch: patch_len must be in 1..seq_len ({seq_len}), got {patch_len}")
        if stride < 1:
            raise SpecError(f"xpatch: stride must be >= 1, got {stride}")
        self.patch_len, self.stride = patch_len, stride
        patches = (seq_len - patch_len) // stride + 2  # + 1 as usual, + 1 for the padded end
        wide = patch_len**2
        self.pad = nn.ReplicationPad1d((0, stride))
        self.embed = nn.Sequential(nn.Linear(patch_len, wide), nn.GELU(), nn.BatchNorm1d(patches))
        self.depthwise = nn.Sequential(
            nn.Conv1d(patches, patches, kernel_size=patch_len, stride=patch_len, groups=patches),
            nn.GELU(),
            nn.BatchNorm1d(patches),
        )
        self.shortcut = nn.Linear(wide, patch_len)
        self.pointwise = nn.Sequential(nn.Conv1d(patches, patches, 1), nn.GELU(), nn.BatchNorm1d(patches))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(patches * patch_len, 2 * horizon),
            nn.GELU(),
            nn.Linear(2 * horizon, horizon),
        )

    def forward(self, x_ML: Tensor) -> Tensor:
        patches_MNP = self.pad(x_ML).unfold(-1, self.patch_len, self.stride)
        wide_MNPP = self.embed(patches_MNP)  # (M, N, P * P)
        mixed_MNP = self.depthwise(wide_MNPP) + self.shortcut(wide_MNPP)
        forecast_MT: Tensor = self.head(self.pointwise(mixed_MNP))
        return forecast_MT


class TrendStream(nn.Module):
    """Linear layers with average pooling and layer norm, no activation: (M, L) -> (M, T)."""

    def __init__(self, seq_len: int, horizon: int) -> None:
        super().__init__()
        if horizon < 2 or horizon % 2:
            raise SpecError(f"xpatch: horizon must be even (the trend stream halves it), got {horizon}")
        self.layers = nn.Sequential(
            nn.Linear(seq_len, 4 * horizon),
            nn.AvgPool1d(2),
            nn.LayerNorm(2 * horizon),
            nn.Linear(2 * horizon, horizon),
            nn.AvgPool1d(2),
            nn.LayerNorm(horizon // 2),
            nn.Linear(horizon // 2, horizon),
        )

    def forward(self, x_ML: Tensor) -> Tensor:
        forecast_MT: Tensor = self.layers(x_ML)
        return forecast_MT


def ema_matrix(steps: int, alpha: float) -> Tensor:
    """The (L, L) float64 matrix W with W @ x = s, where s_0 = x_0 and s_t = alpha x_t + (1 - alpha) s_{t-1}.

    Written out, s_t = (1 - alpha)^t x_0 + sum_{j=1..t} alpha (1 - alpha)^(t-j) x_j. All powers are non-negative, so far
    entries underflow to 0; the closed form that divides by (1 - alpha)^t overflows to NaN at alpha .7, L 720.
    """
    if not 0.0 < alpha <= 1.0:
        raise SpecError(f"xpatch: alpha must be in (0, 1], got {alpha}")
    t = torch.arange(steps, dtype=torch.float64)
    lag_LL = (t[:, None] - t[None, :]).clamp(min=0)  # clamped above the diagonal, which tril() clears
    weight_LL = alpha * (1.0 - alpha) ** lag_LL
    weight_LL[:, 0] = (1.0 - alpha) ** t
    return weight_LL.tril()


def horizon_weights(horizon: int) -> Tensor:
    """The loss weights rho(i) = -atan(i) + pi/4 + 1 for i = 1..T: 1 at the first step, towards .215 far ahead."""
    i = torch.arange(1, horizon + 1, dtype=torch.float64)
    return (-torch.atan(i) + math.pi / 4 + 1).float()


def weighted_mae(forecast_BTC: Tensor, target_BTC: Tensor, weights_T: Tensor) -> Tensor:
    """The training loss: absolute errors weighted by `horizon_weights`, averaged over batch, steps and channels."""
    return ((forecast_BTC - target_BTC).abs() * weights_T[:, None]).mean()


def _fold_channels(x_BLC: Tensor) -> Tensor:
    """Channels become independent series: (B, L, C) -> (M, L)."""
    return x_BLC.transpose(1, 2).flatten(0, 1)
