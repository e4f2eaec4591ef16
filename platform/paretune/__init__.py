"""paretune: hyperparameter search for expensive, distributed PyTorch training on Ray.

The public names, imported when first used: `import paretune` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paretune import errors as errors
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
    from paretune.space import Space as Space

__version__ = "0.1.0"

_HOMES = {
    "CMAES": "paretune.algorithms._cmaes.settings",
    "Choice": "paretune.parameters",
    "Evolution": "paretune.algorithms._evolution.settings",
    "Float": "paretune.parameters",
    "GP": "paretune.algorithms._gp.settings",
    "Grid": "paretune.algorithms._grid.settings",
    "Int": "paretune.parameters",
    "Limit": "paretune.objective",
    "Normal": "paretune.beliefs",
    "Objective": "paretune.objective",
    "Optimizer": "paretune.optimizer",
    "Space": "paretune.space",
    "Study": "paretune.flow",
    "TPE": "paretune.algorithms._tpe.settings",
    "load": "paretune.flow",
    "search": "paretune.flow",
}

__all__ = [
    "CMAES",
    "GP",
    "TPE",
    "Choice",
    "Evolution",
    "Float",
    "Grid",
    "Int",
    "Limit",
    "Normal",
    "Objective",
    "Optimizer",
    "Space",
    "Study",
    "errors",
    "load",
    "search",
]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("paretune.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'paretune' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
