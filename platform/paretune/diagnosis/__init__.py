"""Whether a study can be trusted, and what would make it better.

records    what is found: plain data, as JSON too
models     how well a surrogate explains the results
findings   what follows from it for the user, in words
"""

from __future__ import annotations

from paretune.diagnosis._diagnose import diagnose
from paretune.diagnosis.records import Diagnosis, Finding, Forecasts, ModelCheck

__all__ = ["Diagnosis", "Finding", "Forecasts", "ModelCheck", "diagnose"]
