"""What every algorithm owes its users; a new file in `algorithms/` is tested without being named here."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from random_spaces import history, observed, spaces, suggested

import paretune as pt
from paretune import algorithms, study
from paretune.algorithms import Algorithm, Problem
from paretune.earlier import Source
from paretune.errors import AlgorithmError
from paretune.objective import Objectives
from paretune.records import Observation, Proposal, Suggestion
from paretune.settings import AlgorithmSpec
from paretune.space import Choice, Float, Int, Space

ONE = Objectives.from_dict({"error": "minimize"})
TWO = Objectives.from_dict({"error": "minimize", "speed": "maximize"})
MIXED = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Int(2, 12),
        "optimizer": Choice(["adamw", "sgd", "lion"]),
        "momentum": Float(0.5, 0.99, when={"optimizer": "sgd"}),
        "nesterov": Choice([True, False], when={"optimizer": ["sgd", "lion"]}),
    }
)
PLANE = Space({"x": Float(0, 1), "y": Float(0, 1)})

# What `auto` hands on is tested under the other algorithms' names: in full only with the slow tests.
NAMES = [pytest.param(name, marks=[pytest.mark.slow] if name == "auto" else []) for name in algorithms.names()]
pytestmark = pytest.mark.parametrize("name", NAMES)


def create(name: str, space: Space, objectives: Objectives, *, seed: int) -> Algorithm:
    """The algorithm; the test is skipped where it says that it does not serve such a problem."""
    try:
        return algorithms.create(name, Problem(space=space, objectives=objectives, seed=seed))
    except AlgorithmError as refusal:
        return pytest.skip(refusal.message)


def ask(
    algorithm: Algorithm,
    past: list[Observation],
    pending: list[Suggestion] | None = None,
    *,
    n: int = 1,
    seed: int = 0,
    first_id: int = 100,
) -> list[Proposal]:
    suggestions = algorithms.propose(
        algorithm,
        name="test",
        history=past,
        pending=pending or [],
        n=n,
        seed=seed,
        first_id=first_id,
        history_position=len(past),
    )
    return [suggestion.proposal for suggestion in suggestions]


@pytest.mark.parametrize("space", [PLANE, MIXED], ids=["plane", "mixed"])
def test_one_objective_over_an_ordinary_space_is_served(name: str, space: Space) -> None:
    problem = Problem(space=space, objectives=ONE)
    (proposal,) = ask(algorithms.create(name, problem), history(space, ONE, 20))
    space.check(proposal.config)


def test_what_is_not_served_is_refused_with_a_way_out(name: str) -> None:
    letters = Space({letter: Choice(list(range(50))) for letter in "abcd"})  # no order, no end
    for space, objectives in ((letters, ONE), (PLANE, TWO)):
        refusal = _refusal(name, Problem(space=space, objectives=objectives))
        assert refusal is None or (refusal.message.startswith(f"algorithm: {name}: ") and refusal.hint)


def _refusal(name: str, problem: Problem) -> AlgorithmError | None:
    try:
        algorithms.create(name, problem)
    except AlgorithmError as refusal:
        return refusal
    return None


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(space=spaces(), seed=st.integers(0, 1000), waiting=st.integers(0, 2))
def test_every_configuration_is_legal(name: str, space: Space, seed: int, waiting: int) -> None:
    past = history(space, ONE, 2 * len(space) + 5, seed=seed)
    pending = [suggested(50 + i, space.decode(np.full(len(space), i / 2))) for i in range(waiting)]
    try:
        algorithm = algorithms.create(name, Problem(space=space, objectives=ONE, seed=seed))
    except AlgorithmError:
        reject()
    for proposal in ask(algorithm, past, pending, n=2, seed=seed):
        space.check(proposal.config)


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
@pytest.mark.parametrize("n", [0, 16])
def test_equal_arguments_give_equal_bits(name: str, objectives: Objectives, n: int) -> None:
    past = history(MIXED, objectives, n)
    fresh = create(name, MIXED, objectives, seed=3)
    used = create(name, MIXED, objectives, seed=3)
    ask(used, history(MIXED, objectives, 13, seed=9), seed=5)
    expected = ask(fresh, past, n=2)
    assert ask(used, past, n=2) == expected, "what was asked before must not matter"
    assert ask(pickle.loads(pickle.dumps(used)), past, n=2) == expected
    assert ask(used, past, n=2) == expected


def test_a_batch_is_what_single_asks_would_have_been(name: str) -> None:
    past = history(PLANE, ONE, 8)
    algorithm = create(name, PLANE, ONE, seed=0)
    batch = ask(algorithm, past, n=3)
    pending: list[Suggestion] = []
    for i, expected in enumerate(batch):
        (single,) = ask(algorithm, past, pending, first_id=100 + i)
        assert single == expected
        pending.append(suggested(100 + i, single.config))
    assert len({PLANE.key(proposal.config) for proposal in batch}) == 3


def test_the_suggestion_number_and_the_seed_matter(name: str) -> None:
    past = history(PLANE, ONE, 8)
    configs = [ask(create(name, PLANE, ONE, seed=seed), past, seed=seed)[0].config for seed in (0, 1, 2)]
    assert len({PLANE.key(config) for config in configs}) == 3


@pytest.mark.parametrize("n", [0, 12])
def test_nothing_global_is_changed(name: str, n: int) -> None:
    algorithm = create(name, PLANE, TWO, seed=0)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    numbers, python = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002  # the legacy one is meant
    ask(algorithm, history(PLANE, TWO, n), n=2)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002
    assert random.getstate() == python


def test_the_default_configuration_comes_first_and_once(name: str) -> None:
    space = Space({"lr": Float(1e-5, 1e-1, log=True, default=1e-3), "layers": Int(2, 12)})
    algorithm = create(name, space, ONE, seed=0)
    first, second = ask(algorithm, [], n=2)
    assert first.config == space.default() == {"lr": 1e-3, "layers": 7}
    assert second.config != first.config
    assert ask(algorithm, [observed(1, first.config, status="failed")])[0].config != first.config


def test_a_small_space_is_used_up_before_anything_repeats(name: str) -> None:
    space = Space({"a": Choice(["x", "y"]), "b": Int(1, 4), "c": Choice([0, 1, 2], when={"a": "x"})})
    algorithm = create(name, space, ONE, seed=0)
    past: list[Observation] = []
    for number in range(1, 13):  # 4 * 3 with c, 4 without it: 16 in all
        (proposal,) = ask(algorithm, past, first_id=number)
        past.append(observed(number, proposal.config, {"error": float(proposal.config["b"] or 0)}))
    pending = [suggested(20 + i, p.config) for i, p in enumerate(ask(algorithm, past, n=4, first_id=20))]
    assert len({space.key(entry.config) for entry in [*past, *pending]}) == 16
    repeated = ask(algorithm, past, pending, n=2, first_id=40)
    for proposal in repeated:
        space.check(proposal.config)


def _degenerate() -> dict[str, list[Observation]]:
    rng = np.random.default_rng(0)
    configs = [MIXED.decode(rng.random(len(MIXED))) for _ in range(14)]

    def valued(values: list[float]) -> list[Observation]:
        return [observed(i, c, {"error": v, "speed": v}) for i, (c, v) in enumerate(zip(configs, values, strict=False))]

    noise = rng.random(14).tolist()
    return {
        "nothing": [],
        "one point": valued([1.0]),
        "one point again and again": [observed(i, configs[0], {"error": 1.0, "speed": v}) for i, v in enumerate(noise)],
        "all values equal": valued([0.3] * 14),
        "all values zero": valued([0.0] * 14),
        "all values equal but for rounding": valued([0.3 + 1e-16 * i for i in range(14)]),
        "values of 1e12": valued([1e12 * v for v in noise]),
        "values of 1e-12": valued([1e-12 * v for v in noise]),
        "values near the largest float": valued([1e308 * v for v in noise]),
        "one value explodes": valued([*noise[:13], 1e30]),
        "one value is far too good": valued([*noise[:13], -1e30]),
        "all failed": [observed(i, c, status="failed") for i, c in enumerate(configs)],
        "all diverged": [observed(i, c, {"error": 0.1}, "diverged") for i, c in enumerate(configs)],
        "one succeeded": [*valued([1.0]), *(observed(i, c, status="failed") for i, c in enumerate(configs[1:]))],
        "two succeeded": [*valued([1.0, 2.0]), *(observed(i, c, status="failed") for i, c in enumerate(configs[2:]))],
        "stopped early": [observed(i, c, {"error": 1.0 + i, "speed": 1.0}, "stopped") for i, c in enumerate(configs)],
    }


@pytest.mark.parametrize("case", sorted(_degenerate()))
@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
def test_degenerate_histories_neither_crash_nor_warn(name: str, objectives: Objectives, case: str) -> None:
    past = _degenerate()[case]
    pending = [suggested(90, MIXED.decode(np.full(len(MIXED), 0.9)))]
    (proposal,) = ask(create(name, MIXED, objectives, seed=0), past, pending)
    MIXED.check(proposal.config)
    for numbers in (proposal.mean, proposal.sd):
        assert numbers is None or np.all(np.isfinite(list(numbers.values())))


@pytest.mark.parametrize(
    "objectives",
    [
        {"a": {"goal": "minimize", "reference": 0.5}, "b": {"goal": "maximize", "reference": -0.5}},
        {"a": {"goal": "minimize", "limit": 0.2}, "b": "minimize"},
        {"a": {"goal": "minimize", "limit": -1.0}, "b": {"goal": "minimize", "reference": -1.0}},
        {"a": {"goal": "maximize", "limit": -0.2}},
        {"a": "minimize", "b": "maximize", "c": "minimize"},
    ],
    ids=["references", "limit", "nothing good enough", "one with limit", "three"],
)
def test_references_limits_and_many_objectives(name: str, objectives: dict[str, object]) -> None:
    built = Objectives.from_dict(objectives)
    (proposal,) = ask(create(name, PLANE, built, seed=0), history(PLANE, built, 10))
    PLANE.check(proposal.config)


@pytest.mark.parametrize("goals", [{"a": "minimize"}, {"a": "minimize", "b": "maximize"}], ids=["one", "two"])
@pytest.mark.parametrize("most", [0.3, -1.0], ids=["some within", "nothing within"])
def test_limits_on_metrics_that_are_no_objectives(name: str, goals: dict[str, str], most: float) -> None:
    built = Objectives.from_dict(goals, {"size": {"max": most}, "speed": {"min": -0.5, "max": 1.0}})
    (proposal,) = ask(create(name, PLANE, built, seed=0), history(PLANE, built, 12))
    PLANE.check(proposal.config)


def test_a_maximised_metric_is_a_minimised_one_turned_round(name: str) -> None:
    down, up = Objectives.from_dict({"score": "minimize"}), Objectives.from_dict({"score": "maximize"})
    past = history(PLANE, down, 9)
    turned = [observed(o.trial, o.config, {"score": -o.metrics["score"]}) for o in past]
    (a,) = ask(create(name, PLANE, down, seed=0), past)
    (b,) = ask(create(name, PLANE, up, seed=0), turned)
    assert a.config == b.config
    assert a.sd == b.sd
    assert (a.mean is None) == (b.mean is None)
    if a.mean is not None and b.mean is not None:
        assert a.mean["score"] == -b.mean["score"]


@pytest.mark.slow
def test_two_hundred_trials_follow_from_their_log(name: str) -> None:
    """An asynchronous study, four under way at all times, some failing; every suggestion is computed again alone."""
    try:
        opt = pt.Optimizer(MIXED, ONE, algorithm=name, seed=4)
    except AlgorithmError as refusal:
        pytest.skip(refusal.message)
    rng = np.random.default_rng(0)
    opt.ask(n=4)
    for _ in range(196):
        ended = opt.pending[rng.integers(4)]
        x_d = MIXED.encode(ended.config)
        failed = rng.random() < 0.1
        error = {"error": float(((x_d - 0.3) ** 2).sum())}
        opt.tell(ended, {} if failed else error, status="failed" if failed else None)
        opt.ask()
    for trial in opt.log.trials.values():
        before = opt.log.before(trial.suggestion.history_position)
        again = ask(
            create(name, MIXED, ONE, seed=4),
            list(before.history),
            [opt.log.trials[number].suggestion for number in trial.suggestion.pending],
            seed=4,
            first_id=trial.id,
        )
        assert again == [trial.suggestion.proposal]


# -- constraints, beliefs, configurations given first ------------------------------------------------------------------

CONSTRAINED = Space(
    {
        "batch": Int(8, 1024, step="power2"),
        "accumulate": Int(1, 64),
        "lr": Float(1e-5, 1.0, log=True, prior={"log10": -3, "sd": 0.5}),
        "optimizer": Choice(["adamw", "sgd"], prior={"adamw": 3}),
        "momentum": Float(0.0, 0.99, when={"optimizer": "sgd"}),
        "nesterov": Float(0.0, 1.0, when={"optimizer": "sgd"}),
    },
    ["batch * accumulate == 4096", "momentum + nesterov <= 0.2", "lr * batch <= 1"],
)


def legal_history(space: Space, n: int, *, seed: int = 0) -> list[Observation]:
    """n random legal configurations with smooth values."""
    rng = np.random.default_rng(seed)
    X_nd = space.legality.mended(rng.random((n, len(space))), rng)
    target_d = rng.random(len(space))
    return [
        observed(i, space.decode(x_d), {"error": float(((x_d - target_d) ** 2).sum())}) for i, x_d in enumerate(X_nd)
    ]


LAID_OUT = study.build(
    {
        "name": "laid-out",
        "trainable": "cnn",
        "objectives": {"error": "minimize"},
        "space": {"lr": Float(1e-5, 1.0, log=True), "batch": Int(16, 64, step="power2")},
        "layout": {
            "data": Choice([1, 2, 4, 8]),
            "pipeline": Choice([1, 2, 4, 8]),
            "microbatches": Int(2, 16, step="power2"),
            "schedule": Choice(["1f1b", "gpipe", "interleaved1f1b", "zerobubble"]),
            "shard": Choice(["ddp", "fsdp", "none"]),
            "stages_per_worker": Choice([2, 3]),
            "batch": "batch",
        },
        "train": {"workers": 8},
    },
    where="test",
).space


@pytest.mark.parametrize(("space", "n"), [(CONSTRAINED, 0), (CONSTRAINED, 14), (LAID_OUT, 0), (LAID_OUT, 14)])
def test_what_is_not_legal_is_never_proposed(name: str, space: Space, n: int) -> None:
    algorithm = create(name, space, ONE, seed=0)
    past = legal_history(space, n)
    for proposal in ask(algorithm, past, [suggested(50, past[0].config)] if past else [], n=4):
        space.check(proposal.config)


def test_a_sliver_of_the_cube_is_searched(name: str) -> None:
    space = Space({key: Float(0, 1) for key in "abcd"}, ["a + b + c + d <= 0.3", "b >= a"])
    past = legal_history(space, 12)
    proposals = ask(create(name, space, ONE, seed=0), past, n=3)
    assert len({space.key(proposal.config) for proposal in proposals}) == 3
    for proposal in proposals:
        space.check(proposal.config)


def test_the_legal_part_of_a_small_space_is_used_up_before_anything_repeats(name: str) -> None:
    space = Space(
        {"a": Int(1, 64), "b": Int(1, 64), "c": Choice(["x", "y"]), "d": Int(1, 3, when={"c": "x"})},
        ["a * b == 12", "d + a <= 5"],
    )
    legal = 6 + 3 + 3 + 2 + 1  # a in 1 2 3 4 6 12 with y; with x for each a the d up to 5 - a
    algorithm = create(name, space, ONE, seed=0)
    past: list[Observation] = []
    for number in range(legal - 3):
        (proposal,) = ask(algorithm, past, first_id=number)
        past.append(observed(number, proposal.config, {"error": float(proposal.config["a"] or 0)}))
    pending = [suggested(20 + i, p.config) for i, p in enumerate(ask(algorithm, past, n=3, first_id=20))]
    assert len({space.key(entry.config) for entry in [*past, *pending]}) == legal
    for proposal in ask(algorithm, past, pending, n=2, first_id=40):
        space.check(proposal.config)


def test_configurations_given_come_first_in_order_and_once(name: str) -> None:
    first = ({"lr": 1e-2, "layers": 3}, {"lr": 1e-3, "layers": 7}, {"lr": 1e-2, "layers": 3}, {"lr": 1e-4, "layers": 2})
    space = Space({"lr": Float(1e-5, 1e-1, log=True, default=1e-3), "layers": Int(2, 12)})
    algorithm = algorithms.create(name, Problem(space=space, objectives=ONE, first=first))
    proposals = ask(algorithm, [], n=5)
    assert [proposal.config for proposal in proposals[:3]] == [first[0], first[1], first[3]]
    assert [proposal.origin for proposal in proposals[:3]] == ["given first"] * 3
    assert len({space.key(proposal.config) for proposal in proposals}) == 5, "the default is one of them"
    past = [observed(0, first[0], status="failed")]
    pending = [suggested(1, first[1])]
    assert ask(pickle.loads(pickle.dumps(algorithm)), past, pending)[0].config == first[3]
    past = [observed(i, config, {"error": float(i)}) for i, config in enumerate(first)]
    plain = algorithms.create(name, Problem(space=space, objectives=ONE))
    assert ask(algorithm, past) == ask(plain, past), "once tried they change nothing"


def test_what_is_absent_never_matters(name: str) -> None:
    """Points of the cube that differ only where a parameter is absent are one history, and lead to one proposal."""
    rng = np.random.default_rng(4)
    X_nd = rng.random((16, len(MIXED)))
    names = list(MIXED)
    other_nd = X_nd.copy()
    for x_d in other_nd:
        absent = [i for i, key in enumerate(names) if key not in MIXED.decode(x_d)]
        x_d[absent] = rng.random(len(absent))
    assert not np.array_equal(X_nd, other_nd)
    pasts = [
        [observed(i, MIXED.decode(x_d), {"error": float(x_d[:3].sum())}) for i, x_d in enumerate(points_nd[:14])]
        for points_nd in (X_nd, other_nd)
    ]
    # the same values for both: those of the first three parameters, which are always there
    pending = [[suggested(90, MIXED.decode(points_nd[15]))] for points_nd in (X_nd, other_nd)]
    algorithm = create(name, MIXED, ONE, seed=0)
    assert ask(algorithm, pasts[0], pending[0], n=2) == ask(algorithm, pasts[1], pending[1], n=2)


def _learns(name: str) -> bool:
    """Whether an algorithm takes earlier studies."""
    try:
        algorithms.check(AlgorithmSpec(name=name), transfers=True)
    except AlgorithmError:
        return False
    return True


def _taught(objectives: Objectives, *, values: float = 1.0) -> Problem:
    """A problem with two earlier studies, one in other ranges, one of equal values."""
    wide = Space({"lr": Float(1e-6, 1.0, log=True), "layers": Int(1, 20), "other": Float(0, 1)})
    flat = [observed(i, MIXED.decode(np.full(5, i / 9)), {"error": values, "speed": values}) for i in range(10)]
    sources = (
        Source(name="a", space=wide, objectives=TWO, observations=tuple(history(wide, TWO, 20))),
        Source(name="b", space=MIXED, objectives=TWO, observations=tuple(flat)),
    )
    return Problem(space=MIXED, objectives=objectives, seed=0, sources=sources)


@pytest.mark.parametrize("objectives", [ONE, TWO], ids=["one", "two"])
def test_earlier_studies_are_learnt_from_or_refused(name: str, objectives: Objectives) -> None:
    problem = _taught(objectives)
    if not _learns(name):
        with pytest.raises(AlgorithmError, match="must be able to learn from earlier studies"):
            algorithms.create(name, problem)
        return
    fresh, used = algorithms.create(name, problem), algorithms.create(name, problem)
    ask(used, history(MIXED, objectives, 13, seed=9), seed=5)
    for n in (0, 4, 14):
        past = history(MIXED, objectives, n)
        expected = ask(fresh, past, n=2)
        for proposal in expected:
            MIXED.check(proposal.config)
        assert ask(used, past, n=2) == expected, "what was asked before must not matter"
        assert ask(pickle.loads(pickle.dumps(used)), past, n=2) == expected


@pytest.mark.parametrize("case", sorted(_degenerate()))
def test_degenerate_histories_with_earlier_studies_neither_crash_nor_warn(name: str, case: str) -> None:
    if _learns(name):  # the test before says what the others do
        (proposal,) = ask(algorithms.create(name, _taught(ONE, values=-1e300)), _degenerate()[case])
        MIXED.check(proposal.config)
