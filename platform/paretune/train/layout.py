"""How one model is spread over workers: data x pipeline parallel, and what goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from paretune.errors import SpecError, nearest

Schedule = Literal["gpipe", "1f1b", "interleaved1f1b", "zerobubble"]
Precision = Literal["fp32", "bf16", "fp16"]
Shard = Literal["none", "ddp", "fsdp"]
Compression = Literal["fp16", "powersgd"]

_CLOSED: dict[str, tuple[str, ...]] = {
    "schedule": get_args(Schedule), "precision": get_args(Precision), "shard": get_args(Shard),
    "compression": get_args(Compression),
}  # fmt: skip
_COUNTS = ("data", "pipeline", "microbatches", "stages_per_worker", "accumulate")
_SIZES = ("bucket_mb", "clip_norm")

_KEPT = 0.1  # of the activations, with checkpointing; see `Layout.activations_share`

LOOPED: tuple[Schedule, ...] = ("interleaved1f1b", "zerobubble")
"""Schedules under which every worker holds several stages, each from another part of the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One way to train a model on `data * pipeline` workers.

    Raises:
        SpecError: a value out of range, or a combination that PyTorch gets wrong; docs/layouts.md has the evidence.
    """

    data: int = 1
    """Copies of the model (or, with fsdp, shares of it), each trained on its own samples."""
    pipeline: int = 1
    """Workers that one copy of the model is cut over."""
    microbatches: int = 1
    """Pieces a batch is cut into, which follow each other through the pipeline; only with a pipeline."""
    schedule: Schedule = "1f1b"
    """The order of the pieces' forward and backward passes."""
    stages_per_worker: int = 1
    """Stages of each worker: 1, or at least 2 for interleaved1f1b and zerobubble."""
    precision: Precision = "fp32"
    """bf16 and fp16: autocast, with loss scaling for fp16; fp32: as the model is (also float64)."""
    accumulate: int = 1
    """Steps whose gradients are added up before the optimizer's update."""
    shard: Shard = "ddp"
    """Data parallel by DDP, by FSDP2 (`fully_shard`), or by one all-reduce after the backward pass (none)."""
    activation_checkpointing: bool = False
    """Keep a layer's input alone and compute the rest again in the backward pass."""
    compression: Compression | None = None
    """Of the gradients that DDP exchanges."""
    bucket_mb: float = 25.0
    """Gradients exchanged at once, in MB: DDP's buckets, or those of the all-reduce."""
    clip_norm: float | None = None
    """Largest global norm of the gradients, over all stages and shards."""

    def __post_init__(self) -> None:
        self._check_values()
        if self.pipeline == 1:
            self._check_alone()
        else:
            self._check_pipeline()
        if self.compression is not None and (self.shard != "ddp" or self.pipeline > 1):
            raise SpecError(
                f"layout.compression: {self.compression} works on DDP's exchange of gradients alone, "
                f"got shard={self.shard!r}, pipeline={self.pipeline}",
                hint="shard='ddp' without a pipeline, or leave compression out",
            )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Layout:
        """The layout that a trial's `config` has under "layout", on all the workers there are.

        Raises:
            SpecError: as `on`.
        """
        from paretune.train.ranks import world_size

        return cls.on(world_size(), config.get("layout", {}))

    @classmethod
    def on(cls, workers: int, entries: Mapping[str, Any]) -> Layout:
        """A layout on so many workers, of entries that are to serve pipelines of any length, and none.

        `data` or `pipeline`, where one is left out, is what the other leaves; without both all is data parallel.
        Entries that mean nothing without a pipeline, or under the schedule, are passed over.

        Raises:
            SpecError: an unknown entry, one that is for another number of workers, or a layout that is refused.
        """
        known = [field.name for field in fields(cls)]
        for name in entries:
            if name not in known:
                raise SpecError(f"layout: unknown entry {name!r}", hint=nearest(name, known))
        for name in ("data", "pipeline"):
            if name in entries:
                _check_divides(name, entries[name], workers)
        pipeline = entries.get("pipeline", workers // entries.get("data", workers))
        data = entries.get("data", workers // pipeline)
        if data * pipeline != workers:
            raise SpecError(
                f"layout: data x pipeline must be the {workers} worker(s), got {data} x {pipeline}",
                hint="leave one of the two out: it is what the other leaves",
            )
        used = {**entries, "data": data, "pipeline": pipeline}
        if pipeline == 1:
            used = {name: value for name, value in used.items() if name not in ("microbatches", "schedule")}
        if pipeline == 1 or used.get("schedule") not in LOOPED:
            used.pop("stages_per_worker", None)
        return cls(**used)

    def summary(self) -> str:
        """What it is in a few words: `data 2 x pipeline 2, 1f1b, 4 microbatches, fsdp, bf16`."""
        parts = [f"data {self.data} x pipeline {self.pipeline}"]
        if self.pipeline > 1:
            parts += [self.schedule, f"{self.microbatches} microbatches"]
        if self.stages_per_worker > 1:
            parts.append(f"{self.stages_per_worker} stages per worker")
        if self.data > 1:
            parts.append({"none": "one all-reduce"}.get(self.shard, self.shard))
        if self.compression is not None:
            parts.append(f"{self.compression} compression")
        if self.precision != "fp32":
            parts.append(self.precision)
        if self.accumulate > 1:
            parts.append(f"{self.accumulate} steps accumulated")
        if self.activation_checkpointing:
            parts.append("checkpointing")
        return ", ".join(parts)

    @property
    def workers(self) -> int:
        """How many workers it takes."""
        return self.data * self.pipeline

    @property
    def stages(self) -> int:
        """Pieces the model is cut into."""
        return self.pipeline * self.stages_per_worker

    def bubble(self) -> float:
        """The share of time that a pipeline's worker idles when all stages take equally long.

        (p - 1) / (v m + p - 1) for p workers with v stages each and m microbatches (Narayanan et al. 2021, section
        2.2, as a share of the whole). zerobubble is held to the same number, of which it is to stay below.
        """
        idle = self.pipeline - 1
        return idle / (self.stages_per_worker * self.microbatches + idle)

    def efficiency(self) -> float:
        """The share of its speed that is left when a pipeline waits, and activations are computed again.

        To compute a forward pass anew makes 4 units of work of 3: a backward pass takes twice as long as a forward one.
        What workers say to each other is not in it.
        """
        return (1 - self.bubble()) * (3 / 4 if self.activation_checkpointing else 1.0)

    def states_share(self) -> float:
        """The share of the parameters, their gradients and the optimizer's state that lies on one worker."""
        return 1 / (self.pipeline * (self.data if self.shard == "fsdp" else 1))

    def activations_share(self) -> float:
        """The share of a batch's activations, of the whole model, that the fullest worker holds at a time.

        A worker has 1/p of the layers and keeps what the pieces in flight need for their backward passes: all m under
        gpipe, p under 1f1b and zerobubble, p (1 + (p - 1) / (p v)) under interleaved1f1b (Narayanan et al. 2021,
        section 2.2), and never more than m. Checkpointing keeps about a tenth: of a transformer's block 2 of 34 bytes
        for each value of its input (Korthikanti et al. 2022, table 2), and what is computed again for one layer. Half
        precision halves them.
        """
        p, m = self.pipeline, self.microbatches
        in_flight = float(m)
        if self.schedule == "interleaved1f1b":
            in_flight = min(m, p * (1 + (p - 1) / (p * self.stages_per_worker)))
        elif self.schedule != "gpipe":
            in_flight = min(m, p)
        kept = _KEPT if self.activation_checkpointing else 1.0
        return in_flight / (m * p * self.data) * kept * (1.0 if self.precision == "fp32" else 0.5)

    def _check_values(self) -> None:
        for field in fields(self):
            check_entry(field.name, getattr(self, field.name))

    def _check_alone(self) -> None:
        for name in ("microbatches", "stages_per_worker"):
            if getattr(self, name) != 1:
                raise SpecError(
                    f"layout.{name}: means something only in a pipeline, got {getattr(self, name)} with pipeline=1",
                    hint="pipeline=2, or leave it out; accumulate=... adds up gradients without a pipeline",
                )

    def _check_pipeline(self) -> None:
        if self.schedule == "zerobubble" and self.data > 1 and self.shard != "none":
            raise SpecError(
                f"layout.shard: zerobubble splits the backward pass so that {self.shard} never sees some gradients and "
                "trains on wrong ones without a word",
                hint="shard='none' (one all-reduce after the backward pass), or schedule='interleaved1f1b'",
            )
        looped = self.schedule in LOOPED
        if looped != (self.stages_per_worker > 1):
            raise SpecError(
                f"layout.stages_per_worker: {self.schedule} needs {'at least 2' if looped else '1'}, "
                f"got {self.stages_per_worker}",
                hint=f"stages_per_worker={2 if looped else 1}, or schedule='{'1f1b' if looped else LOOPED[0]}'",
            )
        if self.schedule != "gpipe" and self.microbatches < self.pipeline:
            raise SpecError(
                f"layout.microbatches: {self.schedule} needs at least as many as pipeline ({self.pipeline}), "
                f"got {self.microbatches}: some workers would never have anything to overlap",
                hint=f"microbatches={4 * self.pipeline} keeps the bubble below a fifth",
            )
        rounds = self.microbatches // self.pipeline
        if looped and self.microbatches % rounds:
            raise SpecError(
                f"layout.microbatches: {self.schedule} needs a multiple of microbatches // pipeline = {rounds}, "
                f"got {self.microbatches}",
                hint=f"a multiple of pipeline, e.g. {rounds * self.pipeline}",
            )


def check_entry(name: str, value: object) -> None:
    """Raise SpecError for a value that no layout has; which of them go together is the layout's own business."""
    if name in _CLOSED and not (name == "compression" and value is None) and value not in _CLOSED[name]:
        known = _CLOSED[name]
        raise SpecError(f"layout.{name}: must be one of {', '.join(known)}, got {value!r}", hint=nearest(value, known))
    if name in _COUNTS and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SpecError(f"layout.{name}: must be an integer >= 1, got {value!r}")
    if name in _SIZES and not (name == "clip_norm" and value is None) and not _positive(value):
        raise SpecError(f"layout.{name}: must be > 0, got {value!r}")
    if name == "activation_checkpointing" and not isinstance(value, bool):
        raise SpecError(f"layout.{name}: must be true or false, got {value!r}")


def _positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _check_divides(name: str, value: Any, workers: int) -> None:
    check_entry(name, value)
    if workers % value:
        raise SpecError(f"layout.{name}: must divide the {workers} worker(s), got {value}")
