"""What may be set about Gaussian-process optimisation. Imports no torch: a spec is checked with it."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from paretune.algorithms._settings import Settings

Kernel: TypeAlias = Literal["matern52", "matern32", "rbf"]
Acquisition: TypeAlias = Literal["log_ei", "log_pi", "ucb", "thompson", "max_value_entropy", "knowledge_gradient"]


class GP(Settings):
    """Gaussian-process Bayesian optimisation; every field left out is chosen automatically.

    `initial` is how many trials the space-filling start has, the default configuration included (5). `belief` is how
    much the priors of parameters weigh: they enter with the power `belief` / results (piBO's beta; 10 is the paper's).
    `acquisition` is noisy expected improvement, of the hypervolume with several objectives, unless it is set; the
    others are for one objective. `kernel` is how smooth outcomes are: `matern32` bends sharply, `rbf` has no edges.
    With `input_warping` numbers are bent where that explains the results better. `replicate` is the share of the trials
    at most that try a promising configuration again where results are noisy; 0 for never. `cost_aware` weighs what is
    expected of a configuration against the worker-seconds that it takes. Where trials may be cut short, every
    `whole`-th one is not, and comes from a model of whole trainings; 0 for none, 1 for all.
    `batch` is how several suggestions that are asked for at once (`opt.ask(n=8)`) come about: one after the other, each
    given those before it, or as a `joint` optimum, up to eight at a time; of expected improvement, with up to four
    objectives.
    """

    algorithm: ClassVar[str] = "gp"

    initial: int | None = Field(default=None, ge=1)
    acquisition: Acquisition | None = None
    kernel: Kernel = "matern52"
    input_warping: bool = False
    belief: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    replicate: float = Field(default=0.2, ge=0, lt=1)
    cost_aware: bool = False
    whole: int = Field(default=2, ge=0)
    batch: Literal["sequential", "joint"] = "sequential"
