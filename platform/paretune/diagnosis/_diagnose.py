"""The diagnosis of a study from its spec and its log."""

from __future__ import annotations

from paretune import winners
from paretune.algorithms import kernel_of
from paretune.diagnosis import findings
from paretune.diagnosis.models import checks
from paretune.diagnosis.records import Diagnosis
from paretune.log import Log
from paretune.recommendation import Recommendation, recommend
from paretune.study import StudySpec


def diagnose(spec: StudySpec, log: Log) -> Diagnosis:
    """Look at everything there is; a study with few results has findings without models."""
    models, best = checks(spec, log), _best(spec, log)
    completed = sum(trial.status == "completed" for trial in log.trials.values())
    return Diagnosis(
        study=spec.name,
        trials=len(log.trials),
        completed=completed,
        best=best,
        models=models,
        findings=tuple(findings.findings(spec, log, models, best)),
    )


def _best(spec: StudySpec, log: Log) -> tuple[Recommendation, ...]:
    trials = list(log.trials.values())
    if not winners.contenders(trials, spec.objectives):
        return ()
    kernel = kernel_of(spec.search.algorithm)
    return tuple(recommend(trials, spec.space, spec.objectives, name, kernel=kernel) for name in spec.objectives.names)
