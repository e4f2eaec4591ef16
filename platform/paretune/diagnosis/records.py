"""What a diagnosis holds: frozen, plain, in the metrics' own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from paretune.recommendation import Recommendation

State = Literal["ok", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """What was predicted of results, and what they were: one entry per trial in each tuple.

    `sd` is of a result, noise included. `within_50` and `within_90` are the shares of results inside the intervals that
    should hold half and nine tenths of them; `residual_sd` is the standard deviation of the residuals in units of `sd`,
    one where `sd` is right; `correlation` is Spearman's, of predictions with results, None where either is constant.
    """

    trials: tuple[int, ...]
    predicted: tuple[float, ...]
    sd: tuple[float, ...]
    observed: tuple[float, ...]
    within_50: float
    within_90: float
    residual_sd: float
    correlation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCheck:
    """How a surrogate explains one objective or one metric under a limit.

    `left_out` predicts each result from all others, `suggested` is what was predicted when the trial was suggested
    (None where the algorithm predicts nothing). `noise`, `signal` and `spread` are standard deviations: of a repeated
    trial, of the configurations' means, of all results; `quiet` is the probability that noise is negligible.
    `lengthscales` are in units of a parameter's range: short where the metric changes quickly, long where hardly.
    """

    metric: str
    left_out: Forecasts
    suggested: Forecasts | None
    noise: float
    signal: float
    spread: float
    quiet: float
    lengthscales: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the study, and what to do about it if something is amiss."""

    about: str
    state: State
    found: str
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Diagnosis:
    """All of it; `models` is empty while there are too few results, `best` is while no trial counts."""

    study: str
    trials: int
    completed: int
    best: tuple[Recommendation, ...]
    models: tuple[ModelCheck, ...]
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        warnings = [finding.about for finding in self.findings if finding.state == "warning"]
        told = f"warnings: {', '.join(warnings)}" if warnings else "no warnings"
        return f"Diagnosis({self.study}: {self.completed} of {self.trials} trials completed, {told})"

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        plain = asdict(replace(self, best=()))
        return plain | {"best": [best.to_dict() for best in self.best]}
