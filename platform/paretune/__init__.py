"""paretune: hyperparameter search for expensive, distributed PyTorch training on Ray.

The public names, imported when first used: `import paretune` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretune import errors as errors
    from paretune.algorithms._bohb.settings import BOHB as BOHB
    from paretune.algorithms._cmaes.settings import CMAES as CMAES
    from paretune.algorithms._evolution.settings import Evolution as Evolution
    from paretune.algorithms._gp.settings import GP as GP
    from paretune.algorithms._grid.settings import Grid as Grid
    from paretune.algorithms._tpe.settings import TPE as TPE
    from paretune.beliefs import Normal as Normal
    from paretune.flow import Study as Study
    from paretune.flow import load as load
    from paretune.flow import search as search
    from paretune.objective import Limit as Limit
    from paretune.objective import Objective as Objective
    from paretune.optimizer import Optimizer as Optimizer
    from paretune.parameters import Choice as Choice
    from paretune.parameters import Float as Float
    from paretune.parameters import Int as Int
    from paretune.rehearsal import simulate as simulate
    from paretune.schedulers._settings import ASHA as ASHA
    from paretune.schedulers._settings import PBT as PBT
    from paretune.schedulers._settings import Hyperband as Hyperband
    from paretune.schedulers._settings import Median as Median
    from paretune.schedulers._settings import OneEpochTopK as OneEpochTopK
    from paretune.simulation.faults import Faults as Faults
    from paretune.space import Space as Space

__version__ = "0.1.0"

_HOMES = {
    "ASHA": "paretune.schedulers._settings",
    "BOHB": "paretune.algorithms._bohb.settings",
    "CMAES": "paretune.algorithms._cmaes.settings",
    "Choice": "paretune.parameters",
    "Evolution": "paretune.algorithms._evolution.settings",
    "Float": "paretune.parameters",
    "Faults": "paretune.simulation.faults",
    "GP": "paretune.algorithms._gp.settings",
    "Grid": "paretune.algorithms._grid.settings",
    "Hyperband": "paretune.schedulers._settings",
    "Int": "paretune.parameters",
    "Limit": "paretune.objective",
    "Median": "paretune.schedulers._settings",
    "Normal": "paretune.beliefs",
    "Objective": "paretune.objective",
    "OneEpochTopK": "paretune.schedulers._settings",
    "Optimizer": "paretune.optimizer",
    "PBT": "paretune.schedulers._settings",
    "Space": "paretune.space",
    "Study": "paretune.flow",
    "TPE": "paretune.algorithms._tpe.settings",
    "load": "paretune.flow",
    "search": "paretune.flow",
    "simulate": "paretune.rehearsal",
}

__all__ = [
    "ASHA",
    "BOHB",
    "CMAES",
    "GP",
    "PBT",
    "TPE",
    "Choice",
    "Evolution",
    "Faults",
    "Float",
    "Grid",
    "Hyperband",
    "Int",
    "Limit",
    "Median",
    "Normal",
    "Objective",
    "OneEpochTopK",
    "Optimizer",
    "Space",
    "Study",
    "errors",
    "load",
    "search",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("paretune.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'paretune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
