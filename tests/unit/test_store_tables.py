"""Every value survives its way into a typed column and back, with its type."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_samples import CONFIG, SPACE, event, report, suggested

from paretune.parameters import Choice, Config, Float, Int, Value
from paretune.records import Entry, Event, Proposal, Report, Suggestion
from paretune.space import Space
from paretune.store._columns import ConfigColumns
from paretune.store._tables import REPORTS, event_of, event_row, events_schema, report_of, report_row

COLUMNS = ConfigColumns(SPACE)


def through_arrow(entry: Entry, columns: ConfigColumns = COLUMNS) -> Entry:
    if isinstance(entry, Report):
        return report_of(pa.Table.from_pylist([report_row(entry)], schema=REPORTS).to_pylist()[0])
    row = pa.Table.from_pylist([event_row(entry, columns)], schema=events_schema(columns)).to_pylist()[0]
    return event_of(row, columns)


def typed(config: Config) -> list[tuple[str, type, Value]]:
    return [(name, type(value), value) for name, value in config.items()]


def config_through_arrow(space: Space, config: Config) -> Config:
    proposal = Proposal(config=config, origin="default")
    suggestion = Suggestion(id=7, proposal=proposal, algorithm="random", history_position=0)
    read = through_arrow(
        Event(position=0, kind="suggested", time_s=0.0, trial=7, suggestion=suggestion), ConfigColumns(space)
    )
    assert isinstance(read, Event)
    assert read.suggestion is not None
    return read.suggestion.config


scalars = st.one_of(
    st.text(max_size=3), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4)


@st.composite
def choices(draw: Any) -> Choice:
    options: list[Value] = draw(st.lists(st.one_of(scalars, st.none()), min_size=1, max_size=5))
    kept: list[Value] = []
    for option in options:
        if not any(type(option) is type(other) and option == other for other in kept):
            kept.append(option)
    return Choice(tuple(kept))


@settings(deadline=None)
@given(st.dictionaries(names, choices(), min_size=1, max_size=4), st.data())
def test_every_option_of_every_choice_comes_back_with_its_type(choices_of: dict[str, Choice], data: Any) -> None:
    space = Space(choices_of)
    config = {name: data.draw(st.sampled_from(choice.options)) for name, choice in choices_of.items()}
    assert typed(config_through_arrow(space, config)) == typed(config)


@settings(deadline=None)
@given(st.floats(allow_nan=False), st.integers(-(2**80), 2**80))
def test_numbers_come_back_to_the_last_bit(real: float, integer: int) -> None:
    space = Space({"x": Float(0.0, 1.0), "n": Int(0, 5), "big": Int(-(2**80), 2**80)})
    config: Config = {"x": real, "n": 3, "big": integer}
    assert typed(config_through_arrow(space, config)) == typed(config)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5).filter(str.isprintable), st.floats()), st.floats(0, 4e9))
def test_metrics_and_times_come_back_to_the_last_bit(metrics: dict[str, float], time_s: float) -> None:
    read = through_arrow(event(0, "completed", 1, metrics=metrics))
    assert repr(read.metrics) == repr(metrics)  # repr, because nan is not equal to itself
    entry = Event(position=0, kind="opened", time_s=time_s)
    assert through_arrow(entry) == entry


def test_absent_parameters_stay_absent_and_a_null_option_stays_a_null() -> None:
    config: Config = {"lr": 0.1, "layers": 3, "optimizer": "adamw", "amp": True, "norm": None}
    assert typed(config_through_arrow(SPACE, config)) == typed(config)


def test_every_field_of_an_event_comes_back() -> None:
    entry = suggested(3, 1, acquisition=math.inf, mean={"val_error": -math.inf}, sd={"val_error": 0.1}, fit={"l": [1]})
    assert through_arrow(entry) == entry
    entry = suggested(3, 1, notes={"auto": {"algorithm": "gp"}}, fit_s=0.1)
    read = through_arrow(entry)
    assert read == entry
    assert isinstance(read, Event)
    assert read.suggestion is not None
    assert read.suggestion.proposal.fit_s == 0.1, "which does not count when proposals are compared"
    failed = event(4, "failed", 1, attempt=2, reason="boom", details={"traceback": "…", "n": [1, {"a": None}]})
    assert through_arrow(failed) == failed
    assert through_arrow(report(5, 1, 1)) == report(5, 1, 1)


def test_a_reason_that_is_no_valid_unicode_is_kept_readable() -> None:
    read = through_arrow(event(0, "failed", 1, reason="no file 'a\udcff'"))
    assert isinstance(read, Event)
    assert read.reason == "no file 'a\\udcff'"


def test_columns_have_the_types_a_reader_expects() -> None:
    fields = {field.name: str(field.type) for field in COLUMNS.type}
    assert fields == {
        "lr": "double",
        "layers": "int64",
        "optimizer": "string",
        "momentum": "double",
        "amp": "bool",
        "norm": "string",
    }
    schema = events_schema(COLUMNS)
    assert str(schema.field("time").type) == "timestamp[us, tz=UTC]"
    assert str(schema.field("mean").type) == "map<string, double>"


def test_parameters_that_differ_in_case_alone_get_columns_of_their_own() -> None:
    space = Space({"lr": Float(0, 1), "LR": Float(0, 1), "LR_2": Float(0, 1)})
    columns = [field.name.lower() for field in ConfigColumns(space).type]
    assert len(set(columns)) == 3
    config = {"lr": 0.1, "LR": 0.2, "LR_2": 0.3}
    assert config_through_arrow(space, config) == config


@pytest.mark.parametrize("config", [{"nope": 1}, {"norm": "unknown"}, {"norm": 1.0}])
def test_what_has_no_column_or_no_text_is_refused_before_it_is_stored(config: Config) -> None:
    with pytest.raises(KeyError):
        COLUMNS.encode({**CONFIG, **config})
    with pytest.raises(ValueError, match="suggestion's 1"):
        event_row(
            Event(position=0, kind="suggested", time_s=0.0, trial=2, suggestion=suggested(0, 1).suggestion), COLUMNS
        )
