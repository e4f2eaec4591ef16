"""The report is one file that loads nothing and that no name can break."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
import vl_convert

import synthetic
from markup import Node, data, heads, parse, render, rows, tiles
from paretune.log import Log
from paretune.records import Provenance
from paretune.report import outcomes, page
from paretune.report.html import Html, element, join, json_script
from paretune.study import StudySpec, build

LOADING = {"link", "base", "img", "iframe", "frame", "object", "embed", "audio", "video", "source", "form", "use"}
LOADING_ATTRIBUTES = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "background"}
STYLE_LOADS = re.compile(r"url\(|@import|image-set\(|src\(", re.IGNORECASE)


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
