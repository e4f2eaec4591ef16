"""`trainables`, `validate`, `doctor`: before a study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from paretune._defaults import STORE
from paretune.cli._options import Store

if TYPE_CHECKING:
    from rich.table import Table

    from paretune.objective import Bound, Objective, Objectives
    from paretune.settings import SearchSettings, TrainSettings
    from paretune.space import Parameter, Space


def trainables() -> None:
    """List the training systems that ship with paretune."""
    from paretune import loading
    from paretune.cli import _console

    table = _console.table("trainable", "what it is", "ready spec")
    for trainable in loading.builtins():
        _console.add(table, trainable.name, trainable.summary, "yes" if trainable.spec_path else "no")
    console = _console.out()
    console.print(table)
    console.print("[dim]Your own: package.module:function or ./path.py:function as trainable in a spec file.[/]")


def validate(
    spec: Annotated[str, typer.Argument(metavar="SPEC|TRAINABLE", help="What run would be given.", show_default=False)],
) -> None:
    """Check a spec file and say what it means; starts nothing."""
    from paretune.cli import _console, _specs

    checked, _ = _specs.read(spec, {})
    console = _console.out()
    search, train = checked.search, checked.train
    console.print("[green]✓[/]", end=" ")
    console.print(f"{_specs.locate(spec)}: all is well", markup=False, soft_wrap=True)
    budget = " or ".join([f"{search.trials} trials", *_rules(search)])
    judged = "" if search.scheduler.name == "none" else f" and {search.scheduler.name}"
    for line in (
        f"{checked.name}: {budget} of {checked.trainable} by {search.algorithm.name}{judged}, into {checked.store}",
        f"{search.concurrency} at a time, {_workers(train)} each",
        ", ".join([*map(_objective, checked.objectives), *map(str, _other_bounds(checked.objectives))]),
        *_earlier(search.warm_start),
    ):
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print(_space_table(checked.space))
    for constraint in checked.space.constraints:
        console.print(f"  constraint: {constraint}", markup=False, soft_wrap=True)
    if checked.layout is not None and checked.layout.fixed:
        fixed = ", ".join(f"{name}: {value}" for name, value in checked.layout.fixed.items())
        console.print(f"  layout: {fixed}", markup=False, soft_wrap=True)
    for config in checked.first:
        values = ", ".join(f"{name}: {value}" for name, value in config.items())
        console.print(f"  tried first: {values}", markup=False, soft_wrap=True)


def _earlier(asked: str | Sequence[str] | None) -> list[str]:
    if asked is None:
        return []
    return ["learns from the studies in the store that fit" if asked == "store" else f"learns from {', '.join(asked)}"]


def doctor(
    deep: Annotated[bool, typer.Option("--deep", help="Also start a local Ray and run a task on it.")] = False,
    store: Store = STORE,
) -> None:
    """Tell what is wrong with this environment and how to mend it.

    Ends with exit code 1 if something is broken.
    """
    from paretune.cli import _checks, _console

    broken = 0
    for finding in _checks.examine(store=store, deep=deep):
        _console.finding(finding)
        broken += finding.state == "broken"
    if broken:
        raise typer.Exit(1)


def _rules(search: SearchSettings) -> list[str]:
    """What else may end the study."""
    rules = [] if search.hours is None else [f"{search.hours:g} hours"]
    rules += [] if search.worker_hours is None else [f"{search.worker_hours:g} worker-hours"]
    rules += [" with ".join(f"{name} {value:g}" for name, value in search.target.items())] if search.target else []
    return rules + ([] if search.regret is None else [f"at most {search.regret:g} left to gain"])


def _workers(train: TrainSettings) -> str:
    return f"{train.min_workers} to {train.workers} workers" if train.elastic else f"{train.workers} worker(s)"


def _objective(objective: Objective) -> str:
    limit = "".join(f" ({str(bound).removeprefix(f'{objective.name} ')})" for bound in objective.bounds)
    return f"{objective.goal} {objective.name}{limit}"


def _other_bounds(objectives: Objectives) -> list[Bound]:
    return [bound for limit in objectives.limited for bound in limit.bounds]


def _space_table(space: Space) -> Table:
    from paretune.cli import _console
    from paretune.parameters import conditions
    from paretune.report import text

    with_prior = any(parameter.prior is not None for parameter in space.values())
    table = _console.table("parameter", "values", "default", "when", *["prior"] * with_prior)
    for name, parameter in space.items():
        when = " and ".join(f"{key} = {' or '.join(map(text.value, v))}" for key, v in conditions(parameter).items())
        default = "" if parameter.default is None else text.value(parameter.default)
        _console.add(table, name, _values(parameter), default, when, *[_prior(parameter)] * with_prior)
    return table


def _prior(parameter: Parameter) -> str:
    from paretune.beliefs import Normal
    from paretune.parameters import Choice
    from paretune.report import text

    if isinstance(parameter.prior, Normal):
        given = parameter.prior.to_dict().items()
        return ", ".join(f"{name} {value:g}" for name, value in given)
    if isinstance(parameter, Choice) and parameter.prior is not None:
        return " : ".join(f"{text.value(o)} {w:g}" for o, w in zip(parameter.options, parameter.prior, strict=True))
    return ""


def _values(parameter: Parameter) -> str:
    from paretune.parameters import Choice
    from paretune.report import text

    if isinstance(parameter, Choice):
        return (" < " if parameter.ordered else " | ").join(map(text.value, parameter.options))
    kind = type(parameter).__name__.lower()
    scale = ", log" if parameter.log else ""
    step = "" if parameter.step in (None, 1) else f", step {parameter.step}"
    return f"{kind} {parameter.low:g} .. {parameter.high:g}{scale}{step}".replace("step power2", "powers of two")
