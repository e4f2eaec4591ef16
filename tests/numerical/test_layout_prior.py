"""What is known of layouts beforehand: the figures at every legal point, believed where results bear them out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from paretune import study
from paretune.algorithms._gp.analytic import MIXTURES, expectations, of_failures
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.transfer import Lessons, lessons_of, priors
from paretune.layouts import LayoutSpec
from paretune.objective import Objectives
from paretune.space import Config, Space
from paretune.train import Layout

AIMS = Objectives.from_dict({"loss": "minimize", "tokens_per_s": "maximize"}).with_limits(
    {"peak_memory_mb": {"max": 9}}
)
SPEC = study.build(
    {
        "name": "laid-out",
        "trainable": "cnn",
        "objectives": {"loss": "minimize"},
        "space": {
            "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
            "size": {"type": "int", "low": 64, "high": 256, "step": "power2"},
        },
        "layout": {
            "pipeline": {"type": "choice", "options": [1, 2, 4, 8]},
            "microbatches": {"type": "int", "low": 2, "high": 32, "step": "power2"},
            "schedule": {"type": "choice", "options": ["gpipe", "1f1b", "interleaved1f1b"]},
            "stages_per_worker": {"type": "choice", "options": [2, 4], "ordered": True},
            "shard": {"type": "choice", "options": ["ddp", "fsdp"]},
            "activation_checkpointing": {"type": "choice", "options": [False, True]},
            "batch": "size",
        },
        "train": {"workers": 8},
    },
    where="test",
)


def drawn(n: int, *, seed: int) -> tuple[list[Config], list[Layout]]:
    """n legal configurations and their layouts."""
    rng = np.random.default_rng(seed)
    X_nd = SPEC.space.legality.mended(rng.random((n, len(SPEC.space))), rng)
    configs = [SPEC.space.decode(x_d) for x_d in X_nd]
    assert isinstance(SPEC.layout, LayoutSpec)
    return configs, [SPEC.layout.layout(config) for config in configs]


def speeds(layouts: list[Layout]) -> np.ndarray:
    return np.array([-1e4 * layout.efficiency() for layout in layouts])[:, None]


def test_the_means_are_the_figures_of_each_configuration() -> None:
    encoding = Encoding(SPEC.space)
    configs, layouts = drawn(400, seed=0)
    X = torch.from_numpy(encoding.features(configs))
    means = expectations(AIMS, encoding)
    assert [[mean is not None for mean in of_source] for of_source in means.values()] == [
        [False, True, False],
        *([[False, False, True]] * len(MIXTURES)),
    ]
    (_, speed, _), *memories = means.values()
    assert speed is not None
    np.testing.assert_allclose(speed(X).numpy(), [-layout.efficiency() for layout in layouts])
    for share, (_, _, memory) in zip(MIXTURES, memories, strict=True):
        assert memory is not None
        expected = [
            (1 - share) * layout.states_share() + share * int(config["size"] or 0) / 256 * layout.activations_share()
            for config, layout in zip(configs, layouts, strict=True)
        ]
        np.testing.assert_allclose(memory(X).numpy(), expected)


def test_where_no_layout_is_searched_nothing_is_known() -> None:
    plain = Encoding(Space({name: SPEC.space[name] for name in ("lr", "size")}))
    assert lessons_of((), AIMS, plain).means == ()
    assert of_failures(plain) == {}


@pytest.mark.parametrize(("truth", "believed"), [("as known", True), ("the other way", False), ("chance", False)])
def test_figures_are_believed_where_results_bear_them_out(truth: str, believed: bool) -> None:
    encoding = Encoding(SPEC.space)
    configs, layouts = drawn(14, seed=1)
    y_n1, rng = speeds(layouts), np.random.default_rng(2)
    Y_n1 = {"as known": y_n1, "the other way": -y_n1, "chance": rng.permutation(y_n1)}[truth]
    Y_n1 = Y_n1 * rng.normal(1, 0.02, size=Y_n1.shape)
    only = Objectives.from_dict({"tokens_per_s": "maximize"})
    (prior,) = priors(
        encoding.features(configs), Y_n1, dimensions=len(SPEC.space), keep_m=np.full(1, np.nan),
        lessons=lessons_of((), only, encoding),
    )  # fmt: skip
    assert (prior is not None) == believed
    if prior is not None:
        others, laid_out = drawn(100, seed=3)
        expected_t = prior(torch.from_numpy(encoding.features(others))).detach().numpy()
        assert np.corrcoef(expected_t, speeds(laid_out)[:, 0])[0, 1] > 0.99


def test_failures_for_want_of_memory_tell_of_layouts_that_were_not_tried() -> None:
    """Out of 12 trials; those that would fail are told from those that would not better than without the figures."""
    encoding = Encoding(SPEC.space)

    def well(configs: list[Config], layouts: list[Layout]) -> np.ndarray:
        sizes = [int(config["size"] or 0) / 256 for config in configs]
        held = [
            layout.states_share() + size * layout.activations_share()
            for size, layout in zip(sizes, layouts, strict=True)
        ]
        return np.array(held) < 0.4

    gains = []
    for seed in range(6):
        configs, layouts = drawn(12, seed=seed)
        others, untried = drawn(300, seed=100 + seed)
        found = of_failures(encoding)
        right = []
        for lessons in (Lessons(tuple(found), tuple(found.values())), Lessons()):
            model = Feasibility(
                encoding.features(configs), well(configs, layouts), dimensions=len(SPEC.space), lessons=lessons
            )
            likely_t = model.log_probability(torch.from_numpy(encoding.features(others))).numpy() > np.log(0.5)
            right.append(float((likely_t == well(others, untried)).mean()))
        gains.append(right[0] - right[1])
    assert np.mean(gains) > 0
