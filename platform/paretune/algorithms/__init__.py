"""Search algorithms, one file each: the file's name is the algorithm's, its one public class the algorithm.

Adding an algorithm is adding a file; `names`, `create` and the conformance suite find it there. Files whose names
begin with an underscore are parts of algorithms.
"""

from __future__ import annotations

from paretune.algorithms._base import Algorithm, Problem
from paretune.algorithms._discovery import check, create, names
from paretune.algorithms._kernel import kernel_of
from paretune.algorithms._problem import problem_of
from paretune.algorithms._propose import propose
from paretune.algorithms._regret import bound_regret
from paretune.algorithms._settings import Settings

__all__ = [
    "Algorithm",
    "Problem",
    "Settings",
    "bound_regret",
    "check",
    "create",
    "kernel_of",
    "names",
    "problem_of",
    "propose",
]
