"""Checkpoints that are written while the training goes on."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.distributed as dist

from paretune.errors import CheckpointError, ParetuneError
from paretune.train.contents import contents
from paretune.train.ranks import world_size
from paretune.train.sharded import make_room, write

if TYPE_CHECKING:
    from paretune.train.run import Run


class Saver:
    """Writes the checkpoints of a run one after the other, on a thread of its own if it is not waited for.

    That thread's collectives go over a group of their own (gloo, also beside NCCL): nothing that the training exchanges
    is in their way, and all workers' threads come to the same result without one of the trainings' waiting for it.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._group: dist.ProcessGroup | None = None
        self._writing: tuple[Path, Future[None]] | None = None

    def save(self, run: Run, folder: Path, extra: dict[str, Any], *, wait: bool) -> None:
        """Write the run as it is now; every worker calls it. Raises as `Run.save`."""
        self.wait()
        make_room(folder)
        what = contents(run, extra)
        if wait:
            write(what, folder, run.mesh.everyone)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="paretune-save")
            self._group = dist.new_group(backend="gloo") if world_size() > 1 else None
        self._writing = folder, self._thread.submit(write, what.copied(), folder, self._group)

    def wait(self) -> None:
        """Wait for what is being written.

        Raises:
            CheckpointError: it could not be, on all workers alike.
        """
        if self._writing is None:
            return
        folder, writing = self._writing
        self._writing = None
        try:
            writing.result()
        except ParetuneError:
            raise
        except Exception as error:  # another worker has died, and the group with it
            raise CheckpointError(f"{folder}: could not be written: {type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Wait as `wait` does, and give thread and group back."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
            if self._group is not None and dist.is_initialized():
                dist.destroy_process_group(self._group)
            self._thread = self._group = None
