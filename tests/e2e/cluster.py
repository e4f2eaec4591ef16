"""A real Ray head on this machine, started and stopped by pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


class Head:
    """A running head: its address and its processes."""

    def __init__(self, process: subprocess.Popen[bytes], address: str, dashboard: str) -> None:
        self.process, self.address, self.dashboard = process, address, dashboard

    def workers(self, *titles: str) -> list[psutil.Process]:
        """The Ray worker processes whose title (ray::Actor.method) begins with one of the given ones."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                title = " ".join(process.cmdline())
            except psutil.NoSuchProcess:
                continue
            if any(title.startswith(f"ray::{name}") for name in titles):
                found.append(process)
        return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def head(folder: Path, *, cpus: int = 2) -> Iterator[Head]:
    """Start `ray start --head` in its own process group and end that group afterwards."""
    port, dashboard = free_port(), free_port()
    command = [
        str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--disable-usage-stats",
        f"--port={port}", f"--dashboard-port={dashboard}", f"--dashboard-agent-listen-port={free_port()}",
        f"--metrics-export-port={free_port()}", f"--ray-client-server-port={free_port()}",
        "--min-worker-port=20000", "--max-worker-port=29999",
        f"--num-cpus={cpus}", f"--temp-dir={folder}",
    ]  # fmt: skip
    with (folder / "head.log").open("wb") as log:
        environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}  # tokens are test_submit.py's business
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=environment
        )
    try:
        _wait_for(port, process)
        _wait_for(dashboard, process)
        yield Head(process, f"127.0.0.1:{port}", f"http://127.0.0.1:{dashboard}")
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGTERM)
        for child in children:  # Ray puts its processes into groups of their own
            if child.is_running():
                child.terminate()
        _, alive = psutil.wait_procs([*children, psutil.Process(process.pid)], timeout=10)
        for child in alive:
            child.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "ray start ended early"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on port {port}")
