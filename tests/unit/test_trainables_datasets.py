"""The data sets: their splits, their windows, and what happens when a file is not to be had."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from paretune.errors import DataError, SpecError
from paretune.trainables import datasets


def test_digits_are_split_in_three_without_overlap() -> None:
    parts = [datasets.images("digits", split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [1077, 360, 360]
    rows = torch.cat([part.pixels.flatten(1) for part in parts])
    assert len(torch.unique(rows, dim=0)) == 1797  # no image twice, so none in two splits
    for part in parts:
        assert part.pixels.shape[1:] == (1, 8, 8)
        assert part.pixels.dtype == torch.float32
        assert part.pixels.min() == 0.0
        assert part.pixels.max() == 1.0
        assert torch.bincount(part.labels).min() > 0.09 * len(part)  # stratified


def test_an_unknown_data_set_is_refused() -> None:
    with pytest.raises(SpecError, match="digits or fashion_mnist, got 'cifar'"):
        datasets.images("cifar", "train")  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="ETTh1 or ETTh2, got 'ETTm1'"):
        datasets.windows("ETTm1", "train", seq_len=4, horizon=2)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="text must be python, got 'c'"):
        datasets.text("c", "train", context=4)  # type: ignore[arg-type]


def test_the_text_is_pythons_own_source_and_no_line_of_weight_is_in_two_splits() -> None:
    import textwrap

    parts = {split: datasets._standard_library(split) for split in ("train", "val", "test")}  # type: ignore[arg-type]
    assert Path(textwrap.__file__).read_bytes() in parts["train"]
    assert len(parts["train"]) > 100_000
    passages = [set(part.split(b"\n\n")) for part in parts.values()]
    for left, right in itertools.combinations(passages, 2):
        assert all(len(passage) < 80 for passage in left & right)  # what they share is `import` and the like


def test_windows_of_a_text_do_not_overlap_and_predict_the_byte_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "_standard_library", lambda split: b"abcdefghij")
    found = datasets.text("python", "val", context=3)
    assert len(found) == 3
    inputs, targets = found[torch.tensor([2, 0])]
    assert [bytes(row) for row in inputs.tolist()] == [b"ghi", b"abc"]
    assert [bytes(row) for row in targets.tolist()] == [b"hij", b"bcd"]
    with pytest.raises(SpecError, match="context 10 does not fit into the 10 bytes of val"):
        datasets.text("python", "val", context=10)


@pytest.fixture
def counted_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """A series whose first channel is the row's number."""
    rows = np.arange(17_420.0)[:, None]
    monkeypatch.setattr(datasets, "_ett", lambda name: np.hstack([rows, np.sin(rows)]))


def test_windows_are_cut_at_the_months(counted_series: None) -> None:
    mean, std = np.arange(8640).mean(), np.arange(8640).std()
    for split, count, first_target in (("train", 8449, 96), ("val", 2785, 8640), ("test", 2785, 11_520)):
        found = datasets.windows("ETTh1", split, seq_len=96, horizon=96)  # type: ignore[arg-type]
        assert len(found) == count  # the counts of published evaluations
        x, y = found[torch.tensor([0, count - 1])]
        assert x.shape == y.shape == (2, 96, 2)
        number = y[:, :, 0].double() * std + mean
        assert number[0, 0].item() == pytest.approx(first_target, abs=0.01)
        assert number[1, -1].item() == pytest.approx(first_target + count - 1 + 95, abs=0.01)
        assert x[0, -1, 0] < y[0, 0, 0]


def test_the_standardisation_knows_the_training_months_only(counted_series: None) -> None:
    train = datasets.windows("ETTh1", "train", seq_len=96, horizon=96).series
    torch.testing.assert_close(train.mean(dim=0), torch.zeros(2), rtol=0, atol=1e-4)
    torch.testing.assert_close(train.std(dim=0, unbiased=False), torch.ones(2), rtol=0, atol=1e-4)
    assert datasets.windows("ETTh1", "val", seq_len=96, horizon=96).series[:, 0].mean() > 1.5


def test_windows_that_do_not_fit_are_refused(counted_series: None) -> None:
    with pytest.raises(SpecError, match="seq_len 96 \\+ horizon 4000 do not fit into the val months"):
        datasets.windows("ETTh1", "val", seq_len=96, horizon=4000)


def test_a_file_with_other_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ETTh1.csv").write_text("date,OT\n2016-07-01,1.0\n")
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"sha256 must be f18de3(?s:.*)hint: replace the file"):
        datasets.data_file("ETTh1.csv")


def test_without_a_network_the_error_says_how_to_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setenv(datasets.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr("pooch.retrieve", no_network)
    with pytest.raises(DataError, match=r"no route to host(?s:.*)set PARETUNE_DATA to the folder"):
        datasets.data_file("ETTh1.csv")


def test_the_real_series(ett_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(datasets.DATA_VARIABLE, str(ett_folder))
    datasets._ett.cache_clear()
    for name in ("ETTh1", "ETTh2"):
        assert datasets._ett(name).shape == (17_420, 7)


@pytest.fixture
def ett_folder() -> Path:
    """The folder with the published CSV files, which the repository must not hold."""
    import os

    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get(datasets.DATA_VARIABLE, beside))
    if not (folder / "ETTh1.csv").exists():
        pytest.skip(f"needs ETTh1.csv and ETTh2.csv: set {datasets.DATA_VARIABLE} to their folder")
    return folder


def test_fashion_mnist_files_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The published layout (IDX): big-endian header, then bytes; the training file's last 10,000 are validation."""
    labels = (np.arange(60_000) % 10).astype(np.uint8)
    pixels = np.zeros((60_000, 28, 28), dtype=np.uint8)
    pixels[:, 0, 0] = labels * 25
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(struct.pack(">iiii", 2051, 60_000, 28, 28) + pixels.tobytes())
    with gzip.open(tmp_path / "train-labels-idx1-ubyte.gz", "wb", compresslevel=1) as file:
        file.write(struct.pack(">ii", 2049, 60_000) + labels.tobytes())
    monkeypatch.setattr(datasets, "data_file", lambda name: tmp_path / name)
    val = datasets.images("fashion_mnist", "val")
    assert val.pixels.shape == (10_000, 1, 28, 28)
    torch.testing.assert_close(val.pixels[:, 0, 0, 0], val.labels * 25 / 255)
