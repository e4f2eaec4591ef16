"""The harness's side of the conversation: an adapter as a subprocess that is asked and told (adapters/_serve.py)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from benchmarks.optimizers.harness.peers import Peer
from benchmarks.optimizers.tasks import Task

# One thread: several runs share a machine, and CPU seconds of one thread can be compared.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
) | {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "PYTHONWARNINGS": "ignore",
}


class PeerError(RuntimeError):
    """The adapter broke, ended or did not answer in time."""


class Client:
    """A running adapter. `timeout_s` is how long one answer may take, by the clock."""

    def __init__(self, peer: Peer, *, timeout_s: float) -> None:
        self.peer, self._timeout_s = peer, timeout_s
        self._folder = tempfile.TemporaryDirectory(prefix="paretune-bench-")  # libraries write files where they are
        self._complaints: IO[str] = (Path(self._folder.name) / "stderr").open("w+")
        path = os.pathsep.join(map(str, peer.search_path))
        self._process = subprocess.Popen(
            [peer.python, "-P", "-m", f"{peer.package}.{peer.adapter}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path, "TMPDIR": self._folder.name},
            cwd=self._folder.name,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def start(self, task: Task, *, seed: int, pending: int, given: bool = False) -> str:
        """Begin a run; returns the library's version. `given`: observations will be added before the first is asked."""
        answer = self.call(
            "start",
            space=task.space.to_data(),
            objectives=task.objectives,
            seed=seed,
            trials=task.trials,
            pending=pending,
            limits=dict(task.limits),
            inputs=[asdict(limit) for limit in task.inputs],
            earlier=[asdict(study) for study in task.earlier],
            given=given,
            options=dict(self.peer.options),
        )
        return str(answer["version"])

    def call(self, request: str, **fields: Any) -> dict[str, Any]:
        """Send one request and wait for its answer; raises PeerError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": request, **fields}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._broken(request) from None
        if not select.select([self._process.stdout], [], [], self._timeout_s)[0]:
            raise PeerError(f"{request}: no answer within {self._timeout_s:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise self._broken(request)
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{request}: {answer['error']}\n{answer['trace']}")
        return answer

    def _broken(self, request: str) -> PeerError:
        code = self._process.wait()
        self._complaints.seek(0)
        return PeerError(f"{request}: the adapter ended with code {code}\n{self._complaints.read()[-2000:]}")

    def close(self) -> None:
        """End the adapter, by force if it is in the middle of something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:  # what was still to be sent has nobody to read it
            self._process.stdin = None
        self._complaints.close()
        self._folder.cleanup()
