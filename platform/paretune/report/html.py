"""Elements of HTML as text, escaped where they are made: what is not `Html` yet is text, whatever it holds."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any, TypeAlias


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = str | None
Attribute: TypeAlias = str | int | float | bool | None

_VOID = {"meta", "br", "wbr"}


def element(tag: str, /, *children: Child, **attributes: Attribute) -> Html:
    """`element("td", "a < b", class_="number", data_trial=3)`; None leaves a child or an attribute out."""
    opening = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}>"
    if tag in _VOID:
        return Html(opening)
    return Html(f"{opening}{join(children)}</{tag}>")


def join(children: Iterable[Child]) -> Html:
    """Children one after the other."""
    return Html("".join(_escaped(child) for child in children if child is not None))


def json_script(name: str, data: Any) -> Html:
    """Data for a script on the page; no character in it can end the element."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":  # in JSON they stand in strings only
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Html(f'<script type="application/json" id="{html.escape(name)}">{text}</script>')


def _escaped(child: str) -> str:
    return child if isinstance(child, Html) else html.escape(child)


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
