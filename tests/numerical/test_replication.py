"""Trying a configuration again: when that is worth more than a new one, and that it never is without noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import paretune as pt
from paretune import algorithms
from paretune.algorithms import Problem
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.knowledge import Knowledge, learn
from paretune.algorithms._gp.replication import gains, is_noisy, may_repeat, repeated
from paretune.objective import Objectives
from paretune.records import Observation
from paretune.settings import AlgorithmSpec
from paretune.space import Space

LINE = Space.from_dict({"x": pt.Float(0, 1)})
ONE = Objectives.from_dict({"error": "minimize"})
TWO = Objectives.from_dict({"error": "minimize", "cost": "minimize"})


def seen(x: float, trial: int = 0, **metrics: float) -> Observation:
    return Observation(trial=trial, config={"x": x}, status="completed", resource=1.0, metrics=metrics)


def bowl(*, noise: float, n: int = 20, objectives: Objectives = ONE) -> Knowledge:
    rng = np.random.default_rng(0)
    history = [
        seen(x, error=(x - 0.3) ** 2 + noise * rng.normal(), cost=(x - 0.6) ** 2 + noise * rng.normal())
        for x in np.linspace(0, 1, n).tolist()
    ]
    return learn(history, objectives, Encoding(LINE))


def test_the_gain_is_what_many_draws_of_a_result_give() -> None:
    """The knowledge gradient by its definition: draw a result, condition on it, look at the best mean."""
    knowledge = bowl(noise=0.1)
    candidate_f = np.array([0.43])
    posterior, noise_k = knowledge.model.posteriors[0], knowledge.model.noises[0]
    X_cf = torch.from_numpy(np.concatenate([knowledge.leaders_bf, candidate_f[None]]))
    mean_kc = posterior(X_cf)[0][..., 0]
    covariance_kcc = posterior.covariance(X_cf, X_cf)
    normal_s1 = torch.from_numpy(np.random.default_rng(0).normal(size=(20_000, 1)))
    expected_c = []
    for c in range(len(X_cf)):
        by_member = []
        for k in range(len(noise_k)):
            sd = (covariance_kcc[k, c, c] + noise_k[k]).sqrt()
            result_s1 = mean_kc[k, c] + sd * normal_s1
            after_sc = mean_kc[k] + (result_s1 - mean_kc[k, c]) * covariance_kcc[k, c] / sd**2
            by_member.append((mean_kc[k].min() - after_sc.amin(1).mean()).item())
        expected_c.append(np.mean(by_member))
    assert gains(knowledge, candidate_f) == pytest.approx(expected_c, rel=0.15, abs=2e-3)


def test_without_noise_another_result_gains_nothing() -> None:
    for objectives in (ONE, TWO):
        gain_c = gains(bowl(noise=0.0, objectives=objectives), np.array([0.325]))
        assert gain_c[:-1] == pytest.approx(0.0, abs=1e-2)
        assert not is_noisy(bowl(noise=0.0, objectives=objectives), dimensions=1)


@pytest.mark.parametrize("objectives", [ONE, TWO])
def test_with_noise_it_gains_something(objectives: Objectives) -> None:
    knowledge = bowl(noise=0.1, n=40, objectives=objectives)
    assert is_noisy(knowledge, dimensions=1)
    gain_c = gains(knowledge, np.array([0.99]))
    assert gain_c[:-1].max() > max(gain_c[-1], 0.0)


def test_repeated_configurations_tell_whether_there_is_noise() -> None:
    assert repeated([seen(0.1, error=1.0), seen(0.2, error=1.0)], ONE, LINE) is None
    assert repeated([seen(0.1, error=1.0), seen(0.1, error=1.0)], ONE, LINE) is False
    assert repeated([seen(0.1, error=1.0), seen(0.1, error=1.1), seen(0.1, error=1.0)], ONE, LINE) is True
    assert repeated([seen(0.1, error=1.0, cost=2.0), seen(0.1, error=1.0, cost=3.0)], TWO, LINE) is True


def searched(
    noise: float, *, algorithm: pt.GP, trials: int = 24, objectives: Objectives = ONE, seed: int = 0
) -> pt.Optimizer:
    opt = pt.Optimizer({"x": pt.Float(0, 1), "y": pt.Float(0, 1)}, objectives, algorithm=algorithm, seed=seed)
    rng = np.random.default_rng(1)
    for _ in range(trials):
        suggestion = opt.ask()
        x, y = suggestion.config["x"], suggestion.config["y"]
        error = (x - 0.3) ** 2 + (y - 0.7) ** 2 + noise * rng.normal()
        opt.tell(suggestion, {"error": error, "cost": x + noise * rng.normal()})
    return opt


def repeats(opt: pt.Optimizer) -> int:
    return len(opt.log.trials) - len({opt.space.key(trial.config) for trial in opt.log.trials.values()})


@pytest.mark.parametrize("objectives", [ONE, TWO])
def test_a_search_repeats_its_leaders_within_its_share(objectives: Objectives) -> None:
    """With seed 2; in three of ten searches this short (seeds 0 to 4, each of these objectives) noise is not proven."""
    opt = searched(0.3, algorithm=pt.GP(), objectives=objectives, seed=2)
    again = [trial for trial in opt.log.trials.values() if trial.suggestion.proposal.origin == "replicate"]
    assert 0 < len(again) == repeats(opt) <= 0.2 * 24
    for trial in again:
        before = opt.log.before(trial.suggestion.history_position)
        assert trial.config in [seen.config for seen in before.history]
        problem = Problem(space=opt.space, objectives=objectives, seed=2)
        (proposal,) = algorithms.create(AlgorithmSpec(), problem).suggest(
            before.history, [], n=1, rng=np.random.default_rng([2, trial.id])
        )
        assert proposal == trial.suggestion.proposal, "it follows from the log"


def test_a_first_repeat_is_waited_for() -> None:
    opt = searched(0.3, algorithm=pt.GP(replicate=0.0))
    knowledge = learn(opt.history, ONE, Encoding(opt.space))
    problem = Problem(space=opt.space, objectives=ONE)
    known = opt.history[0].config
    assert may_repeat(problem, knowledge, opt.history, [{"x": 0.4, "y": 0.6}], share=0.5)
    assert not may_repeat(problem, knowledge, opt.history, [known], share=0.5)
    same = [*opt.history, replace(opt.history[0], trial=99)]
    assert not may_repeat(problem, knowledge, same, [], share=0.5), "results are exact"
    other = [*opt.history, replace(opt.history[0], trial=99, metrics={"error": 7.0, "cost": 0.0})]
    assert may_repeat(problem, knowledge, other, [known], share=0.5)
    assert not may_repeat(problem, knowledge, other, [known], share=0.1)


def test_it_repeats_nothing_where_results_are_exact_or_it_must_not() -> None:
    assert repeats(searched(0.0, algorithm=pt.GP(replicate=0.5))) == 0
    assert repeats(searched(0.3, algorithm=pt.GP(replicate=0.0))) == 0


def test_what_is_under_way_is_not_tried_beside_itself() -> None:
    opt = searched(0.3, algorithm=pt.GP(replicate=0.5))
    asked = opt.ask(n=4)
    assert len({opt.space.key(suggestion.config) for suggestion in asked}) == 4
