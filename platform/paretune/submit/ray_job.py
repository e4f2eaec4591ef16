"""A study as a job of a running Ray cluster, over the dashboard's job API.

The job is this paretune (sent along as a module, whether or not the cluster has one), the working directory, and the
command `python -m paretune run SPEC`. Ray gives the command the cluster's address and token through its environment.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import paretune
from paretune import study
from paretune.errors import ClusterError
from paretune.monitor import job as job_metadata
from paretune.submit import working_dir as folder
from paretune.submit._base import Job, JobStatus
from paretune.submit.connection import Connection, connect, find_address

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_POLL_S = 0.5
_STOP = {
    # `paretune stop` is Ctrl-C: running trials are recorded and the study can be resumed. Ray's own default is
    # SIGTERM and three seconds.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    "RAY_JOB_STOP_WAIT_TIME_S": "60",
}


class RayJobs:
    """The `Submitter` for Ray's job API.

    Raises ClusterError, from the start, when the address is wrong, nothing or something else answers there, or the
    token is missing or not accepted.
    """

    def __init__(self, address: str | None = None, *, token: str | None = None) -> None:
        self._connection: Connection = connect(find_address(address), token=token)
        self._client: JobSubmissionClient = self._connection.client()

    @property
    def address(self) -> str:
        return self._connection.address

    def submit(
        self,
        spec_path: Path,
        changes: Mapping[str, Any] | None = None,
        *,
        working_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        ship: bool = True,
        command: Sequence[str] = ("python", "-m", "paretune"),
    ) -> Job:
        """Send a spec and what it needs, and start it.

        `changes` replace what the spec says, `{"search": {"trials": 60}}`. A store that is a relative path lies in the
        home folder of the head node, since the job's own folder is Ray's to delete. `ship` False uses the paretune
        installed on the cluster; `command` is how to call it there. Raises InputError for a bad spec, before anything
        is sent, and ClusterError.
        """
        spec = study.load(spec_path, changes)
        root = folder.choose(spec_path, working_dir)
        _check_code_travels(spec.trainable, spec_path, root)
        self._check_version()
        place, shown = _place(spec.store)
        run = [*command, "run", spec_path.resolve().relative_to(root).as_posix(), *_settings(changes or {})]
        with tempfile.TemporaryDirectory() as scratch:
            archive = Path(scratch) / "working_dir.zip"
            folder.pack(root, archive, leave=[root / spec.store])
            with self._translated():
                job_id = self._client.submit_job(
                    entrypoint=f"exec {shlex.join(run)} --store {place}",
                    runtime_env=_runtime_env(archive, env=env or {}, ship=ship),
                    metadata=job_metadata.metadata(spec.name, shown),
                )
        return self.job(job_id)

    def jobs(self) -> list[Job]:
        """Its jobs that run studies, the newest first: those submitted and those a driver started itself."""
        with self._translated():
            details = self._client.list_jobs()
        ours = [_job(entry) for entry in details if job_metadata.STUDY in (entry.metadata or {})]
        return sorted(ours, key=lambda job: -(job.started_s or 0.0))

    def job(self, job_id: str) -> Job:
        """One job as it stands now; ClusterError when there is none of that name."""
        with self._translated(job_id):
            return _job(self._client.get_job_info(job_id))

    def logs(self, job_id: str, *, follow: bool = False) -> Iterator[str]:
        """The job's output in pieces; with `follow` as it comes, until the job ends."""
        with self._translated(job_id):
            if follow:
                yield from _followed(self._client, job_id)
            else:
                yield self._client.get_job_logs(job_id)

    def wait(self, job_id: str, write: Callable[[str], object]) -> Job:
        """Pass the job's output to `write` until the job has ended; how it ended."""
        for piece in self.logs(job_id, follow=True):
            write(piece)
        while not (job := self.job(job_id)).ended:  # its output ends a little before its status says so
            time.sleep(_POLL_S)
        return job

    def stop(self, job_id: str) -> Job:
        """Ask the job to end as Ctrl-C would; does not wait. A job that has ended already is left as it is."""
        with self._translated(job_id):
            self._client.stop_job(job_id)
        return self.job(job_id)

    def _check_version(self) -> None:
        here, there = version("ray"), self._connection.ray_version
        if here.split(".")[:2] != there.split(".")[:2]:
            raise ClusterError(
                f"{self.address}: the cluster must run Ray {here}, as this machine does, found {there}",
                hint="install the same Ray on both sides",
            )

    @contextmanager
    def _translated(self, job_id: str | None = None) -> Iterator[None]:
        """Ray's client's errors as ours."""
        import aiohttp
        from ray.exceptions import AuthenticationError

        try:
            yield
        except (OSError, aiohttp.ClientError) as error:
            going = "" if job_id is None else f"; a running job goes on without us: paretune logs {job_id} --follow"
            raise ClusterError(
                f"{self.address}: the connection broke: {type(error).__name__}: {error}",
                hint=f"see whether the cluster is still up{going}",
            ) from error
        except AuthenticationError as error:
            raise ClusterError(f"{self.address}: {str(error).splitlines()[0]}") from error
        except RuntimeError as error:  # what Ray's client makes of every refusal
            if job_id is not None and "status code 404" in str(error):
                raise ClusterError(
                    f"{self.address}: has no job {job_id!r}", hint="`paretune jobs` lists them"
                ) from None
            raise ClusterError(f"{self.address}: {error}") from error


def _check_code_travels(trainable: str, spec_path: Path, root: Path) -> None:
    """Raise ClusterError when the training function is in a file that stays behind."""
    file = Path(trainable.rpartition(":")[0])
    if file.suffix != ".py":
        return
    places = [(base / file).resolve() for base in (spec_path.resolve().parent, root)]
    if file.is_absolute() or not any(place.is_relative_to(root) and place.is_file() for place in places):
        raise ClusterError(
            f"{spec_path}: trainable: must be a file in the working directory that is sent, {root}, got {file}",
            hint="give its path from the spec's folder, and with --working-dir a folder that holds both",
        )


def _settings(changes: Mapping[str, Any]) -> list[str]:
    """The changes within the spec's parts as options of `run`; the store has one of its own."""
    parts = {part: fields for part, fields in changes.items() if isinstance(fields, Mapping)}
    given = [f"{part}.{field}={json.dumps(value)}" for part, fields in parts.items() for field, value in fields.items()]
    return [word for setting in given for word in ("--set", setting)]


def _place(store: str) -> tuple[str, str]:
    """A store as a word of the job's shell command, and as people read it."""
    if "://" in store or Path(store).is_absolute():
        return shlex.quote(store), store
    below = Path(store.removeprefix("~/")).as_posix()
    return f'"$HOME"/{shlex.quote(below)}', f"~/{below}"


def _runtime_env(archive: Path, *, env: Mapping[str, str], ship: bool) -> dict[str, Any]:
    shipped = {"py_modules": [str(Path(paretune.__file__).parent)], "excludes": ["__pycache__"]} if ship else {}
    return {"working_dir": str(archive), "env_vars": {**_STOP, **env}, **shipped}


def _job(details: Any) -> Job:
    """Ray's JobDetails as ours; its times are milliseconds."""
    metadata = details.metadata or {}
    return Job(
        id=details.submission_id or details.job_id,
        study=metadata.get(job_metadata.STUDY, ""),
        status=cast(JobStatus, str(details.status).lower()),
        report=metadata.get(job_metadata.REPORT),
        started_s=details.start_time / 1000 if details.start_time else None,
        ended_s=details.end_time / 1000 if details.end_time else None,
        message=details.message,
        driver_exit_code=details.driver_exit_code,
    )


def _followed(client: JobSubmissionClient, job_id: str) -> Iterator[str]:
    """Ray's asynchronous stream of log pieces as a plain iterator."""
    stream = client.tail_job_logs(job_id)

    async def piece() -> str | None:
        return await anext(stream, None)

    with asyncio.Runner() as runner:
        while (text := runner.run(piece())) is not None:
            yield text
