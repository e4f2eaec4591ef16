"""xPatch, a two-stream forecaster of time series (Stitsyuk & Choi, AAAI 2025): `train(config)` and the model."""

from paretune.trainables.xpatch.loop import XPatchConfig, train
from paretune.trainables.xpatch.model import XPatch, ema_matrix, horizon_weights, weighted_mae

__all__ = ["XPatch", "XPatchConfig", "ema_matrix", "horizon_weights", "train", "weighted_mae"]
