"""The gang between trial actor and workers, with coroutines in the place of workers; no Ray."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from ray.train.v2._internal.execution.context import TrainContext
from ray.train.v2._internal.execution.controller import TrainController
from ray.train.v2._internal.execution.preemption import PreemptionContext

from paretune.engine import _leftovers, _notice, gang_worker, room, standstill, train_run
from paretune.engine import gang as gangs
from paretune.engine.gang import Gang
from paretune.engine.messages import Ended, Outcome, RankReport, Reported, Restarted, Setup, Straggling, Task
from paretune.engine.resources import Node
from paretune.engine.stragglers import Pace
from paretune.engine.train_run import TrainRun
from paretune.objective import Objectives

TASK = Task(trial=3, attempt=0, config={}, seed=0)


class Killed(BaseException):
    """A rank and its companion are gone."""


class NoRun:
    """In the place of a Ray Train run, whose workers the tests play."""

    closing, broken, lasts = False, None, False

    def __init__(self, setup: Setup, name: str, namespace: str) -> None: ...


class Workers:
    """A group of ranks; each does what `loop` says with every task, and its companion says where it stands."""

    def __init__(self, gang: Gang, group: str, world: int, loop: Callable[[Rank], Coroutine[Any, Any, None]]) -> None:
        self.gang, self.group, self.world, self.loop = gang, group, world, loop
        self.exited: set[int] = set()
        self.ranks = [asyncio.ensure_future(self.serve(rank)) for rank in range(world)]
        self.companions = [asyncio.ensure_future(self.accompany(rank)) for rank in range(world)]

    async def serve(self, rank: int) -> None:
        await self.gang.join(rank, self.group, self.world)
        while (task := await self.gang.next_task(rank, self.group)) is not None:
            if task == "leave":
                return
            mine = Rank(self.gang, rank, task)
            outcome = Outcome("completed")
            try:
                await self.loop(mine)
            except Killed:
                self.companions[rank].cancel()
                return
            except OSError as error:
                outcome = Outcome("failed", str(error))
            if mine.left:
                return
            await self.gang.finished(rank, (task.trial, task.attempt), outcome)

    async def accompany(self, rank: int) -> None:
        await self.gang.join(rank, self.group, self.world)
        while (wish := await self.gang.companion(rank, self.group)) != "exit":
            if wish == "stacks":
                await self.gang.stacks(rank, self.group, standstill.Stacks(f"line of {rank}\n", f"all of {rank}\n"))
        self.exited.add(rank)

    async def exit(self) -> None:
        """Wait until all have been told to exit, and are gone."""
        while len(self.exited) < self.world:
            await asyncio.sleep(0.01)
        await self.die()

    async def die(self) -> None:
        for job in (jobs := [*self.ranks, *self.companions]):
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


class Rank:
    """What a training loop has of its rank."""

    def __init__(self, gang: Gang, rank: int, task: Task) -> None:
        self.gang, self.rank, self.task, self.step, self.left = gang, rank, task, task.step, False

    async def report(self, checkpoint: str | None = None, *, seconds: float = 1.0) -> str:
        self.step += 1
        report = RankReport(
            step=self.step, metrics={"e": 1.0}, resource=float(self.step), seconds=seconds, checkpoint=checkpoint,
            diverged=None, error=None,
        )  # fmt: skip
        decision = await self.gang.report(self.rank, (self.task.trial, self.task.attempt), report)
        self.left = decision == "leave"
        return decision


def a_gang(folder: Path, **settings: Any) -> Gang:
    objectives = Objectives.from_dict({"e": "minimize"})
    setup = Setup(
        **{
            "study": "s", "code": b"", "path": (), "objectives": objectives, "constants": {}, "folder": str(folder),
            "workers": 2, "min_workers": 2, "cpus": 1, "gpus": 0, "resource": None, "saved_by": None, "retries": 1,
            "hang_s": None, "fresh": False, **settings,
        }
    )  # fmt: skip
    return Gang(setup, "gang", "test")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gangs, "LOOK_S", 0.01)
    monkeypatch.setattr(gangs, "TrainRun", NoRun)
    monkeypatch.setattr(standstill, "ANSWER_S", 1.0)
    monkeypatch.setattr(room, "LOOK_S", 0.0)
    monkeypatch.setattr(room, "SETTLED_S", 0.02)
    monkeypatch.setattr(room, "alive_nodes", lambda: (Node(2, 0),))


async def forever(rank: Rank) -> None:
    await asyncio.sleep(3600)


def hanging(trouble: Callable[[Rank], bool]) -> Callable[[Rank], Coroutine[Any, Any, None]]:
    """Three reports with checkpoints, the second of which the ranks in trouble never come to."""

    async def loop(rank: Rank) -> None:
        for step in range(rank.task.step + 1, 4):
            if step == 2 and trouble(rank):
                await forever(rank)
            if await rank.report(f"c{step}" if rank.rank == 0 else None) == "stop":
                return

    return loop


def test_a_standstill_ends_the_workers_and_the_trial_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    async def main() -> None:
        gang = a_gang(tmp_path, hang_s=0.2)
        loop = hanging(lambda rank: rank.rank == 1 and rank.task.attempt == 0)
        workers = Workers(gang, "a", 2, loop)
        await gang.assign(TASK)
        first = await gang.advance()
        assert isinstance(first, Reported)
        assert first.checkpoint == "c1"
        pending = asyncio.ensure_future(gang.advance())
        await workers.exit()
        Workers(gang, "b", 2, loop)
        again = await pending
        assert isinstance(again, Restarted)
        assert (again.attempt, again.checkpoint) == (1, "c1")
        assert again.reason.startswith("rank 1 has neither reported nor returned for 0 s, where rank 0 waits; see ")
        kept = Path(again.reason.rpartition("see ")[2]).read_text()
        assert kept.index("==== rank 0\n\nall of 0") < kept.index("==== rank 1\n\nall of 1")
        steps = [await gang.advance() for _ in range(2)]
        assert [message.step for message in steps if isinstance(message, Reported)] == [2, 3]
        assert await gang.advance() == Ended(trial=3, attempt=1, status="completed")

    asyncio.run(main())


def test_a_trial_that_hangs_too_often_has_failed_with_the_stack_of_whoever_hangs(tmp_path: Path) -> None:
    async def main() -> None:
        gang = a_gang(tmp_path, hang_s=0.1, retries=1)
        loop = hanging(lambda rank: True)
        workers = Workers(gang, "a", 2, loop)
        await gang.assign(TASK)
        assert isinstance(await gang.advance(), Reported)
        ended: Any = None
        for group in ("b", "c"):
            pending = asyncio.ensure_future(gang.advance())
            await workers.exit()
            workers = Workers(gang, group, 2, loop)
            ended = await pending
        assert isinstance(ended, Ended)
        assert ended.status == "failed"
        assert "lost its workers 2 times (train: retries is 1), at last: rank 0 and 1 have" in str(ended.reason)
        assert ended.traceback == "rank 0:\nline of 0\n\nrank 1:\nline of 1\n"

    asyncio.run(main())


async def collective(rank: Rank) -> None:
    """Ranks of which one dies after the first report, by which the others fail."""
    await rank.report("c1")
    if rank.rank == 1:
        raise Killed
    raise ConnectionResetError("by peer")


def test_a_rank_that_fails_as_another_died_does_not_fail_the_trial(tmp_path: Path) -> None:
    async def main() -> None:
        gang = a_gang(tmp_path)
        workers = Workers(gang, "a", 2, collective)
        await gang.assign(TASK)
        assert isinstance(await gang.advance(), Reported)
        pending = asyncio.ensure_future(gang.advance())
        while 0 not in workers.exited:
            await asyncio.sleep(0.01)
        await workers.die()
        Workers(gang, "b", 2, one_more)
        again = await pending
        assert again == Restarted(trial=3, attempt=1, checkpoint="c1", reason="rank 1 died", workers=2)

    asyncio.run(main())


def test_a_rank_that_fails_of_itself_fails_the_trial(tmp_path: Path) -> None:
    async def fails(rank: Rank) -> None:
        if rank.rank == 1:
            raise ConnectionResetError("to the data base")
        await rank.report()

    async def main() -> None:
        gang = a_gang(tmp_path)
        Workers(gang, "a", 2, fails)
        await gang.assign(TASK)
        ended = await gang.advance()
        assert ended == Ended(trial=3, attempt=0, status="failed", reason="to the data base")

    asyncio.run(main())


async def one_more(rank: Rank) -> None:
    """Four reports, all with checkpoints."""
    for step in range(rank.task.step + 1, 5):
        if await rank.report(f"c{step}") != "continue":
            return


def test_workers_that_are_told_to_end_leave_after_a_checkpoint_and_it_is_no_loss(tmp_path: Path) -> None:
    """Three workers become two; the trial goes on, though it may not lose its workers even once."""

    async def main() -> None:
        gang = a_gang(tmp_path, workers=3, min_workers=2, retries=0)
        workers = Workers(gang, "a", 3, one_more)
        await gang.assign(TASK)
        assert isinstance(await gang.advance(), Reported)
        await gang.leave("a", "rank 2: its process was sent SIGTERM")
        pending = asyncio.ensure_future(gang.advance())
        await asyncio.gather(*workers.ranks)
        await workers.die()
        Workers(gang, "b", 2, one_more)
        again = await pending
        why = "rank 2: its process was sent SIGTERM"
        assert again == Restarted(trial=3, attempt=1, checkpoint="c1", reason=why, workers=2)
        steps = [await gang.advance() for _ in range(3)]
        assert [(m.step, m.worker_seconds) for m in steps if isinstance(m, Reported)] == [(2, 2), (3, 2), (4, 2)]
        assert await gang.advance() == Ended(trial=3, attempt=1, status="completed")
        await gang.leave("b", "a node of the gang is drained")
        assert await gang.next_task(0, "b") == "leave", "between trials at once"

    asyncio.run(main())


def test_a_gang_leaves_to_grow_once_its_cluster_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        gang = a_gang(tmp_path, workers=3, min_workers=2)
        workers = Workers(gang, "a", 2, one_more)
        await gang.assign(TASK)
        assert isinstance(await gang.advance(), Reported)
        await asyncio.sleep(0.1)
        assert isinstance(await gang.advance(), Reported), "the cluster has not grown"
        monkeypatch.setattr(room, "alive_nodes", lambda: (Node(2, 0), Node(1, 0)))
        await asyncio.sleep(0.1)
        pending = asyncio.ensure_future(gang.advance())
        await asyncio.gather(*workers.ranks)
        await workers.die()
        Workers(gang, "b", 3, one_more)
        again = await pending
        assert isinstance(again, Restarted)
        assert (again.checkpoint, again.workers) == ("c2", 3)
        assert again.reason == "the cluster has grown, there may be room for more than 2 workers"

    asyncio.run(main())


def test_a_trial_whose_workers_do_not_come_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gangs, "PLACEMENT_TIMEOUT_S", 0.1)

    async def main() -> None:
        gang = a_gang(tmp_path)
        await gang.assign(TASK)
        ended = await gang.advance()
        reason = "no worker could be placed, or was heard of, for 0.1 s"
        assert ended == Ended(trial=3, attempt=0, status="failed", reason=reason)
        await gang.assign(TASK)
        Workers(gang, "a", 2, one_more)
        assert isinstance(await gang.advance(), Reported), "the next one has them"

    asyncio.run(main())


def test_a_rank_straggles_that_is_slow_in_three_reports_on_end() -> None:
    pace = Pace()
    assert pace.straggling({0: 10.0, 1: 10.2, 2: 16.0}) == {}
    assert pace.straggling({0: 10.0, 1: 10.2, 2: 16.0}) == {}
    assert pace.straggling({0: 10.0, 1: 10.2, 2: 11.0}) == {}, "a hiccup of two reports"
    for _ in range(2):
        assert pace.straggling({0: 10.0, 1: 10.0, 2: 18.0}) == {}
    assert pace.straggling({0: 10.0, 1: 10.0, 2: 18.0}) == {2: 1.8}
    assert pace.straggling({0: 10.0, 1: 10.0, 2: 18.0}) == {}, "told once"
    assert all(pace.straggling({0: 0.1, 1: 0.5}) == {} for _ in range(5)), "less than a second is no matter"
    known = [pace.straggling({0: 9.0, 1: 9.0}, known=[1]) for _ in range(4)]
    assert known == [{}, {}, {1: None}, {}], "what a run has measured counts"


def test_stragglers_are_told_before_the_report_that_shows_them(tmp_path: Path) -> None:
    async def slow(rank: Rank) -> None:
        for step in range(1, 4):
            await rank.report(seconds=step * (4.0 if rank.rank == 1 else 2.0))

    async def main() -> None:
        gang = a_gang(tmp_path)
        Workers(gang, "a", 2, slow)
        await gang.assign(TASK)
        messages = [await gang.advance() for _ in range(5)]
        assert [type(message) for message in messages] == [Reported, Reported, Straggling, Reported, Ended]
        assert messages[2] == Straggling(trial=3, attempt=0, rank=1, times=2.0)

    asyncio.run(main())


def test_patience_is_what_is_given_or_follows_the_longest_report() -> None:
    assert standstill.Patience(5.0).limit_s == 5.0
    assert standstill.Patience(0.0).limit_s == float("inf"), "0 is for ever"
    patience = standstill.Patience(None)
    assert patience.limit_s == float("inf"), "nothing is known before the first report"
    patience.took(10.0)
    assert patience.limit_s == 1800.0
    patience.took(3600.0)
    patience.took(10.0)
    assert patience.limit_s == 36000.0


def test_sigterm_is_a_notice() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        _notice.SigtermIsANotice().after_init_train_context()
        os.kill(os.getpid(), signal.SIGTERM)
        assert _notice.to_worker() == _notice.to_actor() == "its process was sent SIGTERM"
    finally:
        signal.signal(signal.SIGTERM, before)
        _notice._terminated.clear()
    assert "preemption_info" in PreemptionContext.__dataclass_fields__, "where Ray keeps that a node is drained"
    assert "preemption_context" in TrainContext.__dataclass_fields__
    assert callable(_notice.state.get_draining_nodes)


def test_rays_tables_say_who_made_a_placement_group_and_whether_it_lives() -> None:
    group, actor = _leftovers._rows.PlacementGroupTableData(), _leftovers._rows.ActorTableData()
    assert (group.creator_job_id, group.creator_actor_id, group.placement_group_id) == (b"", b"", b"")
    assert (group.creator_actor_dead, group.state == group.REMOVED) == (False, False)
    assert (actor.class_name, actor.owner_address.worker_id) == ("", b"")
    assert callable(_leftovers.state._connect_and_get_accessor)
    assert TrainController.__name__ == _leftovers.CONTROLLER


def test_stacks_name_the_line_of_every_thread() -> None:
    inside, leave = threading.Event(), threading.Event()

    def stand_here() -> None:
        inside.set()
        leave.wait(60)

    thread = threading.Thread(target=stand_here, name="stander")
    thread.start()
    inside.wait(60)
    assert thread.ident is not None
    found = standstill.stacks(thread.ident)
    leave.set()
    thread.join()
    assert "leave.wait(60)" in found.training
    assert "thread stander" in found.all
    assert "thread MainThread" in found.all


class Fit:
    """In the place of a trainer: the n-th run does what the n-th of `runs` does."""

    def __init__(self, runs: list[Callable[[], None]]) -> None:
        self.runs = runs

    def fit(self) -> None:
        self.runs.pop(0)()


def ray_train_runs(monkeypatch: pytest.MonkeyPatch, *runs: Callable[[], None]) -> TrainRun:
    """What becomes of a gang's Ray Train run, once it is over."""
    left = Fit(list(runs))
    monkeypatch.setattr(gang_worker, "trainer", lambda *given, scratch: left)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    monkeypatch.setattr(train_run._leftovers, "remove_lost", lambda: None)
    run = TrainRun(cast(Setup, SimpleNamespace(fresh=False)), "gang", "tests")
    left.runs[:] = [partial(each, run) if each is served_and_lost else each for each in left.runs]
    run._fit("gang", "tests")
    assert left.runs == []
    return run


def served_and_lost(run: TrainRun) -> None:
    run.served = True
    raise OSError("the controller's node is gone")


def lost() -> None:
    raise OSError("no such image")


def test_a_train_run_that_fails_after_its_workers_came_up_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ray_train_runs(monkeypatch, *[served_and_lost] * 5, lost, lambda: None)  # type: ignore[list-item]
    assert run.broken is None


def test_a_train_run_whose_workers_never_come_up_breaks_the_gang(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such image" in str(ray_train_runs(monkeypatch, lost, lost, lost).broken)
