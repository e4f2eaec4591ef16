"""Gaussian-process Bayesian optimisation of one or several objectives.

The first five trials are a space-filling start: the default configuration, or else the middle of the space, then a
scrambled Sobol sequence; with earlier studies to learn from, some of these trials are their best configurations. From
then on each proposal maximises the expected improvement under a Gaussian process: of the one objective, of the
hypervolume with up to four, of a scalarisation drawn anew each time with more. See `_gp` for its parts.

Where a scheduler may cut trials short, every second trial is trained whole, and comes from a model of whole trainings,
to which lower rungs are, by turns, nothing or what earlier studies are (see `_gp.beginnings`). The others come from a
model of all rungs at once, which forecasts how they will end (see `_gp.ladder`). So a search whose early epochs mislead
goes on at half the pace as it would without a scheduler, and one whose early epochs tell is led by them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from paretune.algorithms._base import Problem
from paretune.algorithms._earlier import next_earlier
from paretune.algorithms._gp.acquire import Acquisition
from paretune.algorithms._gp.belief import belief
from paretune.algorithms._gp.cube import Cube
from paretune.algorithms._gp.determinism import reproducible
from paretune.algorithms._gp.encoding import Encoding
from paretune.algorithms._gp.joint import FINER, TOGETHER, improved
from paretune.algorithms._gp.knowledge import Knowledge, enough_memory, learn
from paretune.algorithms._gp.ladder import ENOUGH, Ladder
from paretune.algorithms._gp.optimize import Candidate, Search
from paretune.algorithms._gp.parego import MOST, draw_weights
from paretune.algorithms._gp.replication import may_repeat, worth_repeating
from paretune.algorithms._gp.settings import GP
from paretune.algorithms._gp.table import results
from paretune.algorithms._gp.transfer import Lessons, lessons_of
from paretune.algorithms._initial import middle, next_initial
from paretune.algorithms._untried import Tried, sobol_points
from paretune.errors import AlgorithmError
from paretune.records import WHOLE, Forecast, Observation, Proposal, Suggestion
from paretune.space import Config

Array = npt.NDArray[np.float64]

_INITIAL = 5
"""Trials of the space-filling start. On 25 tasks of 2 to 12 parameters, four seeds each, the mean normalised regret
after 20 and 60 trials was .92 and .35 with 5, .98 and .38 with the rule of thumb max(5, 2d). Beginning in the middle
took it from .89 to .72 after 20 and from .61 to .48 after 30 (125 pairs), from .31 to .25 after 60 (75 pairs): most on
closed forms and conditional spaces, nothing that is sure on trainings."""

_ANCHORS = 128  # points that stand for the space, where an acquisition needs them: an imagined function of 128 values

_FIT_SEED = 0  # the fit draws nothing; should a library begin to, equal histories still give equal fits


class GaussianProcess:
    """Proposes what is expected to improve most, given what is known and what is pending.

    Failed and diverged trials never enter the regression; once there are any, a model of where trials fail steers
    away from there. With fewer than two results the space-filling start goes on, and so it does until as many trials
    have ended as it is long: with eight under way, what a model of the first two or three results asks for is lost.
    (Five tasks, eight under way, four seeds: mean normalised regret after 60 trials .26 without this, .22 with it.)
    """

    Settings = GP
    transfers = True

    def __init__(self, problem: Problem, settings: GP) -> None:
        """Raises AlgorithmError for an acquisition that does not serve so many objectives."""
        m = len(problem.objectives)
        if settings.acquisition is not None and m > 1:
            raise AlgorithmError(
                f"algorithm: gp: acquisition: {settings.acquisition} is for one objective, got {m}",
                hint="leave it out: the hypervolume's expected improvement serves several",
            )
        if settings.batch == "joint" and settings.acquisition not in (None, "log_ei"):
            raise AlgorithmError(
                f"algorithm: gp: batch: joint is for expected improvement, got {settings.acquisition}",
                hint="leave acquisition out, or batch",
            )
        self.joint = settings.batch == "joint" and m <= MOST
        self._problem = problem
        self._space, self._objectives, self._seed = problem.space, problem.objectives, problem.seed
        self._settings = settings
        self._encoding = Encoding(problem.space)
        self._cube = Cube(self._encoding)
        self._initial = settings.initial or _INITIAL
        self._learnt: dict[tuple[int, bool], tuple[list[Observation], Knowledge]] = {}  # of the last history: for speed
        self._tried = Tried(problem.space)
        self._lessons: Lessons | None = None  # of the sources, which are fitted when first needed

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_learnt": {}, "_lessons": None}

    def suggest(
        self, history: Sequence[Observation], pending: Sequence[Suggestion], *, n: int, rng: np.random.Generator
    ) -> list[Proposal]:
        learnable = len(history) >= self._initial and self._known(history) >= 2
        ahead: list[Suggestion | Proposal] = list(pending)
        while (left := len(pending) + n - len(ahead)) > 0:
            trials = len(history) + len(ahead)
            if learnable:
                together = min(left, TOGETHER, self._alike(trials)) if self.joint else 1
                proposals = self._modelled(history, [entry.config for entry in ahead], rng, n=together)
            else:
                proposals = [self._initially(history, ahead, trials)]
            whole = self._wholly(trials) and (self._ends(history) >= ENOUGH or self._begun(history, ahead) < ENOUGH)
            ahead += [replace(one, notes={**one.notes, **WHOLE}) if whole else one for one in proposals]
        return [entry for entry in ahead[len(pending) :] if isinstance(entry, Proposal)]

    def _wholly(self, trials: int) -> bool:
        """Whether it is a trial's turn, the next one's after so many others, to be trained whole."""
        return bool(self._problem.rungs) and self._settings.whole > 0 and trials % self._settings.whole == 0

    def _ends(self, history: Sequence[Observation]) -> int:
        """How many ends a model of them alone has to learn from: it needs `ENOUGH`."""
        return self._known([observation for observation in history if observation.status == "completed"])

    def _begun(self, history: Sequence[Observation], ahead: Sequence[Suggestion | Proposal]) -> int:
        """How many ends there are and will be, unless whole trainings fail."""
        running = sum(one.status == "running" and self._wholly(one.trial) for one in history)
        proposed = (entry.proposal if isinstance(entry, Suggestion) else entry for entry in ahead)
        return self._ends(history) + running + sum(proposal.whole for proposal in proposed)

    def _alike(self, trials: int) -> int:
        """How many trials, the next after so many others and those after it, may come from one model."""
        every = self._settings.whole if self._problem.rungs else 0
        return TOGETHER if every == 0 else 1 if self._wholly(trials) else every - trials % every

    def _known(self, history: Sequence[Observation]) -> int:
        """How many results a regression may learn from."""
        return len(results(history, self._objectives, self._problem.rungs))

    def _initially(
        self, history: Sequence[Observation], ahead: Sequence[Suggestion | Proposal], trials: int
    ) -> Proposal:
        """The next of the start, which has no middle where trials may be cut short (see docs/decisions/0012)."""
        tried = self._tried.keys(history, ahead)
        hopeful = enough_memory(history, self._objectives, self._encoding)
        return (
            next_earlier(self._problem, history, tried, trials=trials)
            or (None if self._problem.rungs else middle(self._space, tried, seed=self._seed))
            or next_initial(self._space, tried, seed=self._seed, trials=trials, hopeful=hopeful)
        )

    def _modelled(
        self, history: Sequence[Observation], waiting: list[Config], rng: np.random.Generator, *, n: int
    ) -> list[Proposal]:
        """n proposals that see the history in the same way."""
        trials = len(history) + len(waiting)
        turn = trials // max(n, self._settings.whole if self._problem.rungs else 1) % 2
        whole = self._wholly(trials) and self._ends(history) >= ENOUGH
        if whole:
            waiting = [*waiting, *(observation.config for observation in history if observation.status == "running")]
        if len(self._objectives) > MOST:
            return [self._scalarised(history, waiting, rng, whole=whole)]
        began = time.perf_counter()
        knowledge = self._learn(history, turn=turn, whole=whole)
        fit_s = (time.perf_counter() - began) / n
        names = self._objectives.outcome_names
        with reproducible(seed := int(rng.integers(2**31))):
            chosen = self._batch(knowledge, history, waiting, seed, n=n)
            chosen_nf = self._encoding.features([one.config for one in chosen])
            mean_no, sd_no = knowledge.model.predict(chosen_nf)
        return [
            replace(
                one,
                mean=self._objectives.natural(mean_o),
                sd=dict(zip(names, sd_o.tolist(), strict=True)),
                fit=dict(zip(names, knowledge.model.hyperparameters(self._encoding.labels), strict=True)),
                notes={**self._trust(knowledge), **self._forecast(knowledge, one.config)},
                fit_s=fit_s,
            )
            for one, mean_o, sd_o in zip(chosen, mean_no, sd_no, strict=True)
        ]

    def _scalarised(
        self, history: Sequence[Observation], waiting: list[Config], rng: np.random.Generator, *, whole: bool
    ) -> Proposal:
        weights_m = draw_weights(len(self._objectives), rng)
        with reproducible(seed := int(rng.integers(2**31))):
            began = time.perf_counter()
            knowledge = learn(
                history,
                self._objectives,
                self._encoding,
                kernel=self._settings.kernel,
                bend=self._settings.input_warping,
                weights_m=weights_m,
                rungs=self._problem.rungs,
                whole=whole,
                cost_aware=self._settings.cost_aware,
            )
            fit_s = time.perf_counter() - began
            chosen = self._chosen(knowledge, history, waiting, seed)
        weights = dict(zip(self._objectives.names, weights_m.tolist(), strict=True))
        return replace(chosen, notes={"weights": weights}, fit_s=fit_s)

    def _forecast(self, knowledge: Knowledge, config: Config) -> dict[str, Any]:
        """The note of what the configuration's rungs will tell of its end."""
        if not isinstance(knowledge.model, Ladder) or len(self._objectives) > MOST:
            return {}
        names, signs = self._objectives.outcome_names, self._objectives.signs
        lines = {
            rung: {
                name: line._replace(offset=sign * line.offset)
                for name, sign, line in zip(names, signs, at_rung, strict=True)
            }
            for rung, at_rung in knowledge.model.lines(self._encoding.features([config])[0]).items()
        }
        others = {rung: [self._objectives.natural(y_o) for y_o in Y_qo] for rung, Y_qo in knowledge.others.items()}
        return Forecast(lines, others).note

    def _trust(self, knowledge: Knowledge) -> dict[str, Any]:
        """How much each source is believed to tell of each objective, 0 to 1; nothing of those that are not.

        Sources are earlier studies, what is known of layouts, and to whole trainings lower rungs.
        """
        if not (self._lessons and self._lessons.names) and not any(knowledge.trust):
            return {}
        return {"sources": dict(zip(self._objectives.names, knowledge.trust, strict=True))}

    def _learn(self, history: Sequence[Observation], *, turn: int, whole: bool) -> Knowledge:
        """What the history teaches, seen in two ways by turns, because neither is the better one everywhere.

        With `whole`, what the ends of whole trainings teach: by turns alone, and with what lower rungs expect.

        One objective is seen through a warp at turn 0: that finds the bottom of a valley in half of the trials, but
        where it is mistaken it goes on looking at the best values there are (25 tasks, 42 runs, mean normalised regret
        after 30 and 60 trials: .53 and .34 by turns, .67 and .39 never). Several are measured from a reference near
        their front at turn 0, and from the worst results at turn 1: the one refines the front, the other widens it
        (after 60 trials of Branin-Currin, DTLZ2 and a network's loss against its cost: .03, .28, .48 by turns; .04,
        .18, .76 only near; .76, .43, .33 only from the worst; 2 to 4 seeds).
        """
        one, rungs = len(self._objectives) == 1, self._problem.rungs
        if one and rungs and not whole:
            turn = 1
        learnt = self._learnt.get((turn, whole))
        if learnt is None or learnt[0] != list(history):
            with reproducible(_FIT_SEED):
                if self._lessons is None:
                    self._lessons = lessons_of(
                        self._problem.sources, self._objectives, self._encoding, self._settings.kernel
                    )
                found = learn(
                    history,
                    self._objectives,
                    self._encoding,
                    self._lessons,
                    kernel=self._settings.kernel,
                    bend=self._settings.input_warping,
                    warp=one and (turn == 0 or whole),
                    wide=turn == 1,
                    rungs=rungs,
                    whole=whole,
                    beginnings=turn == 1,
                    cost_aware=self._settings.cost_aware,
                )
                learnt = self._learnt[turn, whole] = list(history), found
        return learnt[1]

    def _batch(
        self, knowledge: Knowledge, history: Sequence[Observation], waiting: list[Config], seed: int, *, n: int
    ) -> list[Proposal]:
        """n proposals, each given those before it; the new configurations among several are then moved jointly."""
        chosen: list[Proposal] = []
        for _ in range(n):
            chosen.append(self._chosen(knowledge, history, [*waiting, *(one.config for one in chosen)], seed))
        if n == 1:
            return chosen
        again = [one for one in chosen if one.origin == "replicate"]
        ahead = [*waiting, *(one.config for one in again)]

        def best(others: Sequence[Config]) -> Candidate:
            return self._search(knowledge, history, [*ahead, *others], seed, finer=FINER)

        def added(config: Config, others: Sequence[Config]) -> float:
            acquisition = self._acquisition(knowledge, history, [*ahead, *others], seed, finer=FINER)
            with torch.no_grad():
                return float(acquisition(torch.from_numpy(self._encoding.features([config]))))

        found = improved([one.config for one in chosen if one.origin != "replicate"], best, added)
        return [*again, *(Proposal(config=one.config, origin="model", acquisition=one.value) for one in found)]

    def _chosen(
        self, knowledge: Knowledge, history: Sequence[Observation], waiting: list[Config], seed: int
    ) -> Proposal:
        """A new configuration, or one of the leaders once more where that is worth more."""
        found = self._search(knowledge, history, waiting, seed)
        if may_repeat(self._problem, knowledge, history, waiting, share=self._settings.replicate):
            candidate_f = self._encoding.features([found.config])[0]
            under_way = {self._space.key(config) for config in waiting}
            free_b = np.array([self._space.key(config) not in under_way for config in knowledge.leaders])
            leader = worth_repeating(knowledge, candidate_f, free_b=free_b)
            if leader is not None:
                return Proposal(config=knowledge.leaders[leader], origin="replicate")
        return Proposal(config=found.config, origin="model", acquisition=found.value)

    def _search(
        self, knowledge: Knowledge, history: Sequence[Observation], waiting: list[Config], seed: int, *, finer: int = 1
    ) -> Candidate:
        acquisition = self._acquisition(knowledge, history, waiting, seed, finer=finer)
        under_way = {self._space.key(config) for config in waiting}
        tried = under_way | self._tried.keys(history)
        for taken in (tried, under_way, set[Any]()):  # an exhausted space is tried again, what is under way last
            found = Search(acquisition, self._cube, taken).best(knowledge.leaders, np.random.default_rng(seed))
            if found is not None:
                return found
        raise AssertionError("nothing is taken, and yet nothing was found")

    def _acquisition(
        self, knowledge: Knowledge, history: Sequence[Observation], waiting: list[Config], seed: int, *, finer: int
    ) -> Acquisition:
        return Acquisition(
            knowledge.model,
            leaders_bf=knowledge.leaders_bf,
            pending_pf=self._encoding.features(waiting),
            reference_m=knowledge.reference_m,
            limits_o=knowledge.limits_o,
            feasibility=knowledge.feasibility,
            belief=belief(self._encoding, beta=self._settings.belief, results=self._known(history)),
            cost=knowledge.cost,
            criterion=self._settings.acquisition,
            anchors_af=self._anchors(knowledge.leaders, seed) if self._settings.acquisition else None,
            finer=finer,
            seed=seed,
        )

    def _anchors(self, leaders: Sequence[Config], seed: int) -> Array:
        """Columns of points all over the space, every second one of them drawn in to a tenth around a leader."""
        points_td = np.array(list(islice(sobol_points(len(self._space), seed=seed, ahead=_ANCHORS), _ANCHORS)))
        centers_ld = np.array([self._space.encode(leader) for leader in leaders])
        near_td = points_td[::2]
        near_td += 0.9 * (centers_ld[np.arange(len(near_td)) % len(leaders)] - near_td)
        legal_td = self._space.legality.mended(points_td, np.random.default_rng(seed))
        return self._cube.columns(self._cube.legal(legal_td))
