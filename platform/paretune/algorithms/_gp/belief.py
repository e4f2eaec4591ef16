"""What the user believes, as a term of the acquisition that fades with the results.

piBO (Hvarfner et al., 2022, arXiv:2204.11051, equation 6): alpha(x) pi(x)^(beta / n) after n results; here of the
logarithms. Gradients flow through the density of what is continuous.

Legend: t points, f columns; X_tf model inputs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._gp.encoding import Column, Encoding
from paretune.coordinates import Column as Coordinate
from paretune.parameters import conditions
from paretune.prior import believed, log_density, option_log_densities
from paretune.space import Choice

Array = npt.NDArray[np.float64]


class Belief:
    """beta / n times the log density of what is believed; absent parameters add nothing."""

    def __init__(self, encoding: Encoding, *, beta: float, results: int) -> None:
        self._columns = {column.name: column for column in encoding.columns}
        self._power = beta / max(results, 1)

    def __call__(self, X_tf: torch.Tensor) -> torch.Tensor:
        """The term of each point; shape (t,), from points of shape (t, f)."""
        total_t = torch.zeros(len(X_tf), dtype=torch.double)
        present: dict[str, torch.Tensor] = {}
        for name, column in self._columns.items():
            present[name] = self._present(column, X_tf, present)
            if column.parameter.prior is not None:
                total_t = total_t + torch.where(present[name], _log_density(column, X_tf), 0.0)
        return self._power * total_t

    def _present(self, column: Column, X_tf: torch.Tensor, present: dict[str, torch.Tensor]) -> torch.Tensor:
        """Whether a parameter is there, from the columns of those it depends on."""
        there_t = torch.ones(len(X_tf), dtype=torch.bool)
        for parent, wanted in conditions(column.parameter).items():
            above = self._columns[parent]
            there_t &= present[parent]
            there_t &= torch.from_numpy(Coordinate(above.index, above.parameter).equals(_units(above, X_tf), wanted))
        return there_t


def belief(encoding: Encoding, *, beta: float, results: int) -> Belief | None:
    """The term for a space, where anything is believed."""
    return Belief(encoding, beta=beta, results=results) if believed(encoding.space) and beta > 0 else None


def _log_density(column: Column, X_tf: torch.Tensor) -> torch.Tensor:
    """Of one parameter; shape (t,)."""
    parameter = column.parameter
    if isinstance(parameter, Choice):
        bins_t = Coordinate(column.index, parameter).bins(_units(column, X_tf))
        return torch.from_numpy(option_log_densities(parameter)[bins_t])
    density_t: torch.Tensor = log_density(parameter, X_tf[:, column.start], torch)
    return density_t


def _units(column: Column, X_tf: torch.Tensor) -> Array:
    """Coordinates in the cube from model inputs, of parameters that no gradient moves; shape (t,)."""
    X_tw = X_tf[:, column.start : column.start + column.width].detach().numpy()
    if isinstance(column.parameter, Choice) and not column.parameter.ordered:
        option_t = X_tw[:, 0] if column.width == 1 else X_tw.argmax(axis=1)
        return (option_t + 0.5) / len(column.parameter.options)
    return np.asarray(X_tw[:, 0])
