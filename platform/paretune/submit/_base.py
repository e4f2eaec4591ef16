"""What every way of running a study on a cluster has in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

JobStatus: TypeAlias = Literal["pending", "running", "succeeded", "failed", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A study's job on a cluster, as it stood when it was asked for. Times are seconds since the epoch."""

    id: str
    study: str
    status: JobStatus
    report: str | None = None
    started_s: float | None = None
    ended_s: float | None = None
    message: str | None = None
    driver_exit_code: int | None = None

    @property
    def ended(self) -> bool:
        return self.status in ("succeeded", "failed", "stopped")

    @property
    def exit_code(self) -> int:
        """What waiting for the job ends with: the study's own exit code, 130 when it was stopped."""
        if self.status == "stopped":
            return 130
        if self.status == "failed":
            return self.driver_exit_code if self.driver_exit_code in (1, 2, 130) else 1
        return 0


class Submitter(Protocol):
    """Runs studies on one cluster. Every method raises ClusterError when the cluster refuses or cannot be reached."""

    def submit(
        self,
        spec_path: Path,
        changes: Mapping[str, Any] | None = None,
        *,
        working_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        ship: bool = True,
    ) -> Job:
        """Check the spec here with the changes to it, send it with the code it needs, and start it there."""

    def jobs(self) -> list[Job]:
        """The cluster's jobs that run studies, the newest first."""

    def job(self, job_id: str) -> Job:
        """One job as it stands now."""

    def logs(self, job_id: str, *, follow: bool = False) -> Iterator[str]:
        """The job's output in pieces as they come; with `follow` until the job ends."""

    def stop(self, job_id: str) -> Job:
        """Ask the job to end as Ctrl-C would; does not wait for it."""
