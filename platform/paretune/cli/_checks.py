"""What `paretune doctor` looks at: each check tells what it found and, where something is amiss, how to mend it.

What may crash or hang (importing torch, starting Ray) runs in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement

_GIB = 2**30
_NICENESS = "RAY_worker_niceness"  # Ray spells it so
_IMPORT_LIMIT_S = 120  # a cold import of torch from a slow disk can take a minute
_START_LIMIT_S = 180  # so can Ray's start, and more, on a busy machine

State = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis."""

    about: str
    state: State
    found: str
    hint: str | None = None


def examine(*, store: str, deep: bool) -> Iterator[Finding]:
    """Yield findings as they are made, quick ones first; `deep` starts a local Ray as well."""
    yield python()
    yield from packages()
    yield machine()
    yield shared_memory()
    yield niceness()
    yield threads()
    yield store_place(store)
    yield data_folder()
    yield torch_build()
    yield ray_start() if deep else ray_import()


def python() -> Finding:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be run by any Python
        return Finding("Python", "broken", version, "use Python 3.11 or newer")
    return Finding("Python", "ok", f"{version}, {sys.executable}")


def packages() -> Iterator[Finding]:
    """Each package that paretune needs, against the range it needs."""
    try:
        needed = [Requirement(line) for line in importlib.metadata.requires("paretune") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("packages", "warning", "paretune runs but is not installed", "make setup, or pip install -e .")
        return
    amiss = [finding for requirement in needed if (finding := _package(requirement)) is not None]
    yield from amiss
    if not amiss:
        yield Finding("packages", "ok", f"all {len(needed)} are there, in the versions needed")


def _package(requirement: Requirement) -> Finding | None:
    mend = f"pip install '{requirement}'"
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return None
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, "broken", "is not installed", mend)
    if not requirement.specifier.contains(version, prereleases=True):
        return Finding(requirement.name, "broken", f"{version}, but {requirement.specifier} is needed", mend)
    return None


def machine() -> Finding:
    cores, memory = len(os.sched_getaffinity(0)), memory_bytes()
    found = f"{cores} cores, {memory / _GIB:.1f} GiB of memory"
    if memory < 4 * _GIB:  # Ray's own processes and one torch worker take about 2 GiB
        return Finding("machine", "warning", found, "one trial at a time: --concurrency 1")
    return Finding("machine", "ok", found)


def memory_bytes() -> int:
    """The machine's memory, or what the control group leaves of it (a container, a batch job)."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return total if text == "max" else min(total, int(text))


def shared_memory(path: str = "/dev/shm", *, memory: int | None = None) -> Finding:
    """Ray's object store lives in /dev/shm and wants 30 % of the memory; else it falls back to the disk."""
    wanted = 0.3 * (memory_bytes() if memory is None else memory)
    if not Path(path).is_dir():
        return Finding(path, "warning", "is missing: Ray will use the disk instead, which is slower")
    free = shutil.disk_usage(path).free
    found = f"{free / _GIB:.1f} GiB free"
    if free < wanted:
        hint = f"in a container: --shm-size={wanted / _GIB:.0f}g; else Ray uses the disk, which is slower"
        return Finding(path, "warning", f"{found}, Ray wants {wanted / _GIB:.1f}", hint)
    return Finding(path, "ok", found)


def niceness() -> Finding:
    """Beside any other busy process, workers that are nicer than it starve; a local Ray is started with 0."""
    given = os.environ.get(_NICENESS, "0")
    if given != "0":
        found = f"{_NICENESS} is {given}: Ray's workers give way to every other process"
        return Finding("niceness", "warning", found, f"export {_NICENESS}=0")
    return Finding("niceness", "ok", "0 for the workers of a Ray that is started here")


def threads() -> Finding:
    """Every worker process starts this many threads, whatever share of the machine it has."""
    cores = len(os.sched_getaffinity(0))
    given = {name: os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if name in os.environ}
    if not given:
        return Finding("threads", "ok", "one per CPU of a worker, set by Ray")
    found = ", ".join(f"{name}={value}" for name, value in given.items())
    if any(not value.isdecimal() or int(value) > cores for value in given.values()):
        return Finding("threads", "warning", f"{found} on {cores} cores", f"unset {' '.join(given)}")
    return Finding("threads", "ok", found)


def store_place(store: str) -> Finding:
    location = store.removeprefix("file://")
    if "://" in location:
        return Finding("store", "ok", f"{store}: remote, tried when a study starts")
    folder = Path(location).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding("store", "broken", f"{existing} cannot be written", "choose another folder with --store")
    free = shutil.disk_usage(existing).free
    if free < _GIB:
        return Finding("store", "warning", f"{folder}: {free / _GIB:.2f} GiB free", "checkpoints may not fit")
    return Finding("store", "ok", f"{folder}: can be written, {free / _GIB:.0f} GiB free")


def data_folder() -> Finding:
    given = os.environ.get("PARETUNE_DATA")
    if given is None:
        return Finding("data", "ok", "PARETUNE_DATA is not set: data sets are fetched when first used")
    if not Path(given).is_dir():
        return Finding("data", "broken", f"PARETUNE_DATA={given} is no folder", "correct it, or unset PARETUNE_DATA")
    return Finding("data", "ok", f"PARETUNE_DATA={given}")


_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else []
print(json.dumps({"version": torch.__version__, "built_for": torch.version.cuda, "gpus": names}))
"""


def torch_build() -> Finding:
    said, trouble = _run(_TORCH, _IMPORT_LIMIT_S)
    if said is None:
        return Finding(
            "torch", "broken", f"cannot be imported: {trouble}", "install it again: pip install --force-reinstall torch"
        )
    if said["gpus"]:
        return Finding("torch", "ok", f"{said['version']}, {len(said['gpus'])} GPU(s): {', '.join(said['gpus'])}")
    if Path("/dev/nvidia0").exists():
        why = "its driver is not usable" if said["built_for"] else "this torch is built for CPUs only"
        hint = "try nvidia-smi" if said["built_for"] else "install a CUDA build of torch: pytorch.org tells which"
        return Finding("torch", "warning", f"{said['version']}: there is a GPU, but {why}", hint)
    return Finding("torch", "ok", f"{said['version']}, CPUs only")


_RAY_IMPORT = "import json, ray, ray.train, ray.tune; print(json.dumps({'version': ray.__version__}))"

_RAY_START = """
import json, sys, ray
ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=sys.argv[1])
print(json.dumps({"version": ray.__version__, "answer": ray.get(ray.remote(lambda: 42).remote())}))
ray.shutdown()
"""


def ray_import() -> Finding:
    said, trouble = _run(_RAY_IMPORT, _IMPORT_LIMIT_S)
    if said is None:
        return Finding("ray", "broken", f"cannot be imported: {trouble}", "pip install 'ray[tune,train,default]'")
    return Finding("ray", "ok", f"{said['version']}; --deep tries to start it")


def ray_start() -> Finding:
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        said, trouble = _run(_RAY_START, _START_LIMIT_S, folder)
    if said is None:
        return Finding("ray", "broken", f"does not start: {trouble}", "are memory, /dev/shm and /tmp large enough?")
    return Finding("ray", "ok", f"{said['version']}: started here and ran a task")


def _run(program: str, limit_s: float, *arguments: str) -> tuple[dict[str, Any] | None, str]:
    """The JSON on the last line that a Python program prints, or None and what went wrong."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, f"no answer within {limit_s:g} s"
    if process.returncode != 0:
        return None, (errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
    said: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return said, ""
