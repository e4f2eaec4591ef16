"""A real `ray start --head` of one's own: its own ports, folder and token, stopped by process id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Head:
    """A running head node: its dashboard's address, its metrics page, its token, its home folder, its process."""

    address: str
    metrics_url: str
    gcs_address: str
    token: str
    home: Path
    pid: int

    def workers(self, *actors: str) -> list[psutil.Process]:
        """The worker processes that run actors of these classes, by their titles (ray::Actor.method)."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if " ".join(process.cmdline()).startswith(tuple(f"ray::{actor}" for actor in actors)):
                    found.append(process)
        return found


def free_ports(n: int) -> list[int]:
    """Ports nobody listens on, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def ray_head(*, token: str, num_cpus: int = 2) -> Iterator[Head]:
    """Start a head with token authentication on and no knowledge of this checkout; end every process of it after."""
    home = Path(tempfile.mkdtemp(prefix="prt-", dir="/tmp"))  # short: Ray's socket paths are limited to 107 bytes
    port, dashboard, metrics, client, agent_listen, agent_grpc = free_ports(6)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTHONPATH"))}
    environment |= {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        "RAY_worker_niceness": "0",
        "OMP_NUM_THREADS": "1",
    }
    command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    command += [f"--port={port}", f"--dashboard-port={dashboard}", f"--metrics-export-port={metrics}"]
    command += [f"--ray-client-server-port={client}", f"--dashboard-agent-listen-port={agent_listen}"]
    command += [f"--dashboard-agent-grpc-port={agent_grpc}", f"--num-cpus={num_cpus}", f"--temp-dir={home}/ray"]
    command += ["--object-store-memory=100000000", "--disable-usage-stats"]
    output = home / "head.log"
    with output.open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home, start_new_session=True)
    try:
        _await_dashboard(f"http://127.0.0.1:{dashboard}/api/version", token, process, output)
        yield Head(
            address=f"http://127.0.0.1:{dashboard}",
            metrics_url=f"http://127.0.0.1:{metrics}/metrics",
            gcs_address=f"127.0.0.1:{port}",
            token=token,
            home=home,
            pid=process.pid,
        )
    finally:
        _end(process)
        shutil.rmtree(home, ignore_errors=True)


def _await_dashboard(url: str, token: str, process: subprocess.Popen[bytes], output: Path) -> None:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"the head did not come up:\n{output.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the head and all it started, by process id; its daemons are its children, a job's driver is theirs."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.wait()
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=20)
