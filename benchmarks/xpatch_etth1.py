"""xPatch on ETTh1, horizon 96: test errors of the epoch with the best validation error; with --compare, step times.

The test split is read once, at the end. Published (Stitsyuk & Choi, AAAI 2025): test MSE .376, MAE .386.

    python benchmarks/xpatch_etth1.py --epochs 100 --patience 10
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time

import torch
from torch import Tensor, nn

from paretune.train import Watch, start_seed, training_device
from paretune.trainables.xpatch.loop import XPatchConfig, build, forecast_errors, load, train_epoch
from paretune.trainables.xpatch.model import weighted_mae


def main() -> None:
    args = _arguments()
    settings = XPatchConfig(
        dataset=args.dataset,
        horizon=args.horizon,
        streams=args.streams,
        alpha=args.alpha,
        lr=args.lr,
        warmup_epochs=args.warmup_epochs,
        batch_size=args.batch_size,
        epochs=args.epochs,
        seed=args.seed,
    )
    print(json.dumps({"settings": {k: getattr(settings, k) for k in settings.__slots__}}))
    if args.compare:
        compare(settings)
    else:
        measure(settings, patience=args.patience, touch_test=not args.validation_only)


def measure(settings: XPatchConfig, *, patience: int, touch_test: bool) -> None:
    """Train with early stopping on validation MSE, then print the errors of the best epoch's weights."""
    seed = start_seed(settings.seed)
    device = training_device()
    train_set, val_set = load(settings, "train").to(device), load(settings, "val").to(device)
    model = build(settings, channels=train_set.series.shape[1]).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    best_mse, best_mae, best_epoch, best_weights = float("inf"), float("inf"), 0, model.state_dict()
    watch, started_s = Watch(), time.perf_counter()
    for epoch in range(settings.epochs):
        loss = train_epoch(model, optimizer, train_set, settings, watch=watch, seed=seed, epoch=epoch)
        mse, mae = forecast_errors(model, val_set)
        if mse < best_mse:
            best_mse, best_mae, best_epoch = mse, mae, epoch + 1
            best_weights = copy.deepcopy(model.state_dict())
        print(f"epoch {epoch + 1:3d}  loss {loss:.4f}  val mse {mse:.4f} mae {mae:.4f}", flush=True)
        if epoch + 1 - best_epoch >= patience:
            break
    figures = {"best_epoch": best_epoch, "val_mse": best_mse, "val_mae": best_mae}
    figures["seconds"] = time.perf_counter() - started_s
    if touch_test:
        model.load_state_dict(best_weights)
        figures["test_mse"], figures["test_mae"] = forecast_errors(model, load(settings, "test").to(device))
    print(json.dumps(figures))


def compare(settings: XPatchConfig, *, rounds: int = 30) -> None:
    """The median time of a training step and of a forecast, xPatch and a PatchTST-size transformer in turn."""
    start_seed(settings.seed)
    device = training_device()
    data = load(settings, "train").to(device)
    channels = data.series.shape[1]
    x_BLC, y_BTC = data[torch.arange(settings.batch_size, device=device)]
    models: dict[str, nn.Module] = {
        "xpatch": build(settings, channels=channels).to(device),
        "patch_transformer": PatchTransformer(settings.seq_len, settings.horizon).to(device),
    }
    times_ms: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):  # in turn, so that both meet the same disturbances
        for name, model in models.items():
            times_ms[name].append(_step_ms(model, x_BLC, y_BTC))
    for name, model in models.items():
        parameters = sum(p.numel() for p in model.parameters())
        print(json.dumps({"model": name, "parameters": parameters, "step_ms": statistics.median(times_ms[name])}))


class PatchTransformer(nn.Module):
    """A channel-independent transformer over patches, the size of PatchTST (Nie et al., ICLR 2023) for ETTh1.

    d_model 128, 16 heads, 3 layers, feed-forward 256, patches of 16 at stride 8; per-window normalisation.
    """

    def __init__(self, seq_len: int, horizon: int) -> None:
        super().__init__()
        patches = (seq_len - 16) // 8 + 2
        self.pad = nn.ReplicationPad1d((0, 8))
        self.embed = nn.Linear(16, 128)
        self.position_ND = nn.Parameter(torch.randn(patches, 128) * 0.02)
        layer = nn.TransformerEncoderLayer(128, 16, 256, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3)
        self.head = nn.Linear(patches * 128, horizon)

    def forward(self, x_BLC: Tensor) -> Tensor:
        mean_B1C = x_BLC.mean(dim=1, keepdim=True)
        std_B1C = x_BLC.std(dim=1, keepdim=True) + 1e-5
        x_ML = ((x_BLC - mean_B1C) / std_B1C).transpose(1, 2).flatten(0, 1)
        tokens_MND = self.embed(self.pad(x_ML).unfold(-1, 16, 8)) + self.position_ND
        y_MT = self.head(self.encoder(tokens_MND).flatten(1))
        y_BTC = y_MT.reshape(len(x_BLC), x_BLC.shape[2], -1).transpose(1, 2)
        forecast_BTC: Tensor = y_BTC * std_B1C + mean_B1C
        return forecast_BTC


def _step_ms(model: nn.Module, x_BLC: Tensor, y_BTC: Tensor) -> float:
    weights_T = torch.ones(y_BTC.shape[1], device=y_BTC.device)
    started_s = time.perf_counter()
    weighted_mae(model(x_BLC), y_BTC, weights_T).backward()
    if x_BLC.device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - started_s) * 1e3


def _arguments() -> argparse.Namespace:
    default = XPatchConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default=default.dataset, choices=["ETTh1", "ETTh2"])
    parser.add_argument("--horizon", type=int, default=default.horizon)
    parser.add_argument("--streams", default=default.streams, choices=["both", "seasonal", "trend"])
    parser.add_argument("--alpha", type=float, default=default.alpha)
    parser.add_argument("--lr", type=float, default=default.lr)
    parser.add_argument("--warmup-epochs", type=float, default=default.warmup_epochs)
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better validation MSE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--validation-only", action="store_true", help="leave the test split alone")
    parser.add_argument("--compare", action="store_true", help="time training steps instead of training")
    return parser.parse_args()


if __name__ == "__main__":
    main()
