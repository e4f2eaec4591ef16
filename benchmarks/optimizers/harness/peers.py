"""Who is compared: each peer's environment, adapter and options.

A peer is named `paretune` or, with options that differ from those here, `paretune:algorithm=sobol:key=value`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]

SINGLE = ("ml", "synthetic", "noisy", "conditional", "many_dimensions")
MULTI = ("multi_objective",)
ALL = (*SINGLE, *MULTI, "constrained")
WITHOUT_MULTI = (*SINGLE, "constrained")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """`environment` is a folder under PARETUNE_PEERS, or empty: the harness's own interpreter."""

    name: str
    adapter: str
    package: str = "benchmarks.optimizers.adapters"
    environment: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ALL
    quick: bool = False

    @property
    def python(self) -> Path:
        """The interpreter that runs the adapter; for paretune PARETUNE_PYTHON, by default this one."""
        if self.environment:
            return peers_folder() / self.environment / "bin" / "python"
        return Path(os.environ.get("PARETUNE_PYTHON", sys.executable))

    @property
    def search_path(self) -> list[Path]:
        """What the adapter imports from besides its environment."""
        return [ROOT, checkout() / "platform"] if self.adapter == "paretune" else [ROOT]


def peers_folder() -> Path:
    return Path(os.environ.get("PARETUNE_PEERS", "~/.cache/paretune/peers")).expanduser()


def checkout() -> Path:
    """The paretune that is measured: PARETUNE_CHECKOUT, by default this repository."""
    return Path(os.environ.get("PARETUNE_CHECKOUT", ROOT)).resolve()


def checkout_commit() -> str:
    """The commit of the checkout, with a + when files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", checkout(), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "platform") else "")


def version(peer: Peer, reported: str) -> str:
    """The version that the adapter reports; paretune's with the commit of its checkout."""
    return f"{reported} {checkout_commit()}" if peer.adapter == "paretune" else reported


_PEERS = (
    Peer(name="paretune", adapter="paretune", groups=(*ALL, "transfer")),
    Peer(name="random", adapter="random", environment="optuna", quick=True),
    Peer(name="sobol", adapter="sobol", environment="optuna", quick=True),
    Peer(name="optuna-tpe", adapter="optuna", environment="optuna", options={"sampler": "tpe"}, quick=True),
    Peer(name="optuna-tpe-mv", adapter="optuna", environment="optuna", options={"sampler": "tpe-mv"}, quick=True),
    Peer(name="optuna-gp", adapter="optuna", environment="optuna", options={"sampler": "gp"}),
    Peer(name="optuna-nsga2", adapter="optuna", environment="optuna", options={"sampler": "nsga2"}, groups=MULTI),
    Peer(name="nevergrad", adapter="nevergrad", environment="misc", quick=True),
    Peer(name="skopt", adapter="skopt", environment="misc", groups=WITHOUT_MULTI),
    Peer(name="ax", adapter="ax", environment="ax"),
    Peer(name="hebo", adapter="hebo", environment="hebo", groups=WITHOUT_MULTI),
    Peer(name="smac", adapter="smac", environment="smac"),
    Peer(name="syne-tune", adapter="syne_tune", environment="syne"),
    Peer(name="vizier", adapter="vizier", environment="vizier"),
)

PEERS = {peer.name: peer for peer in _PEERS}


def find(label: str) -> Peer:
    """The peer of a label; its options override those in the table and its `name` is the whole label."""
    name, *settings = label.split(":")
    if name not in PEERS:
        raise ValueError(f"peer: must be one of {', '.join(PEERS)}, got {name!r}")
    given = dict(setting.split("=", 1) for setting in settings)
    options = {**PEERS[name].options, **{key: _parsed(value) for key, value in given.items()}}
    return replace(PEERS[name], name=label, options=options)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
