"""The report: one file that loads nothing, cannot be broken by any name, and says what the study says."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import altair as alt
import pytest
import vl_convert
import yaml

import synthetic
from paretune.errors import InputError
from paretune.log import Log
from paretune.records import Provenance
from paretune.report import charts, frames, outcomes, page
from paretune.report.html import Html, element, join, json_script
from paretune.study import StudySpec, build

VOID = {"meta", "br", "wbr", "img", "link", "base", "input", "hr"}
LOADING = {"link", "base", "img", "iframe", "frame", "object", "embed", "audio", "video", "source", "form", "use"}
LOADING_ATTRIBUTES = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "background"}
STYLE_LOADS = re.compile(r"url\(|@import|image-set\(|src\(", re.IGNORECASE)


@dataclass
class Node:
    tag: str
    attributes: dict[str, str | None]
    children: list[Node | str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def all(self, tag: str, **attributes: str) -> list[Node]:
        """The nodes below with this tag and these attributes (`class_` is one of the classes)."""
        return [node for node in self.walk() if node.tag == tag and node._has(attributes)]

    def one(self, tag: str, **attributes: str) -> Node:
        (node,) = self.all(tag, **attributes)
        return node

    def _has(self, wanted: Mapping[str, str]) -> bool:
        classes = (self.attributes.get("class") or "").split()
        return all(
            value in classes if name == "class_" else self.attributes.get(name.replace("_", "-")) == value
            for name, value in wanted.items()
        )

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class Parser(HTMLParser):
    """HTML as a tree; a tag that closes another than the one open is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Node("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        node = Node(tag, dict(attrs))
        self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def parse(text: str) -> Node:
    parser = Parser()
    parser.feed(text)
    parser.close()
    assert parser._open == [parser.root]
    return parser.root


def render(spec: StudySpec, log: Log) -> Node:
    return parse(page.render(spec, log, synthetic.provenance()))


def data(root: Node) -> dict[str, Any]:
    """What the page hands to its script."""
    found: dict[str, Any] = json.loads(root.one("script", id="report-data").text)
    return found


def rows(root: Node) -> list[list[Node]]:
    """The cells of the table of all trials."""
    body = root.one("table", id="all").one("tbody")
    return [[cell for cell in row.children if isinstance(cell, Node)] for row in body.all("tr")]


def heads(root: Node) -> list[str]:
    return [head.text for head in root.one("table", id="all").one("thead").all("th")]


def tiles(root: Node) -> dict[str, tuple[str, str]]:
    """Each tile's figure and detail by its label."""
    found = {}
    for tile in root.all("div", class_="tile"):
        label, figure, detail = (tile.one("p", class_=name).text for name in ("label", "figure", "detail"))
        found[label] = (figure, detail)
    return found


def sections(root: Node) -> list[str | None]:
    return [section.attributes["id"] for section in root.all("section", class_="card")]


def values(chart: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every row of data that a chart holds."""
    return [row for rows in chart["datasets"].values() for row in rows]


@pytest.fixture(scope="module")
def usual() -> tuple[StudySpec, Log, Node]:
    """A study of 40 trials, some of which failed or diverged, and its page."""
    spec = synthetic.spec(trials=40)
    log = synthetic.log(spec, seed=3)
    assert {"completed", "failed", "diverged"} <= set(outcomes.counts(log))
    return spec, log, render(spec, log)


# -- nothing is loaded ---------------------------------------------------------------------------------------------


def test_no_element_and_no_style_loads_anything(usual: tuple[StudySpec, Log, Node]) -> None:
    root = usual[2]
    for node in root.walk():
        assert node.tag not in LOADING
        assert not LOADING_ATTRIBUTES & set(node.attributes)
        assert not STYLE_LOADS.search(node.attributes.get("style") or "")
    styles = root.all("style")
    assert styles
    assert not any(STYLE_LOADS.search(style.text) for style in styles)


def test_no_chart_loads_anything(usual: tuple[StudySpec, Log, Node]) -> None:
    def keys(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from value
        for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(child)

    given = data(usual[2])
    assert len(given["charts"]) > 5
    assert not {"url", "href", "usermeta", "image"} & set(keys(given))
    assert "://" not in json.dumps(given)


def test_the_policy_forbids_every_load_before_anything_can_load(usual: tuple[StudySpec, Log, Node]) -> None:
    """Vega's own script names addresses (of namespaces, of schemas); the policy keeps it from any of them."""
    head = usual[2].one("head")
    policy = head.one("meta", http_equiv="Content-Security-Policy").attributes["content"] or ""
    directives = {name: sources for name, *sources in (part.split() for part in policy.split(";"))}
    assert directives["default-src"] == ["'none'"]
    allowed = {"'none'", "'unsafe-inline'", "'unsafe-eval'", "data:"}
    assert {source for sources in directives.values() for source in sources} <= allowed
    assert "connect-src" not in directives
    tags = [node.tag for node in head.walk()]
    assert tags.index("meta") < tags.index("style")
    assert "script" not in tags


def test_the_page_holds_all_that_it_runs(usual: tuple[StudySpec, Log, Node]) -> None:
    root = usual[2]
    sources = [script.text for script in root.all("script") if "type" not in script.attributes]
    assert any("window.vegaEmbed=" in source.replace(" ", "") for source in sources)
    own = sources[-1]
    assert "vegaEmbed(" in own
    assert not re.search(r"fetch|XMLHttpRequest|import\s*\(|https?:", own)
    drawn = [int(node.attributes["data-chart"] or "") for node in root.walk() if "data-chart" in node.attributes]
    assert drawn == list(range(len(data(root)["charts"])))
    ids = [node.attributes["id"] for node in root.walk() if "id" in node.attributes]
    assert len(set(ids)) == len(ids)
    assert all(button.attributes["data-copy"] in ids for button in root.all("button", class_="copy"))


# -- nothing breaks out --------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\"' onload='alert(1)",
    "</title></style></textarea>&lt;b&gt;",
    "]]>\u2028\\u003c${1}",
]


def labelled(word: str) -> tuple[StudySpec, Log, Provenance]:
    """A study that uses one word for all that a user may name."""
    data = {
        "name": "named",
        "trainable": word,
        "objectives": {word: "minimize", word + "2": "maximize"},
        "space": {
            word + "lr": {"type": "float", "low": 0.0, "high": 1.0},
            word + "kind": {"type": "choice", "options": [word, "other"]},
        },
        "train": {"config": {word + "constant": word}},
    }
    write = synthetic.Writer()
    write.event("opened")
    for trial in range(3):
        config = {word + "lr": 0.25 * trial, word + "kind": word}
        write.start(trial, config)
        for step in range(2):
            write.report(trial, {word: 0.5 - 0.1 * trial - 0.1 * step, word + "2": 1.0 - trial, word + "extra": 1.0})
        write.event("completed", trial, metrics=dict(write.log.trials[trial].metrics))
    write.start(3, {word + "lr": 0.5, word + "kind": "other"})
    write.event("failed", 3, reason=word, details={"traceback": f"Traceback:\n{word}"})
    write.event("closed", reason=word)
    made = Provenance(created_s=0.0, paretune=word, versions={word: word}, git_commit=word, host=word)
    return build(data, where="test"), write.log, made


def skeleton(root: Node) -> list[tuple[str, tuple[str, ...]]]:
    return [(node.tag, tuple(node.attributes)) for node in root.walk()]


@pytest.fixture(scope="module")
def harmless() -> Node:
    return parse(page.render(*labelled("harmless")))


@pytest.mark.parametrize("word", HOSTILE)
def test_a_name_is_text_whatever_it_holds(word: str, harmless: Node) -> None:
    root = parse(page.render(*labelled(word)))
    assert skeleton(root) == skeleton(harmless)
    assert heads(root) == [
        *("trial", "status", word, word + "2", word + "extra", word + "lr", word + "kind"),
        *("resource", "seconds", "reason"),
    ]
    assert [cells[6].text for cells in rows(root)] == [word, word, word, "other"]
    assert rows(root)[3][-1].text == word
    assert root.one("p", class_="reason").text == word
    assert root.one("details").one("pre").text == f"Traceback:\n{word}"
    assert tiles(root)[f"Best {word}"] == ("0.2", "lowest, trial 2")
    titles = [node.text for node in root.all("figcaption")]
    assert {f"Best {word}", word + "lr", word + "extra"} <= set(titles)


@pytest.mark.parametrize("word", HOSTILE)
def test_every_chart_is_drawn_whatever_a_name_holds(word: str) -> None:
    """Vega compiles names and options into expressions; one that breaks would leave the page without its charts."""
    given = data(parse(page.render(*labelled(word))))["charts"]
    drawn = [vl_convert.vegalite_to_svg(chart | {"width": 300}) for chart in given]
    assert len(drawn) == 11
    assert all("mark-symbol" in svg or "mark-line" in svg for svg in drawn)


@pytest.mark.parametrize("word", HOSTILE)
def test_data_in_a_script_cannot_end_it(word: str) -> None:
    script = json_script("given", {word: [word]})
    assert script.count("<") == 2
    assert json.loads(parse(script).one("script", id="given").text) == {word: [word]}


def test_elements_escape_what_is_not_html_yet() -> None:
    assert element("td", "a < b & c", title='"x"') == '<td title="&quot;x&quot;">a &lt; b &amp; c</td>'
    assert element("p", Html("<b>x</b>"), None, "<") == "<p><b>x</b>&lt;</p>"
    assert element("tr", class_="front", data_trial=3, hidden=True, id=None, lang=False) == (
        '<tr class="front" data-trial="3" hidden></tr>'
    )
    assert element("br") == "<br>"
    assert join(["<", Html("<br>"), None]) == "&lt;<br>"
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_script("given", {"x": math.nan})


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
