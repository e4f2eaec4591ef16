"""The report says what the study says, whatever the study is like."""

from __future__ import annotations

import math
import re
from pathlib import Path

import altair as alt
import pytest
import vl_convert
import yaml

import synthetic
from markup import Node, data, heads, parse, render, rows, sections, tiles, values
from paretune.errors import InputError
from paretune.log import Log
from paretune.report import charts, frames, outcomes, page
from paretune.study import StudySpec, build


@pytest.fixture(scope="module")
def usual() -> tuple[StudySpec, Log, Node]:
    """A study of 40 trials, some of which failed or diverged, and its page."""
    spec = synthetic.spec(trials=40)
    log = synthetic.log(spec, seed=3)
    assert {"completed", "failed", "diverged"} <= set(outcomes.counts(log))
    return spec, log, render(spec, log)


# -- every kind of study renders -----------------------------------------------------------------------------------


def checked(spec: StudySpec, log: Log) -> Node:
    """The page of a study, of which all holds that holds of any."""
    text = page.render(spec, log, synthetic.provenance())
    assert len(text.encode()) < 5_000_000
    root = parse(text)
    for chart in data(root)["charts"]:
        assert values(chart)
        alt.Chart.from_dict(chart | {"datasets": {}})  # rows of data have no schema
    if log.trials:
        assert [cells[0].attributes["data-v"] for cells in rows(root)] == [str(n) for n in sorted(log.trials)]
        assert [cells[1].text for cells in rows(root)] == [trial.status for _, trial in sorted(log.trials.items())]
    else:
        assert "trials" not in sections(root)
    assert tiles(root)["Trials"][0] == str(len(log.trials))
    return root


def outcome(root: Node) -> str:
    return root.one("p", class_="outcome").text


@pytest.mark.parametrize("begun", [True, False])
def test_no_trials(begun: bool) -> None:
    write = synthetic.Writer()
    if begun:
        write.event("opened")
    root = checked(synthetic.spec(), write.log)
    assert outcome(root) == "0 of 24 trials in 0.00 s; none completed."
    assert ("under way" if begun else "not begun") in root.one("p", class_="about").text
    assert sections(root) == ["front", "reproduce"]
    assert "No trial has completed yet." in root.one("section", id="front").text
    assert data(root)["charts"] == []


def test_all_failed() -> None:
    spec = synthetic.spec(trials=5)
    root = checked(spec, synthetic.log(spec, ending="failed"))
    assert re.fullmatch(r"5 trials in .*; none completed\.", outcome(root))
    assert sections(root) == ["front", "curves", "trials", "failures", "reproduce"]
    failure = root.one("div", class_="failure")
    assert failure.one("p", class_="reason").text == synthetic.OOM
    assert failure.one("p", class_="note").text == "5 trials: 0, 1, 2, 3, 4"
    assert failure.one("pre").text == synthetic.TRACEBACK
    assert [button.text for button in root.all("button") if "data-show" in button.attributes] == ["all 5", "failed 5"]


def test_layouts_on_the_front_come_first() -> None:
    layout = {"pipeline": {"type": "choice", "options": [1, 2]}, "microbatches": 4, "precision": "bf16"}
    spec = synthetic.spec(layout=layout, train={"workers": 4}, space={"lr": {"type": "float", "low": 0, "high": 1}})
    write = synthetic.Writer()
    for trial, (pipeline, error, latency) in enumerate([(1, 0.5, 5.0), (2, 0.2, 9.0), (2, 0.4, 8.0), (1, 0.6, 5.5)]):
        config = {"lr": 0.5, "layout.pipeline": pipeline}
        write.complete(trial, config, {"val_error": error, "latency_ms": latency})
    write.start(4, {"lr": 0.1, "layout.pipeline": 1})
    write.event("failed", 4, attempt=1, reason="out of memory: of 16 GB")
    root = checked(spec, write.log)
    table = root.one("section", id="layouts")
    assert [[cell.text for cell in (*row.all("th"), *row.all("td"))] for row in table.all("tr")[1:]] == [
        ["data 2 x pipeline 2, 1f1b, 4 microbatches, ddp, bf16", "2", "2", "0", "0.2", "8"],
        ["data 4 x pipeline 1, ddp, bf16", "1", "3", "1", "0.5", "5"],
    ]
    front = root.one("section", id="front").one("tbody")
    assert next(row.all("td")[-1].text for row in front.all("tr")).startswith("data 2 x pipeline 2, 1f1b")


def test_none_completed_yet() -> None:
    spec = synthetic.spec()
    root = checked(spec, synthetic.log(spec, ending="running"))
    assert outcome(root).startswith("0 of 24 trials in ")
    assert tiles(root)["Trials"] == ("2", "2 running")
    assert "under way" in root.one("p", class_="about").text


def test_one_trial() -> None:
    spec = synthetic.spec(trials=1)
    root = checked(spec, synthetic.log(spec, ending="completed"))
    assert re.fullmatch(r"1 trial in .*; 1 on the Pareto front; best val_error .* \(trial 0\)\.", outcome(root))


@pytest.mark.parametrize(("objectives", "planes"), [(1, 0), (2, 1), (3, 3)])
def test_any_number_of_objectives(objectives: int, planes: int) -> None:
    spec = synthetic.spec(objectives=objectives, trials=8)
    root = checked(spec, synthetic.log(spec, ending="completed"))
    front = root.one("section", id="front")
    assert front.one("h2").text == ("Best val_error" if objectives == 1 else "Pareto front")
    assert len(front.all("figure")) == max(1, planes)
    assert ("convergence" in sections(root)) == (objectives > 1)
    assert ("Hypervolume" in tiles(root)) == (objectives > 1)
    assert [title.text for title in root.one("section", id="effects").all("h3")] == list(spec.objectives.names)


def test_many_trials() -> None:
    spec = synthetic.spec(trials=500)
    root = checked(spec, synthetic.log(spec))
    assert len(rows(root)) == 500


def test_options_that_are_not_words() -> None:
    options = [None, True, False, "auto", 3]
    data_ = {
        "name": "options",
        "trainable": "cnn",
        "objectives": {"error": "minimize"},
        "space": {"clip": {"type": "choice", "options": options}},
    }
    write = synthetic.Writer()
    for trial, option in enumerate(options):
        write.complete(trial, {"clip": option}, {"error": 0.5 - trial / 16})
    root = checked(build(data_, where="test"), write.log)
    shown = ["null", "true", "false", "auto", "3"]
    column = heads(root).index("clip")
    assert [cells[column].text for cells in rows(root)] == shown
    (effects,) = (chart for chart in data(root)["charts"] if any("shown_x" in row for row in values(chart)))
    assert [row["shown_x"] for row in sorted(values(effects), key=lambda row: row["trial"])] == shown


def test_metrics_that_are_not_finite() -> None:
    """Objectives always are; what else a loop reports may be anything."""
    spec = synthetic.spec(objectives=1, trials=3)
    write = synthetic.Writer()
    config = {"lr": 0.01, "hidden": 64, "layers": 2, "optimizer": "adamw"}
    for trial, last in enumerate((math.nan, math.inf, 2.0)):
        write.start(trial, config)
        for norm in (1.0, -math.inf, last):
            write.report(trial, {"val_error": 0.1, "grad_norm": norm})
        write.event("completed", trial, metrics={"val_error": 0.1, "grad_norm": last})
    root = checked(spec, write.log)
    column = heads(root).index("grad_norm")
    assert [cells[column].text for cells in rows(root)] == ["\N{EN DASH}", "inf", "2"]
    assert [cells[column].attributes.get("data-v") for cells in rows(root)] == [None, "Infinity", "2.0"]
    (curves,) = (panel.chart for panel in charts.learning_curves(spec, write.log) if panel.title == "grad_norm")
    drawn = sorted((row["trial"], row["x"], row["y"]) for row in values(charts.vega_lite(curves)))
    assert drawn == [(0, 1, 1.0), (1, 1, 1.0), (2, 1, 1.0), (2, 3, 2.0)]


@pytest.mark.parametrize("extremes", [(1e308, -1e308), (5e-324, 1e308), (1e-320, 1.0), (1e308,), (0.0,)])
def test_objectives_at_the_ends_of_the_floats(extremes: tuple[float, ...]) -> None:
    spec = build(
        {
            "name": "extreme",
            "trainable": "cnn",
            "objectives": {"error": "minimize"},
            "space": {"lr": {"type": "float", "low": 0.0, "high": 1.0}},
        },
        where="test",
    )
    write = synthetic.Writer()
    for trial, error in enumerate(extremes):
        write.complete(trial, {"lr": 0.5}, {"error": error})
    checked(spec, write.log)


# -- what the page says is what the study says ---------------------------------------------------------------------


def by_hand() -> tuple[StudySpec, Log]:
    """Five trials: three on the front, one beyond the limit, one that failed."""
    data = {
        "name": "hand",
        "trainable": "cnn",
        "objectives": {
            "error": {"goal": "minimize", "reference": 1.0},
            "speed": {"goal": "maximize", "reference": 0.0, "limit": 1.0},
        },
        "space": {"lr": {"type": "float", "low": 0.0, "high": 1.0}, "width": {"type": "int", "low": 1, "high": 99}},
        "search": {"trials": 6},
        "train": {"gpus": 2},
    }
    write = synthetic.Writer()
    write.event("opened")
    for trial, (error, speed) in enumerate([(0.5, 2.0), (0.25, 1.0), (0.125, 0.5), (0.75, 4.0)]):
        write.complete(trial, {"lr": trial / 8, "width": 10 + trial}, {"error": error, "speed": speed}, seconds=900)
    write.start(4, {"lr": 0.5, "width": 14})
    write.event("failed", 4, reason="ValueError: no")
    write.event("interrupted")
    return build(data, where="test"), write.log


@pytest.fixture(scope="module")
def hand() -> Node:
    return checked(*by_hand())


def test_the_headline_and_the_tiles(hand: Node) -> None:
    assert outcome(hand) == (
        "5 of 6 trials in 1 h 00 min; 3 on the Pareto front; best error 0.25 (trial 1) and best speed 4 (trial 3)."
    )
    assert hand.one("h1").text == "hand"
    assert "interrupted" in hand.one("p", class_="about").text
    assert tiles(hand) == {
        "Trials": ("5", "4 completed \N{MIDDLE DOT} 1 failed"),
        "Best error": ("0.25", "lowest, trial 1"),
        "Best speed": ("4", "highest, trial 3"),
        # 0.25 x 4 + 0.25 x 2 + 0.25 x 1
        "Hypervolume": ("1.75", "up to the reference"),
        "Time": ("1 h 00 min", "2 GPU-hours"),
    }
    legend = [entry.text for entry in hand.one("ul", class_="legend").all("li")]
    assert legend == ["on the front (3)", "beyond a limit (1)"]


def test_the_table_of_the_front(hand: Node) -> None:
    front = hand.one("section", id="front").one("table")
    assert [[cell.text for cell in row.walk() if cell.tag in ("th", "td")] for row in front.one("tbody").all("tr")] == [
        ["1", "0.25", "1", "0.125", "11"],
        ["0", "0.5", "2", "0", "10"],
        ["3", "0.75", "4", "0.375", "13"],
    ]


def test_the_table_holds_every_trial_with_its_exact_numbers(usual: tuple[StudySpec, Log, Node]) -> None:
    spec, log, root = usual
    table, labels = frames.trials(spec, log), heads(root)
    assert labels == [
        "trial",
        "status",
        "val_error",
        "latency_ms",
        "train_loss",
        *spec.space,
        "epochs",
        "seconds",
        "reason",
    ]
    chosen = {trial.id for trial in outcomes.front(spec, log)}
    for cells, expected in zip(rows(root), table.to_dict("records"), strict=True):
        shown = dict(zip(labels, cells, strict=True))
        for name in ("val_error", "latency_ms", "train_loss", "lr", "hidden", "layers", "momentum", "seconds"):
            sortable, number = shown[name].attributes.get("data-v"), expected[name]
            assert (None if sortable is None else float(sortable)) == (None if math.isnan(number or 0) else number)
        assert shown["optimizer"].text == expected["optimizer"]
        assert bool(shown["trial"].all("span", class_="front")) == (expected["trial"] in chosen)


def test_a_filter_shows_as_many_rows_as_it_says(usual: tuple[StudySpec, Log, Node]) -> None:
    spec, log, root = usual
    filters = {node.attributes["data-show"]: node.text for node in root.all("button") if "data-show" in node.attributes}
    classes = [row.attributes["class"] for row in root.one("table", id="all").one("tbody").all("tr")]
    counts = outcomes.counts(log)
    assert classes.count("front") == len(outcomes.front(spec, log))
    assert classes.count("trouble") == counts["failed"] + counts["diverged"]
    assert filters == {
        "": f"all {len(classes)}",
        "front": f"on the front {classes.count('front')}",
        "trouble": f"failed {classes.count('trouble')}",
    }


def test_the_charts_show_the_trials_themselves(usual: tuple[StudySpec, Log, Node]) -> None:
    spec, log, root = usual
    done = {trial.id: trial.metrics for trial in outcomes.completed(spec, log)}
    plane = data(root)["charts"][0]
    points = [row for row in values(plane) if "trial" in row]
    assert {row["trial"]: (row["x"], row["y"]) for row in points} == {
        number: (metrics["latency_ms"], metrics["val_error"]) for number, metrics in done.items()
    }
    assert {row["trial"] for row in points if row["group"] == "front"} == {t.id for t in outcomes.front(spec, log)}
    volumes = frames.hypervolume(spec, log)["hypervolume"].tolist()
    (grown,) = (list(values(chart)) for chart in data(root)["charts"] if any("elapsed" in row for row in values(chart)))
    assert [row["y"] for row in grown] == volumes


def test_every_chart_draws_a_point_for_each_trial(usual: tuple[StudySpec, Log, Node]) -> None:
    """Vega-Lite itself draws what stands in the page."""
    spec, log, root = usual
    plane = data(root)["charts"][0] | {"width": 400}
    svg = vl_convert.vegalite_to_svg(plane | {"config": data(root)["light"]})
    drawn = sum(len(re.findall("<path", group)) for group in re.findall(r'<g class="mark-symbol[^>]*>(.*?)</g>', svg))
    assert drawn == len(outcomes.completed(spec, log))


def test_the_spec_on_the_page_is_the_studys(usual: tuple[StudySpec, Log, Node]) -> None:
    spec, _, root = usual
    shown = root.one("pre", id="spec").text
    assert build(yaml.safe_load(shown), where="page").to_dict() == spec.to_dict()
    facts = root.one("section", id="reproduce").one("dl").text
    assert "0123456789abcdef" in facts
    assert "2026-01-01 00:00 UTC on laptop" in facts


def test_equal_reasons_stand_together(usual: tuple[StudySpec, Log, Node]) -> None:
    _, log, root = usual
    shown = {
        failure.one("p", class_="reason").text: failure.one("p", class_="note").text
        for failure in root.all("div", class_="failure")
    }
    failed = [str(trial.id) for trial in log.ended if trial.status == "failed"]
    assert shown[synthetic.OOM] == f"{len(failed)} trial{'s' * (len(failed) > 1)}: {', '.join(failed)}"
    assert set(shown) == {synthetic.OOM, "val_error is nan"}


# -- files ---------------------------------------------------------------------------------------------------------


def test_the_page_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    spec, log = by_hand()
    wanted = tmp_path / "new" / "folder" / "report.html"
    assert page.write(spec, log, synthetic.provenance(), wanted) == wanted
    assert wanted.read_text(encoding="utf-8") == page.render(spec, log, synthetic.provenance())
    assert [path.name for path in wanted.parent.iterdir()] == ["report.html"]


def test_a_chart_is_saved_by_its_ending(tmp_path: Path) -> None:
    (panel,) = charts.front(*by_hand())
    assert charts.save(panel.chart, tmp_path / "front.svg").read_text(encoding="utf-8").startswith("<svg")
    assert charts.save(panel.chart, tmp_path / "front.png", scale=1.0).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"front\.pdf: .*must end in \.png or \.svg, got \.pdf"):
        charts.save(panel.chart, tmp_path / "front.pdf")
