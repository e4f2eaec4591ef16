"""Who else is compared: each peer's environment (benchmarks/optimizers/install.sh), adapter and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.optimizers.harness.peers import Peer

ONE, SEVERAL = "one objective", "several objectives"
"""Groups of tasks."""


def _peer(name: str, adapter: str, environment: str, group: str = ONE, **options: Any) -> Peer:
    package = "benchmarks.fidelity.adapters"
    return Peer(name=name, package=package, adapter=adapter, environment=environment, options=options, groups=(group,))


PEERS: Mapping[str, Peer] = {
    peer.name: peer
    for peer in (
        _peer("syne-asha", "syne_tune", "syne", scheduler="asha"),
        _peer("syne-bohb", "syne_tune", "syne", scheduler="bohb"),
        _peer("syne-asha-cqr", "syne_tune", "syne", scheduler="asha-cqr"),
        _peer("syne-asha-bore", "syne_tune", "syne", scheduler="asha-bore"),
        _peer("syne-moasha", "syne_tune", "syne", SEVERAL, scheduler="moasha"),
        _peer("dehb", "dehb", "dehb"),
        _peer("smac-hyperband", "smac", "smac"),
        _peer("optuna-tpe-hyperband", "optuna", "optuna", pruner="hyperband"),
        _peer("optuna-tpe-asha", "optuna", "optuna", pruner="asha"),
    )
}
