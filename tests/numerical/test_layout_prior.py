"""What is known of layouts beforehand: the figures at every legal point, believed where results bear them out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import paretune as pt
from paretune import study
from paretune.algorithms._gp.analytic import MIXTURES, expectations, memory_shares
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.feasibility import Feasibility
from paretune.algorithms._gp.memory import Memory, Shares
from paretune.algorithms._gp.transfer import lessons_of, priors
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
    assert memory_shares(plain) is None


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


LIMIT = 0.25


def held(config: Config, layout: Layout) -> float:
    """An invented machine's memory."""
    return layout.states_share() + int(config["size"] or 0) / 256 * layout.activations_share()


def known_shares() -> tuple[Encoding, Shares]:
    encoding = Encoding(SPEC.space)
    shares = memory_shares(encoding)
    assert shares is not None
    return encoding, shares


def test_failures_for_want_of_memory_tell_of_layouts_that_were_not_tried() -> None:
    """Out of 12 trials; those that would fail are told from those that would not better than without the figures."""
    encoding, gains = Encoding(SPEC.space), []
    for seed in range(6):
        tried, others = drawn(12, seed=seed), drawn(300, seed=100 + seed)
        X_nf, X_tf = (encoding.features(configs) for configs, _ in (tried, others))
        well_n, well_t = (
            np.array([held(*each) < LIMIT for each in zip(*part, strict=True)]) for part in (tried, others)
        )
        right = []
        for shares in (memory_shares(encoding), None):
            model = Feasibility(X_nf, well_n, dimensions=len(SPEC.space), shares=shares)
            likely_t = model.log_probability(torch.from_numpy(X_tf)).numpy() > np.log(0.5)
            right.append(float((likely_t == well_t).mean()))
        gains.append(right[0] - right[1])
    assert np.mean(gains) > 0.05


def test_what_needs_more_than_a_layout_that_failed_is_hopeless_and_what_needs_less_is_not() -> None:
    encoding, shares = known_shares()
    configs, _ = drawn(60, seed=4)
    X_nf = encoding.features(configs)
    states_n, activations_n = shares(torch.from_numpy(X_nf))
    order = np.argsort(states_n + activations_n)
    small, failed = order[10], order[40]  # the first three fit, the fourth does not
    tried = np.array([*order[:2], small, failed])
    memory = Memory(shares, X_nf[tried], np.array([True, True, True, False]))
    assert memory.explained_n.tolist() == [False, False, False, True]
    enough_n = memory.log_probability(torch.from_numpy(X_nf)).exp().numpy()
    worse_n = (states_n >= states_n[failed]) & (activations_n >= activations_n[failed])
    better_n = (states_n <= states_n[small]) & (activations_n <= activations_n[small])
    assert min(worse_n.sum(), better_n.sum()) > 1
    assert enough_n[worse_n].max() < 0.4 < 0.9 < enough_n[better_n].min()


def test_failures_that_memory_does_not_explain_are_left_to_the_other_model() -> None:
    """High learning rates, whatever the layout."""
    encoding, shares = known_shares()
    configs, _ = drawn(40, seed=5)
    X_nf = encoding.features(configs)
    rates_n = np.array([float(config["lr"] or 0) for config in configs])
    well_n = rates_n < np.quantile(rates_n, 0.7)
    assert Memory(shares, X_nf, well_n).explained_n.sum() <= 2
    model = Feasibility(X_nf, well_n, dimensions=len(SPEC.space), shares=shares)
    likely_n = model.log_probability(torch.from_numpy(X_nf)).numpy() > np.log(0.5)
    assert (likely_n == well_n).mean() > 0.9


def test_thousands_of_failures_by_chance_are_not_taken_for_want_of_memory() -> None:
    encoding, shares = known_shares()
    X_nf = np.tile(encoding.features(drawn(100, seed=6)[0]), (30, 1))
    memory = Memory(shares, X_nf, np.random.default_rng(0).random(len(X_nf)) < 0.5)
    assert not memory.explained_n.any()
    assert memory.log_probability(torch.from_numpy(X_nf)).abs().max() < 1e-6


def test_the_start_of_a_search_passes_over_layouts_that_cannot_fit() -> None:
    """Once one has failed: fewer of the first five are lost than where the search knows no layouts."""
    lost = {}
    for known in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not known:
                patch.setattr("paretune.algorithms._gp.knowledge.memory_shares", lambda encoding: None)
            lost[known] = sum(lost_at_start(seed) for seed in range(8))
    assert lost[True] < lost[False]


def lost_at_start(seed: int) -> int:
    assert SPEC.layout is not None
    search, lost = pt.Optimizer(SPEC.space, {"tokens_per_s": "maximize"}, seed=seed), 0
    for _ in range(5):
        suggestion = search.ask()
        layout = SPEC.layout.layout(suggestion.config)
        if held(suggestion.config, layout) < LIMIT:
            search.tell(suggestion, {"tokens_per_s": layout.efficiency()})
        else:
            search.tell(suggestion, status="failed")
            lost += 1
    return lost
