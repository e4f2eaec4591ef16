"""The arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name.", show_default=False)]
Store = Annotated[str, typer.Option(help="Folder or URI of the results store.")]
Trials = Annotated[int | None, typer.Option(help="Trials in all.")]
Hours = Annotated[float | None, typer.Option(help="Start no trial after this many hours.")]
WorkerHours = Annotated[float | None, typer.Option(help="Stop when the trials have used so many worker-hours in all.")]
Target = Annotated[
    list[str] | None,
    typer.Option(metavar="METRIC=VALUE", help="Stop when one trial has reached this; repeatable, then all of them."),
]
Regret = Annotated[
    float | None,
    typer.Option(help="Stop when less than this is most likely left to gain, in units of the only objective."),
]
Concurrency = Annotated[int | None, typer.Option(help="Trials at the same time.")]
Address = Annotated[
    str | None,
    typer.Option(help="A running Ray cluster (auto, host:port). Without it RAY_ADDRESS counts, else Ray starts here."),
]
