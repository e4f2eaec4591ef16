"""The arguments and options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name.", show_default=False)]
Store = Annotated[str, typer.Option(help="Folder or URI of the results store.")]
Concurrency = Annotated[int | None, typer.Option(help="Trials at the same time.")]
Address = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster (auto, host:port). Without it RAY_ADDRESS counts, else Ray starts here."),
]

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any entry of the spec, such as train.epochs=3 or space.lr.high=0.1; repeatable.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Until:
    """When a study stops, as its options say; None for what they leave as it is."""

    trials: Annotated[int | None, typer.Option(help="Trials in all.")] = None
    hours: Annotated[float | None, typer.Option(help="Start no trial after this many hours.")] = None
    worker_hours: Annotated[
        float | None, typer.Option(help="Stop when the trials have used so many worker-hours in all.")
    ] = None
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=VALUE", help="Stop when one trial has reached this; repeatable, then all of them."
        ),
    ] = None
    regret: Annotated[
        float | None,
        typer.Option(help="Stop when less than this is most likely left to gain, in units of the only objective."),
    ] = None

    def settings(self, prefix: str = "") -> dict[str, Any]:
        """The settings of `search:` by name, after a prefix; raises SpecError for a target that is none."""
        from paretune.cli import _specs

        given = {name: getattr(self, name) for name in _UNTIL} | {"target": _specs.target(self.target)}
        return {prefix + name: value for name, value in given.items()}


_UNTIL = inspect.signature(Until, eval_str=True).parameters


def stopping(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of `Until` where it has a parameter `until`."""

    @wraps(command)
    def told(**given: Any) -> None:
        command(until=Until(**{name: given.pop(name) for name in _UNTIL}), **given)

    signature = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for own in signature.parameters.values()
        for parameter in (_UNTIL.values() if own.name == "until" else [own])
    ]
    told.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return told
