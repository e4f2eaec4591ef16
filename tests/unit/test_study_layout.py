"""The layout of a study: what is read, what is refused and why; what is proposed and handed to the loop."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from paretune import amendments, study
from paretune.errors import InputError, SpecError
from paretune.layouts import assembled
from paretune.parameters import Choice, Float, Int
from paretune.study import StudySpec
from paretune.train import Layout

ROOT = Path(__file__).resolve().parents[2]


def spec(layout: Any, *, workers: int = 4, **changes: Any) -> StudySpec:
    return study.build(
        {
            "name": "laid-out",
            "trainable": "cnn",
            "objectives": {"error": "minimize"},
            "space": {"lr": Float(1e-5, 1e-1, log=True, default=1e-3), "batch": Int(4, 64, step="power2")},
            "layout": layout,
            "train": {"workers": workers, "config": {"windows": 24}},
            **changes,
        },
        where="file",
    )


@pytest.mark.parametrize(
    ("layout", "message", "hint"),
    [
        ({"pipelin": 2}, "file: layout: unknown entry 'pipelin'", "did you mean 'pipeline'?"),
        ([1, 2], "file: layout: must map entries of train.Layout to values", "pipeline: 2"),
        ({"pipeline": 3}, "file: layout.pipeline: must divide the 4 worker(s), got 3", None),
        ({"data": 2, "pipeline": 4}, "file: layout: data x pipeline must be the 4 worker(s), got 2 x 4", "leave one"),
        ({"pipeline": 2}, "1f1b needs at least as many as pipeline (2), got 1", "microbatches=8"),
        ({"schedule": Choice(["1f1b", "gpip"])}, "file: layout.schedule: must be one of gpipe", "'gpipe'"),
        ({"clip_norm": Float(0, 1)}, "file: layout.clip_norm: must be > 0, got 0.0", None),
        ({"data": {"type": "choice", "option": [1]}}, "file: layout: data: unknown key 'option'", "'options'"),
        (
            {"pipeline": 2, "microbatches": 4, "schedule": "zerobubble", "stages_per_worker": 2},
            "file: layout.shard: zerobubble splits the backward pass",
            "shard='none'",
        ),
        (
            {"pipeline": Choice([2, 4]), "schedule": Choice(["1f1b"]), "microbatches": 1},
            "file: layout: nothing of what is searched is legal on 4 worker(s): layout.microbatches: 1f1b needs",
            "legal would be data 4 x pipeline 1 | data 2 x pipeline 2 with microbatches 8 | data 1 x pipeline 4",
        ),
        (
            {"pipeline": 2, "microbatches": 8, "batch": "windows"},
            "file: layout.microbatches: data x microbatches must divide windows, got 2 x 8 and 24",
            "legal would be",
        ),
        (
            {"pipeline": 2, "microbatches": 8, "batch": "lr"},
            "must name a parameter that is no float",
            "known: batch",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_the_spec_is_read(layout: Any, message: str, hint: str | None) -> None:
    with pytest.raises(InputError) as caught:
        spec(layout)
    assert message in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ({"pipeline": 2, "microbatches": 8}, "file: layout.pipeline: must divide the 3 worker(s), got 2"),
        (
            {"data": Choice([2, 4]), "shard": "none"},
            "file: layout: nothing of what is searched is legal on 2 to 4 worker(s): "
            "layout.data: must divide the 3 worker(s), got 2; layout.data: must divide the 2 worker(s), got 4",
        ),
        (
            {"data": 1, "microbatches": 7, "schedule": "interleaved1f1b", "stages_per_worker": 2},
            "layout.microbatches: interleaved1f1b needs a multiple of microbatches // pipeline = 3, got 7",
        ),
    ],
)
def test_a_layout_has_to_be_legal_on_every_number_of_workers(layout: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        spec(layout, train={"workers": [2, 4], "config": {"windows": 24}})
    assert message in str(caught.value)
    assert "legal would be pipeline 1, data is then what there are" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("layout", "searched", "summary"),
    [
        ({"shard": Choice(["ddp", "fsdp"])}, {"layout.shard": "fsdp"}, "data 2 to 4 x pipeline 1, fsdp"),
        (
            {"data": 1, "schedule": "gpipe", "microbatches": Choice([8, 16]), "batch": "windows"},
            {"layout.microbatches": 8},
            "data 1 x pipeline 2 to 4, gpipe, 8 microbatches",
        ),
    ],
)
def test_where_the_number_of_workers_may_change_one_degree_is_what_it_leaves(
    layout: Any, searched: dict[str, Any], summary: str
) -> None:
    read = spec(layout, train={"workers": [2, 4], "config": {"windows": 24}})
    assert read.layout is not None
    assert read.layout.refusal(searched) is None
    assert read.layout.summary(searched) == summary
    assert study.build({**read.to_dict(), "store": "."}, where="file").layout == read.layout
    entries = assembled(read.constants(), searched)["layout"]
    assert {Layout.on(workers, entries).workers for workers in (2, 3, 4)} == {2, 3, 4}


def test_exactly_the_layouts_of_the_workers_are_legal() -> None:
    """Against each combination by itself; what means nothing without a pipeline is absent there."""
    searched = {
        "data": [1, 2, 4],
        "pipeline": [1, 2, 4, 8],
        "microbatches": [1, 2, 4, 8],
        "schedule": ["gpipe", "1f1b", "interleaved1f1b", "zerobubble"],
        "stages_per_worker": [1, 2],
        "shard": ["ddp", "fsdp", "none"],
        "compression": [None, "fp16"],
    }
    read = spec({name: Choice(options) for name, options in searched.items()})
    expected = set()
    for values in itertools.product(*searched.values()):
        entries = dict(zip(searched, values, strict=True))
        if entries["pipeline"] == 1:
            entries |= {"microbatches": 1, "schedule": "1f1b", "stages_per_worker": 1}
        if entries["data"] == 1:
            entries |= {"shard": "ddp", "compression": None}
        try:
            layout = Layout(**entries)
        except SpecError:
            continue
        if layout.workers == 4:
            expected.add(layout)
    (group,) = [group for group in read.space.legality.groups if "layout.data" in group.names]
    assert read.layout is not None
    found = set()
    for x_k in group.pool_pk:
        x_d = read.space.encode(read.space.filled({}))
        x_d[group.places] = x_k
        found.add(read.layout.layout(read.space.decode(x_d)))
    assert found == expected
    assert len(found) > 30
    default = read.space.default()
    assert default is not None
    assert read.space.legal(default), "what has no default of its own gets one that is legal"


def test_entries_are_there_only_where_they_mean_something() -> None:
    read = spec(
        {
            "data": Choice([1, 2, 4]),
            "microbatches": Choice([4, 8]),
            "schedule": Choice(["1f1b", "interleaved1f1b"]),
            "stages_per_worker": Choice([2, 3]),
            "shard": Choice(["ddp", "fsdp"]),
            "compression": Choice([None, "fp16"]),
            "precision": Choice(["fp32", "bf16"]),
        }
    ).space
    assert {name: dict(read[name].when) for name in read if name.startswith("layout.")} == {
        "layout.data": {},
        "layout.microbatches": {"layout.data": (1, 2)},
        "layout.schedule": {"layout.data": (1, 2)},
        "layout.stages_per_worker": {"layout.schedule": ("interleaved1f1b",)},
        "layout.precision": {},
        "layout.shard": {"layout.data": (2, 4)},
        "layout.compression": {"layout.shard": ("ddp",)},
    }


def test_each_share_of_a_batch_can_be_cut() -> None:
    read = spec({"pipeline": Choice([1, 2, 4]), "microbatches": Choice([4, 8, 16]), "batch": "batch"})
    for batch, pipeline, pieces in itertools.product([4, 8, 16, 32, 64], [1, 2, 4], [4, 8, 16]):
        config = {"lr": 1e-3, "batch": batch, "layout.pipeline": pipeline}
        if pipeline > 1:
            config["layout.microbatches"] = pieces
        assert read.space.legal(config) == (pipeline == 1 or batch % (4 // pipeline * pieces) == 0)
    refused = {"lr": 1e-3, "batch": 8, "layout.pipeline": 2, "layout.microbatches": 8}
    with pytest.raises(InputError, match=r"search: first: 1: layout.microbatches: data x microbatches must divide"):
        spec(read.to_dict()["layout"], search={"first": [refused]})


def test_the_section_is_read_again_as_it_was() -> None:
    read = study.load(ROOT / "search_spaces" / "transformer_layouts.yaml")
    again = study.build({**read.to_dict(), "store": read.store}, where="again")
    assert again == read
    assert list(again.space) == list(read.space)
    assert not any(name.startswith("layout.") for name in read.to_dict()["space"])
    changed = read.with_changes({"layout": {"microbatches": {"options": [4, 16]}}})
    assert amendments.differences(read, changed) == ["layout.microbatches.options: [4, 8] before, [4, 16] now"]


def test_a_loop_is_given_one_mapping_for_train_layout() -> None:
    read = spec({"pipeline": Choice([1, 2]), "microbatches": 8, "schedule": "gpipe", "precision": "bf16"})
    for pipeline, layout in (
        (1, Layout(data=4, precision="bf16")),
        (2, Layout(data=2, pipeline=2, microbatches=8, schedule="gpipe", precision="bf16")),
    ):
        config = {"lr": 1e-3, "batch": 8, "layout.pipeline": pipeline}
        given = assembled(read.constants(), config)
        assert given["layout"] == {
            "pipeline": pipeline, "microbatches": 8, "schedule": "gpipe", "precision": "bf16"
        }  # fmt: skip
        assert given | {"layout": None} == {"windows": 24, "lr": 1e-3, "batch": 8, "layout": None}
        assert Layout.on(4, given["layout"]) == layout
    assert Layout.of({"lr": 1.0}) == Layout(), "this process is the only worker"


def test_a_layout_alone_may_be_searched() -> None:
    read = spec({"pipeline": Choice([1, 2]), "microbatches": 8}, space={})
    assert list(read.space) == ["layout.pipeline"]
    assert spec({"pipeline": 2, "microbatches": 8}).space.restricted is False, "nothing of it is searched"
