"""The preflight: sound training passes, and each kind of mistake is found under its own name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from paretune.cli import _preflight, main
from paretune.study import StudySpec
from paretune.train import Specimen, generator
from paretune.train.preflight import Examination, examine

Run = Callable[..., tuple[int, str, str]]


@dataclass(frozen=True)
class Samples:
    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        return self.inputs[index_B], self.targets[index_B]


def samples(count: int, *, seed: int) -> Samples:
    """Three classes that a linear model tells apart."""
    inputs = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    return Samples(inputs, inputs[:, :3].argmax(dim=1))


def sound() -> Specimen:
    return Specimen(
        model=lambda: nn.Linear(6, 3),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=0.05),
        loss=functional.cross_entropy,
        train=samples(1000, seed=0),
        val=samples(300, seed=1),
        batch_size=32,
        epochs=5,
    )


def states(found: Examination) -> dict[str, str]:
    spec = StudySpec.model_validate(
        {
            "name": "s",
            "trainable": "cnn",
            "objectives": {"e": "minimize"},
            "space": {"x": {"type": "float", "low": 0, "high": 1}},
        }
    )
    return {finding.about: finding.state for finding in _preflight.findings(found, spec)}


def test_sound_training_passes_every_check() -> None:
    found = examine(sound())
    assert set(states(found).values()) == {"ok"}
    assert found.parameters == 6 * 3 + 3
    assert found.first_loss == pytest.approx(math.log(3), abs=0.4)
    assert found.by_heart[1] < 0.2
    assert (found.steps_per_epoch, found.epochs) == (32, 5)
    assert found.epoch_s == 32 * found.step_s + found.validation_s > 0


def test_it_is_reproducible_but_for_the_times() -> None:
    first, second = (
        replace(examine(sound(), seed=3), step_s=0.0, validation_s=0.0, peak_memory_bytes=0) for _ in range(2)
    )
    assert first == second


def test_targets_that_belong_to_other_inputs_are_found() -> None:
    """Mixed up once for all: ten samples can still be learned by heart, but new batches stay a surprise."""
    train = samples(2000, seed=0)
    mixed = replace(train, targets=train.targets[torch.randperm(2000, generator=generator(5))])
    found = examine(replace(sound(), train=mixed))
    assert found.learns_by_heart
    assert states(found)["shuffled"] == "broken"


class Forgetful(nn.Module):
    """A layer that the output does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.used(x)
        return y


def test_parameters_without_a_gradient_are_named() -> None:
    found = examine(replace(sound(), model=Forgetful))
    assert found.without_gradient == ("unused.weight", "unused.bias")
    assert states(found)["one batch"] == "warning"


def test_a_rate_of_zero_learns_nothing() -> None:
    found = examine(replace(sound(), optimizer=lambda model: torch.optim.SGD(model.parameters(), lr=0.0)))
    assert math.isnan(found.lessons_t)
    assert {about for about, state in states(found).items() if state == "broken"} == {"by heart", "shuffled"}


def test_a_loss_that_is_not_finite_breaks_every_check() -> None:
    found = examine(replace(sound(), loss=lambda scores, labels: functional.cross_entropy(scores / 0.0, labels)))
    assert found.not_finite[0] == "the loss"
    assert list(states(found).values())[:3] == ["broken"] * 3


SPEC = """
trainable: ./loop.py:train
objectives: {loss: minimize}
space: {lr: {type: float, low: 1e-6, high: 1e-1, log: true, default: 0.05}}
search: {algorithm: random, trials: 6, concurrency: 2}
train: {epochs: 3}
"""
LOOP = """
import torch
from torch.nn import Linear
from torch.nn.functional import mse_loss
from paretune.train import Specimen

class Samples:
    def __len__(self):
        return 640
    def __getitem__(self, index):
        x = torch.linspace(-1, 1, 640)[index, None]
        return x, 3 * x

def train(config): ...

def preflight(config):
    return Specimen(
        model=lambda: Linear(1, 1),
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=config["lr"]),
        loss=mse_loss, train=Samples(), val=Samples(), batch_size=16, epochs=config["epochs"],
    )
"""


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in a folder with a spec: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(SPEC)

    def _run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        captured = capsys.readouterr()
        return int(left.value.code or 0), captured.out, captured.err

    return _run


def test_the_command_examines_the_default_configuration(run: Run, tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text(LOOP)
    code, out, _ = run("preflight", "mine.yaml")
    assert code == 0, out
    assert "mine, with epochs 3, lr 0.05" in out
    assert "2 parameters, all trained" in out
    assert "6 trials x 3 epochs x" in out
    code, out, _ = run("preflight", "mine.yaml", "--set", "space.lr.default=1e-6")
    assert code == 1
    assert "look at lr, loss and targets" in out


def test_a_trainable_without_a_preflight_is_told_how_to_get_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "loop.py").write_text("def train(config): ...\n")
    code, _, err = run("preflight", "mine.yaml")
    assert code == 2
    assert "has no function preflight(config)" in err
    assert "paretune.train.Specimen" in err
