"""Lightning as Ray Train's guide has it for a TorchTrainer: nothing here knows paretune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import ray.train
import ray.train.lightning
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Regression(pl.LightningModule):
    def __init__(self, lr: float) -> None:
        super().__init__()
        self.model, self.lr = nn.Linear(3, 1), lr

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return nn.functional.mse_loss(self.model(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("error", nn.functional.mse_loss(self.model(batch[0]), batch[1]), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def train_func(config: dict[str, Any]) -> None:
    X = torch.randn(80, 3, generator=torch.Generator().manual_seed(0))
    data = TensorDataset(X, X @ torch.tensor([[1.0], [-2.0], [0.5]]))
    trainer = pl.Trainer(
        max_epochs=3,
        devices="auto",
        accelerator="auto",
        strategy=ray.train.lightning.RayDDPStrategy(),
        plugins=[ray.train.lightning.RayLightningEnvironment()],
        callbacks=[ray.train.lightning.RayTrainReportCallback()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        logger=False,
    )
    trainer = ray.train.lightning.prepare_trainer(trainer)
    module, loaders = Regression(lr=0.05 + 0.1 * config["x"]), [DataLoader(data, batch_size=8) for _ in range(2)]
    checkpoint = ray.train.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder:
            trainer.fit(module, *loaders, ckpt_path=Path(folder, "checkpoint.ckpt"))
    else:
        trainer.fit(module, *loaders)
