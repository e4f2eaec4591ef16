"""`preflight`: a study's default configuration examined on this machine before any trial starts."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paretune.cli._options import Set
from paretune.errors import TrainableError

if TYPE_CHECKING:
    from paretune.cli._checks import Finding
    from paretune.study import StudySpec
    from paretune.train.preflight import Examination, Specimen


def preflight(
    spec: Annotated[str, typer.Argument(metavar="SPEC|TRAINABLE", help="What run would be given.", show_default=False)],
    set_: Set = None,
) -> None:
    """Train the default configuration a little, here, and estimate what the study will cost.

    One batch, ten samples learned by heart, shuffled targets that must teach nothing; time, memory, hours.
    Ends with exit code 1 if something is broken. The trainable must have a function preflight(config).
    """
    from paretune import loading
    from paretune.cli import _console, _specs
    from paretune.layouts import assembled

    study, folder = _specs.read(spec, _specs.changes({}, set_ or ()))
    hook = _hook(study.trainable, loading.resolve(study.trainable, base=folder))
    config = assembled(study.constants(), study.space.complete({}))

    from paretune.train.preflight import examine

    found = examine(hook(config))
    _console.out().print(f"{study.name}, with {_settings(config)}", markup=False, soft_wrap=True)
    broken = 0
    for finding in findings(found, study):
        _console.finding(finding)
        broken += finding.state == "broken"
    if broken:
        raise typer.Exit(1)


def findings(found: Examination, study: StudySpec) -> Iterator[Finding]:
    """What an examination means, and for this study."""
    from paretune.cli._checks import Finding
    from paretune.train.preflight import HANDFUL, OVERFIT_STEPS

    if found.not_finite:
        yield Finding(
            "one batch", "broken", f"not finite: {', '.join(found.not_finite)}", "a smaller lr, or sound data"
        )
    elif found.without_gradient:
        names = ", ".join(found.without_gradient)
        yield Finding("one batch", "warning", f"no gradient reaches {names}", "are they used in the loss?")
    else:
        yield Finding("one batch", "ok", f"loss {found.first_loss:.4g}, {found.parameters:,} parameters, all trained")

    before, after = found.by_heart
    text = f"loss {before:.4g} -> {after:.4g} in {OVERFIT_STEPS} steps on {HANDFUL} samples"
    hint = "a model that cannot learn ten samples by heart: look at lr, loss and targets"
    yield Finding("by heart", "ok", text) if found.learns_by_heart else Finding("by heart", "broken", text, hint)

    text = (
        f"loss of new batches {found.lessons:.4g}, with targets shuffled {found.lessons_shuffled:.4g}: true ones teach "
        f"more by {found.lessons_t:.2g} standard errors"
    )
    hint = "inputs must teach something about their targets: are they paired as they should be, is lr too small?"
    yield Finding("shuffled", "ok", text) if found.inputs_tell else Finding("shuffled", "broken", text, hint)

    yield Finding(
        "time",
        "ok",
        f"{found.step_s * 1e3:.3g} ms a step on one worker; an epoch of {found.steps_per_epoch} steps and its "
        f"validation {found.epoch_s:.3g} s",
    )
    yield Finding("memory", "ok", f"{found.peak_memory_bytes / 1e6:,.0f} MB at most, in a step on one worker")
    trials, at_a_time, workers = study.search.trials, study.search.concurrency, study.train.workers
    worker_h = trials * found.epochs * found.epoch_s / 3600
    hours = worker_h / (min(at_a_time, trials) * workers)
    yield Finding(
        "cost",
        "ok",
        f"{trials} trials x {found.epochs} epochs x {found.epoch_s:.3g} s: {_hours(worker_h)} of a worker like this "
        f"one; {at_a_time} at a time on {workers} worker(s) each, at best {_hours(hours)}",
    )


def _hook(reference: str, train: Callable[..., Any]) -> Callable[[dict[str, Any]], Specimen]:
    """The function `preflight` of the module that the training function is defined in."""
    module = sys.modules.get(getattr(train, "__module__", ""))
    hook = getattr(module, "preflight", None)
    if not callable(hook):
        raise TrainableError(
            f"trainable: {reference}: has no function preflight(config), so its model and data cannot be examined",
            hint="define one beside the training function that returns a paretune.train.Specimen; "
            "paretune/trainables/cnn.py has an example",
        )
    return hook  # type: ignore[no-any-return]


def _settings(config: dict[str, Any]) -> str:
    from paretune.report import text

    layout = {f"layout.{name}": value for name, value in config.get("layout", {}).items()}
    plain = {name: value for name, value in config.items() if name != "layout"}
    return ", ".join(f"{name} {text.value(value)}" for name, value in {**plain, **layout}.items())


def _hours(hours: float) -> str:
    return f"{hours:.2g} h" if hours >= 1 else f"{math.ceil(hours * 60)} min"
