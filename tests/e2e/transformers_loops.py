"""Hugging Face Transformers as Ray Train's guide has it for a TorchTrainer: nothing here knows paretune."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ray.train
import ray.train.huggingface.transformers
import torch
import transformers
from torch import nn
from torch.utils.data import Dataset


class Rows(Dataset[dict[str, torch.Tensor]]):
    def __init__(self) -> None:
        self.x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
        self.labels = self.x @ torch.tensor([[1.0], [-2.0], [0.5]])

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"x": self.x[row], "labels": self.labels[row]}


class Regression(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        scores = self.linear(x)
        return {"loss": nn.functional.mse_loss(scores, labels), "logits": scores}


def train_func(config: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            eval_strategy="epoch",
            save_strategy="epoch",
            logging_strategy="epoch",
            num_train_epochs=3,
            per_device_train_batch_size=8,
            learning_rate=0.05 + 0.1 * config["x"],
            bf16=config["x"] > 0.3,
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        rows = Rows()
        trainer = transformers.Trainer(model=Regression(), args=arguments, train_dataset=rows, eval_dataset=rows)
        trainer.add_callback(ray.train.huggingface.transformers.RayTrainReportCallback())
        trainer = ray.train.huggingface.transformers.prepare_trainer(trainer)
        checkpoint = ray.train.get_checkpoint()
        if checkpoint:
            with checkpoint.as_directory() as saved:
                trainer.train(resume_from_checkpoint=str(Path(saved, "checkpoint")))
        else:
            trainer.train()
