"""A report's page read back: its elements as a tree, its tables, its charts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import synthetic
from paretune.log import Log
from paretune.report import page
from paretune.study import StudySpec

VOID = {"meta", "br", "wbr", "img", "link", "base", "input", "hr"}


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
