"""Where in the unit cube the constraints hold, judged for many points at once, and points drawn from there.

Parameters that constraints join (and those their presence hangs on) form a *group*; groups are independent. The legal
combinations of a group with few values are listed. Of any other one a *pool* of legal points is kept, found by chance,
by descent where chance finds none, and spread by slice sampling; so points are drawn also where the legal part is tiny.

Legend: n points, d parameters, k parameters of one group; X_nd and X_nk coordinates of the unit cube.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from paretune.constraints import Constraint
from paretune.coordinates import INACTIVE, Column
from paretune.errors import SpaceError
from paretune.parameters import Config, Parameter, conditions
from paretune.slices import spread

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EXACT = 1e-13
"""What binary arithmetic leaves, and less than a configuration is allowed: points found here hold once rounded, too."""
_LISTED = 1 << 20  # combinations; going through them takes about 0.1 s, once
_DRAWS = 1 << 14  # to begin with; eight times as many where they find too few
_POOL = 256
_ENOUGH = 64
_FRESH = 4096  # points drawn before the pool is resorted to: enough for one in a legal part of a thousandth; 1 ms
_BLEND = 8  # slice steps from a point of the pool to one drawn


class Rule(Protocol):
    """Says which combinations of values are legal, where no inequality could: of discrete parameters, some absent."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters it looks at."""

    def refusal(self, config: Config) -> str | None:
        """Why a configuration is not legal; None where it is."""


class Legality:
    """The constraints and rules of one space; raises SpaceError where they leave no legal configuration."""

    def __init__(
        self, parameters: Mapping[str, Parameter], constraints: Sequence[Constraint], rules: Sequence[Rule] = ()
    ) -> None:
        columns = {name: Column(index, parameter) for index, (name, parameter) in enumerate(parameters.items())}
        self.groups = tuple(
            Group(
                {name: columns[name] for name in names},
                [constraint for constraint in constraints if constraint.names[0] in names],
                [rule for rule in rules if rule.names[0] in names],
            )
            for names in _joined(parameters, [*(c.names for c in constraints), *(rule.names for rule in rules)])
        )

    def mask(self, X_nd: Array) -> Mask:
        """Whether each point is legal, with less to spare on a boundary than a configuration has; shape (n,)."""
        legal_n = np.ones(len(X_nd), dtype=bool)
        for group in self.groups:
            legal_n &= group.mask(X_nd[:, group.places])
        return legal_n

    @property
    def share(self) -> float:
        """About how much of the cube is legal."""
        return math.prod(group.share for group in self.groups)

    def mended(self, X_nd: Array, rng: np.random.Generator) -> Array:
        """Legal points: `X_nd` with the coordinates of every group that breaks a constraint drawn anew."""
        X_nd = np.array(X_nd, dtype=np.float64)
        for group in self.groups:
            broken = np.flatnonzero(~group.mask(X_nd[:, group.places]))
            if len(broken):
                X_nd[broken[:, None], group.places] = group.draw(len(broken), rng)
        return X_nd

    def pulled(self, X_nd: Array, anchors_nd: Array) -> Array:
        """Legal points: every group that breaks a constraint is moved towards a legal anchor until it does not.

        Ends at the anchor's own coordinates where nothing between is legal; shapes (n, d).
        """
        X_nd = np.array(X_nd, dtype=np.float64)
        for group in self.groups:
            from_nk, to_nk = X_nd[:, group.places], anchors_nd[:, group.places]
            path_nk = from_nk.copy()
            for share in _TOWARDS:
                broken_n = ~group.mask(path_nk)
                if not broken_n.any():
                    break
                path_nk[broken_n] = from_nk[broken_n] + share * (to_nk[broken_n] - from_nk[broken_n])
            X_nd[:, group.places] = path_nk
        return X_nd


_TOWARDS = (1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Of the way to the anchor: what a gradient leaves beyond a boundary is tiny, what chance does is not."""


class Group:
    """Parameters that constraints join; `places` are their coordinates in the cube, in order; shape (k,).

    `listed` says that `pool_pk` holds every legal combination, else it holds a sample; `share` is about how much of the
    group's own cube is legal.
    """

    def __init__(
        self, columns: Mapping[str, Column], constraints: Sequence[Constraint], rules: Sequence[Rule] = ()
    ) -> None:
        self.names = tuple(columns)
        self.places = np.array([column.index for column in columns.values()])
        self._columns, self._constraints = columns, constraints
        self._tables = [_Table(rule, columns) for rule in rules]
        combinations = math.prod(column.parameter.cardinality for column in columns.values())
        self.listed = combinations <= _LISTED
        if self.listed:
            self.pool_pk, self._weight_p = self._list()
            self.share = float(self._weight_p.sum())
        else:
            self.pool_pk, self.share = self._sample(np.random.default_rng(0))
        if not len(self.pool_pk):
            tried = f"all {combinations:,.0f} combinations" if self.listed else f"{8 * _DRAWS:,} points and a descent"
            raise SpaceError(
                f"{_spelt(constraints, rules)}: must leave a legal configuration, found none in "
                f"{tried} of {', '.join(self.names)}",
                hint="loosen them, or widen the parameters they name",
            )

    def mask(self, X_nk: Array) -> Mask:
        """Whether each point is legal; shape (n,)."""
        values, active = self._read(X_nk)
        legal_n = np.ones(len(X_nk), dtype=bool)
        for constraint in self._constraints:
            with np.errstate(all="ignore"):  # what is not a number is not legal
                kept_n = constraint.kept(values, _EXACT)
            legal_n &= kept_n | ~_all(active[name] for name in constraint.names)
        for table in self._tables:
            legal_n &= table.mask(self._units(X_nk), active)
        return legal_n

    def draw(self, n: int, rng: np.random.Generator) -> Array:
        """Legal points, uniform over the legal part (nearly so where it is tiny); shape (n, k)."""
        if self.listed:
            edge_p = np.cumsum(self._weight_p)
            rows = np.searchsorted(edge_p, rng.random(n) * edge_p[-1], side="right")
            return np.array(self.pool_pk[np.minimum(rows, len(edge_p) - 1)])
        X_nk = rng.random((_FRESH, len(self.places)))
        X_nk = X_nk[self.mask(X_nk)][:n]
        if len(X_nk) == n:
            return X_nk
        start_pk = self.pool_pk[rng.integers(len(self.pool_pk), size=n - len(X_nk))]
        return np.concatenate([X_nk, spread(start_pk, self.mask, _BLEND, rng)])

    # -- the pool --------------------------------------------------------------------------------------------------

    def _list(self) -> tuple[Array, Array]:
        """All legal combinations, and how much of the group's cube each one has."""
        axes = [column.units() for column in self._columns.values()]
        X_nk = np.stack(np.meshgrid(*(units for units, _ in axes), indexing="ij"), -1).reshape(-1, len(axes))
        weight_n = np.prod(np.meshgrid(*(widths for _, widths in axes), indexing="ij"), axis=0).ravel()
        legal_n = self.mask(X_nk)
        X_pk, weight_p = X_nk[legal_n], weight_n[legal_n]
        _, active = self._read(X_pk)
        for place, name in enumerate(self.names):
            X_pk[~active[name], place] = INACTIVE
        X_pk, row_n = np.unique(X_pk, axis=0, return_inverse=True)
        return X_pk, np.asarray(np.bincount(row_n.ravel(), weights=weight_p, minlength=len(X_pk)), dtype=np.float64)

    def _sample(self, rng: np.random.Generator) -> tuple[Array, float]:
        """A pool of legal points and the share of draws that were."""
        k = len(self.places)
        X_nk = rng.random((_DRAWS, k))
        found_pk, drawn = X_nk[self.mask(X_nk)], _DRAWS
        if len(found_pk) < _ENOUGH:
            X_nk = rng.random((8 * _DRAWS, k))
            found_pk, drawn = X_nk[self.mask(X_nk)], 8 * _DRAWS
        share = max(len(found_pk), 1) / drawn
        if not len(found_pk):
            found_pk = self._descend(X_nk, rng)
        if 0 < len(found_pk) < _ENOUGH:
            start_pk = found_pk[rng.integers(len(found_pk), size=_POOL)]
            found_pk = spread(start_pk, self.mask, 4 * _BLEND, rng)
        return found_pk[:_POOL], share

    def _descend(self, X_nk: Array, rng: np.random.Generator) -> Array:
        """The first legal point met by random steps that break the constraints less and less; shape (0 or 1, k)."""
        order = np.argsort(self._broken(X_nk), kind="stable")
        for x_k in X_nk[order[:8]]:
            best_k, least = x_k, float(self._broken(x_k[None])[0])
            for _ in range(200):
                reach_t1 = 10.0 ** rng.uniform(-5, 0, size=(64, 1))
                moves_tk = rng.standard_normal((64, len(x_k))) * reach_t1 * (rng.random((64, len(x_k))) < 0.5)
                near_tk = np.clip(best_k + moves_tk, 0.0, 1.0)
                broken_t = self._broken(near_tk)
                if broken_t.min() < least:
                    best_k, least = near_tk[np.argmin(broken_t)], float(broken_t.min())
                if self.mask(best_k[None])[0]:
                    return np.array(best_k[None])
        return np.empty((0, X_nk.shape[1]))

    def _broken(self, X_nk: Array) -> Array:
        """How much the constraints are broken in all, each relative to the numbers it compares; shape (n,)."""
        values, active = self._read(X_nk)
        broken_n = np.zeros(len(X_nk))
        for constraint in self._constraints:
            with np.errstate(all="ignore"):
                relative_n = np.nan_to_num(constraint.excess(values) / constraint.size(values), nan=1.0)
            broken_n += np.where(_all(active[name] for name in constraint.names), np.maximum(relative_n, 0.0), 0.0)
        for table in self._tables:
            broken_n += ~table.mask(self._units(X_nk), active)
        return broken_n

    def _read(self, X_nk: Array) -> tuple[dict[str, Array], dict[str, Mask]]:
        """The values of the group's numbers, and whether each of its parameters is there."""
        units = self._units(X_nk)
        active: dict[str, Mask] = {}
        for name, column in self._columns.items():
            needed = [
                active[parent] & self._columns[parent].equals(units[parent], wanted)
                for parent, wanted in conditions(column.parameter).items()
            ]
            active[name] = _all([np.ones(len(X_nk), dtype=bool), *needed])
        constrained = {name for constraint in self._constraints for name in constraint.names}
        return {name: self._columns[name].values(units[name]) for name in self.names if name in constrained}, active

    def _units(self, X_nk: Array) -> dict[str, Array]:
        """The coordinates by name."""
        return dict(zip(self.names, X_nk.T, strict=True))


class _Table:
    """What a rule says of each combination of values that was met: it is asked once."""

    def __init__(self, rule: Rule, columns: Mapping[str, Column]) -> None:
        self._rule, self._columns = rule, {name: columns[name] for name in rule.names}
        self._legal: dict[tuple[int, ...], bool] = {}

    def mask(self, units: Mapping[str, Array], active: Mapping[str, Mask]) -> Mask:
        """Whether each point is legal; shape (n,)."""
        bins = [np.where(active[name], column.bins(units[name]), -1) for name, column in self._columns.items()]
        rows_nk, row_n = np.unique(np.stack(bins, axis=-1), axis=0, return_inverse=True)
        return np.array([self._allows(tuple(row)) for row in rows_nk.tolist()], dtype=bool)[row_n.ravel()]

    def _allows(self, row: tuple[int, ...]) -> bool:
        if row not in self._legal:
            config = {
                name: column.at(number)
                for (name, column), number in zip(self._columns.items(), row, strict=True)
                if number >= 0
            }
            self._legal[row] = self._rule.refusal(config) is None
        return self._legal[row]


def _joined(parameters: Mapping[str, Parameter], together: Sequence[tuple[str, ...]]) -> list[list[str]]:
    """The names of each group, in the order of the space; `together` are those that one constraint or rule names."""
    groups: list[set[str]] = []
    for joined in together:
        names = with_parents(joined, parameters)
        for group in [group for group in groups if group & names]:
            groups.remove(group)
            names |= group
        groups.append(names)
    return [[name for name in parameters if name in names] for names in groups]


def with_parents(names: Iterable[str], parameters: Mapping[str, Parameter]) -> set[str]:
    """The names, and those of the parameters that their presence hangs on."""
    found, stack = set[str](), list(names)
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(parameters[name].when)
    return found


def _spelt(constraints: Sequence[Constraint], rules: Sequence[Rule]) -> str:
    named = [f"what is legal of {', '.join(rule.names)}" for rule in rules]
    return f"constraints {'; '.join([*map(str, constraints), *named])}"


def _all(masks: Iterable[Mask]) -> Mask:
    return np.asarray(np.logical_and.reduce(list(masks)))
