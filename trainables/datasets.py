"""The data of the built-in trainables, each split on its own.

A training loop asks for "train" and "val". "test" is for the one final evaluation, so every loader takes the split by
name and prepares nothing else. Nothing is read or fetched when this module is imported: `digits` ships inside
scikit-learn, `python` is the standard library's own source, the others come through pooch on first use, checked against
the hash written here.
"""

from __future__ import annotations

import gzip
import os
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from paretune.errors import DataError, SpecError

Split = Literal["train", "val", "test"]
ImageSet = Literal["digits", "fashion_mnist"]
SeriesSet = Literal["ETTh1", "ETTh2"]
TextSet = Literal["python"]

DATA_VARIABLE = "PARETUNE_DATA"

_ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
# file name -> (address, hash in pooch's notation); the md5 of FashionMNIST are those its authors publish
_FILES = {
    "ETTh1.csv": (_ETT, "sha256:f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    "ETTh2.csv": (_ETT, "sha256:a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    "train-images-idx3-ubyte.gz": (_FASHION, "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    "train-labels-idx1-ubyte.gz": (_FASHION, "md5:25c81989df183df01b3e8a0aad5dffbe"),
    "t10k-images-idx3-ubyte.gz": (_FASHION, "md5:bef4ecab320f06d8554ea6380940ec79"),
    "t10k-labels-idx1-ubyte.gz": (_FASHION, "md5:bb300cfdad3c16e7a12a480ee83cd310"),
}

# Modules of the standard library that every platform has; whole files, so that no passage is cut between two splits.
# Their text changes a little from one version of Python to the next.
_PYTHON = {
    "train": "contextlib csv heapq queue random sched textwrap",
    "val": "pprint",
    "test": "wave",
}


@dataclass(frozen=True, slots=True)
class Images:
    """Grey images in [0, 1], (n, 1, height, width) float32, with class labels 0..9, (n,) int64."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Images by number: pixels (B, 1, height, width) and labels (B,)."""
        return self.pixels[index_B], self.labels[index_B]

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class Windows:
    """All windows of a multivariate series: `seq_len` steps to look at, the next `horizon` steps to forecast.

    `series` is (rows, C) float32; window i begins at row i.
    """

    series: Tensor
    seq_len: int
    horizon: int

    def __len__(self) -> int:
        return max(0, len(self.series) - self.seq_len - self.horizon + 1)

    def __getitem__(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by their first rows: inputs (B, L, C) and targets (B, T, C)."""
        steps = torch.arange(self.seq_len + self.horizon, device=self.series.device)
        window = self.series[index_B[:, None] + steps]
        return window[:, : self.seq_len], window[:, self.seq_len :]

    def to(self, device: torch.device) -> Windows:
        return Windows(self.series.to(device), self.seq_len, self.horizon)


@dataclass(frozen=True, slots=True)
class Text:
    """A text cut into windows that do not overlap: `context` bytes to look at, and after each of them the next byte.

    `content` is (n,) uint8; window i begins at byte i * context. The last bytes that fill no window are left out.
    """

    content: Tensor
    context: int

    def __len__(self) -> int:
        return (len(self.content) - 1) // self.context

    def __getitem__(self, index_B: Tensor) -> tuple[Tensor, Tensor]:
        """Windows by number: the bytes (B, T) int64 and the byte after each, (B, T) int64."""
        steps = torch.arange(self.context + 1, device=self.content.device)
        window = self.content[index_B[:, None] * self.context + steps].long()
        return window[:, :-1], window[:, 1:]

    def to(self, device: torch.device) -> Text:
        return Text(self.content.to(device), self.context)


def images(name: ImageSet, split: Split) -> Images:
    """One split of an image set.

    digits: 8 x 8 pixels, 1,077 train, 360 val, 360 test. fashion_mnist: 28 x 28, 50,000 / 10,000 / 10,000.
    """
    if name == "digits":
        return _digits(split)
    if name == "fashion_mnist":
        return _fashion_mnist(split)
    raise SpecError(f"datasets: images must be digits or fashion_mnist, got {name!r}")


def windows(name: SeriesSet, split: Split, *, seq_len: int, horizon: int) -> Windows:
    """One split of an hourly ETT series, 12/4/4 months of 30 days, standardised with the training months' statistics.

    Validation and test windows may look back `seq_len` rows into the split before, but never forecast there: the
    split that published results use (Zhou et al., AAAI 2021).
    """
    month = 30 * 24
    first, last = {"train": (0, 12), "val": (12, 16), "test": (16, 20)}[split]
    values = _ett(name)
    known = values[: 12 * month]
    begin = max(0, first * month - seq_len)
    part = (values[begin : last * month] - known.mean(axis=0)) / known.std(axis=0)
    found = Windows(torch.from_numpy(part.astype(np.float32)), seq_len, horizon)
    if len(found) < 1:
        raise SpecError(f"datasets: {name}: seq_len {seq_len} + horizon {horizon} do not fit into the {split} months")
    return found


def text(name: TextSet, split: Split, *, context: int) -> Text:
    """One split of a text as bytes. python: modules of the standard library, about 137 / 24 / 22 kB.

    Raises SpecError when not even one window of `context` bytes and the byte after it fits into the split.
    """
    if name != "python":
        raise SpecError(f"datasets: text must be python, got {name!r}")
    if context < 1:
        raise SpecError(f"datasets: context must be >= 1, got {context}")
    content = _standard_library(split)
    found = Text(torch.frombuffer(bytearray(content), dtype=torch.uint8), context)
    if len(found) < 1:
        raise SpecError(f"datasets: {name}: context {context} does not fit into the {len(content)} bytes of {split}")
    return found


def data_file(name: str) -> Path:
    """The local path of a data file: from the folder named by PARETUNE_DATA, else the cache, else fetched.

    Raises DataError when the file is not to be had or has another content than the published one.
    """
    base, digest = _FILES[name]
    own = os.environ.get(DATA_VARIABLE)
    if own and (path := Path(own) / name).exists():
        _check_hash(path, digest)
        return path
    import pooch  # here, because only a data set that is not embedded needs it

    try:
        fetched = pooch.retrieve(
            base + name, digest, fname=name, path=pooch.os_cache("paretune"), progressbar=_progress()
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; ValueError is pooch's for a wrong hash
        raise DataError(
            f"datasets: {name} could not be fetched from {base}: {error}",
            hint=f"download it by hand and set {DATA_VARIABLE} to the folder that holds it",
        ) from error
    return Path(fetched)


def _check_hash(path: Path, digest: str) -> None:
    import pooch

    algorithm, expected = digest.split(":")
    if (found := pooch.file_hash(str(path), alg=algorithm)) != expected:
        raise DataError(
            f"datasets: {path}: {algorithm} must be {expected}, found {found}",
            hint=f"replace the file by the published one, or unset {DATA_VARIABLE}",
        )


def _progress() -> bool:
    """A progress bar when tqdm is there and somebody looks at the terminal; pooch refuses without tqdm."""
    import importlib.util
    import sys

    return sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None


def _digits(split: Split) -> Images:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    # A fifth each for validation and test, stratified, always the same: trials must be comparable.
    rest, test = train_test_split(np.arange(len(labels)), test_size=360, random_state=0, stratify=labels)
    train, val = train_test_split(rest, test_size=360, random_state=0, stratify=labels[rest])
    rows = {"train": train, "val": val, "test": test}[split]
    return _as_images(pixels[rows].reshape(-1, 8, 8) / 16.0, labels[rows])  # grey values are 0..16


def _fashion_mnist(split: Split) -> Images:
    stem = "t10k" if split == "test" else "train"
    pixels = _idx(data_file(f"{stem}-images-idx3-ubyte.gz"), header_bytes=16).reshape(-1, 28, 28)
    labels = _idx(data_file(f"{stem}-labels-idx1-ubyte.gz"), header_bytes=8)
    if split != "test":  # the published training set is in random order, so its end is a fair validation set
        rows = slice(0, 50_000) if split == "train" else slice(50_000, None)
        pixels, labels = pixels[rows], labels[rows]
    return _as_images(pixels / 255.0, labels)


def _idx(path: Path, *, header_bytes: int) -> npt.NDArray[np.uint8]:
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=header_bytes)


def _as_images(pixels: npt.NDArray[np.float64], labels: npt.NDArray[np.integer]) -> Images:
    return Images(torch.from_numpy(pixels[:, None].astype(np.float32)), torch.from_numpy(labels.astype(np.int64)))


@cache  # a trial actor runs many trials; parsing the CSV takes longer than a small epoch
def _ett(name: SeriesSet) -> npt.NDArray[np.float64]:
    """The 7 channels of an ETT file, (17420, 7), oil temperature last."""
    if name not in ("ETTh1", "ETTh2"):
        raise SpecError(f"datasets: series must be ETTh1 or ETTh2, got {name!r}")
    return np.loadtxt(data_file(f"{name}.csv"), delimiter=",", skiprows=1, usecols=range(1, 8))


@cache
def _standard_library(split: Split) -> bytes:
    """The source of a split's modules, one after the other.

    Raises DataError where Python comes without its source.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    try:
        return b"".join((folder / f"{module}.py").read_bytes() for module in _PYTHON[split].split())
    except OSError as error:
        raise DataError(f"datasets: python: the standard library's source cannot be read: {error}") from error
