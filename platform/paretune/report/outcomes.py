"""What a study has come to: its best trials, its Pareto front, its hypervolume, the time it took.

Pure functions of a spec and a log, without tables or drawings, so that a progress display can afford them.

Legend: n trials, m objectives; Y_nm minimised values in order of completion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from paretune import pareto, winners
from paretune.errors import InputError
from paretune.log import Log, Trial
from paretune.records import Event
from paretune.study import StudySpec

Array = npt.NDArray[np.float64]


def completed(spec: StudySpec, log: Log) -> list[Trial]:
    """The trials that ran to completion and have every objective, in the order in which they ended."""
    ended = [log.trials[observation.trial] for observation in log.history if observation.status == "completed"]
    return [trial for trial in ended if not spec.objectives.missing(trial.metrics)]


def feasible(spec: StudySpec, log: Log) -> list[Trial]:
    """The completed trials that keep every limit, in the order in which they ended."""
    return winners.contenders(completed(spec, log), spec.objectives)


def front(spec: StudySpec, log: Log) -> list[Trial]:
    """The completed, feasible trials that no other one dominates, best first by the first objective."""
    return winners.front(log.trials.values(), spec.objectives)


def best(spec: StudySpec, log: Log, objective: str | None = None) -> Trial:
    """The completed, feasible trial with the best value of `objective`; the earlier trial where two are equal.

    Raises ObjectiveError when several objectives leave open which one is meant, or none has that name, and
    InputError when no trial qualifies.
    """
    try:
        return winners.best(log.trials.values(), spec.objectives, objective)
    except InputError as error:
        raise error.located(f"study {spec.name}") from None


def reference(spec: StudySpec, log: Log) -> Array:
    """The reference point that hypervolumes are measured from, minimised, shape (m,).

    It is the spec's where given; the rest is inferred from the present front, and NaN as long as there is none.
    """
    return pareto.fill_reference(minimized(spec, feasible(spec, log)), spec.objectives.reference_point())


def hypervolume(spec: StudySpec, log: Log) -> float | None:
    """The hypervolume of the present front up to `reference`; None as long as there is no front."""
    trials = feasible(spec, log)
    return pareto.hypervolume(minimized(spec, trials), reference(spec, log)) if trials else None


def hypervolume_history(spec: StudySpec, log: Log) -> Array:
    """The hypervolume after each completed trial, all up to the same present `reference`; shape (n,)."""
    trials = completed(spec, log)
    keeps_limits = np.array([spec.objectives.feasible(trial.metrics) for trial in trials], dtype=bool)
    if not keeps_limits.any():
        return np.zeros(len(trials))
    Y_nm = minimized(spec, trials)[keeps_limits]
    after_feasible = np.concatenate([[0.0], pareto.hypervolume_history(Y_nm, reference(spec, log))])
    return np.asarray(after_feasible[np.cumsum(keeps_limits)])


def elapsed(log: Log) -> list[float]:
    """Seconds worked on the study up to each entry; the time between an interruption and a resume is left out."""
    total, seconds = 0.0, []
    for i, entry in enumerate(log.entries):
        resumed = isinstance(entry, Event) and entry.kind == "opened"
        if i > 0 and not resumed:
            total += max(0.0, entry.time_s - log.entries[i - 1].time_s)
        seconds.append(total)
    return seconds


def worked(log: Log) -> float:
    """Seconds worked on the study so far."""
    return elapsed(log)[-1] if log.entries else 0.0


def work(spec: StudySpec, log: Log) -> tuple[float, str]:
    """What the trials have cost so far, and its unit: GPU-hours, CPU-hours, or worker-hours.

    Where the spec leaves the number of GPUs to the cluster it is the one the study was last opened with; worker-hours
    where nobody said.
    """
    hours = sum(trial.worker_seconds for trial in log.trials.values()) / 3600
    gpus = spec.train.gpus if spec.train.gpus is not None else _gpus_found(log)
    if gpus is None:
        return hours, "worker-hours"
    if gpus > 0:
        return hours * gpus, "GPU-hours"
    return hours * spec.train.cpus, "CPU-hours"


def _gpus_found(log: Log) -> float | None:
    opened = [entry for entry in log.entries if isinstance(entry, Event) and entry.kind == "opened"]
    gpus = opened[-1].details.get("gpus_per_worker") if opened else None
    return None if gpus is None else float(gpus)


def minimized(spec: StudySpec, trials: Sequence[Trial]) -> Array:
    """The trials' objectives, less is better; shape (n, m)."""
    rows = [spec.objectives.minimized(trial.metrics) for trial in trials]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(spec.objectives))


def counts(log: Log) -> Counter[str]:
    """How many trials there are of each status."""
    return Counter(trial.status for trial in log.trials.values())
