"""`paretune submit | jobs | logs | stop`: studies on a cluster, over Ray's job API."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paretune.cli._options import Until, stopping
from paretune.errors import InputError

if TYPE_CHECKING:
    from paretune.submit._base import Job
    from paretune.submit.ray_job import RayJobs

Address = Annotated[
    str | None,
    typer.Option(
        help="The cluster's dashboard, http://head:8265. Else RAY_API_SERVER_ADDRESS, else RAY_ADDRESS.",
        show_default=False,
    ),
]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="A job's name, as `paretune jobs` shows it.")]


@stopping
def submit(
    spec: Annotated[str, typer.Argument(help="A spec file, or a trainable's name.")],
    until: Until,
    address: Address = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show its output and end as it ends.")] = False,
    store: Annotated[
        str | None,
        typer.Option(help="Where results go: a URI or a folder all nodes share. A relative one: the head node's home."),
    ] = None,
    working_dir: Annotated[
        Path | None, typer.Option(help="The folder to send. Else this one if it holds the spec, else the spec's own.")
    ] = None,
    env: Annotated[list[str] | None, typer.Option(metavar="NAME[=VALUE]", help="A variable for the job.")] = None,
    installed: Annotated[
        bool, typer.Option("--installed", help="Use the paretune installed on the cluster, send none.")
    ] = False,
) -> None:
    """Run a study on a cluster."""
    from paretune.cli import _specs

    changes = _specs.changes({**until.settings("search."), "store": store}, ())
    _specs.read(spec, changes)  # a bad spec answers before the cluster is asked
    path, variables = _specs.locate(spec), _environment(env or [])
    cluster = _cluster(address)
    job = cluster.submit(path, changes, working_dir=working_dir, env=variables, ship=not installed)
    where = " on the head node" if (job.report or "").startswith("~") else ""
    typer.echo(f"{job.id}: study {job.study}, report will be {job.report}{where}")
    if not wait:
        typer.echo(f"paretune logs {job.id} --follow --address {cluster.address}")
        return
    raise typer.Exit(_wait(cluster, job))


def jobs(address: Address = None) -> None:
    """List the cluster's studies, the newest first."""
    from rich.console import Console
    from rich.table import Table

    cluster = _cluster(address)
    table = Table("job", "study", "status", "started", "seconds", "report", box=None, pad_edge=False)
    for job in cluster.jobs():
        started = "" if job.started_s is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(job.started_s))
        table.add_row(job.id, job.study, job.status, started, _seconds(job), job.report or "")
    if table.row_count:
        Console().print(table)
    else:
        typer.echo(f"no study has run on {cluster.address}")


def logs(
    job: JobId,
    address: Address = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Show a job's output."""
    for piece in _cluster(address).logs(job, follow=follow):
        _write(piece)


def stop(job: JobId, address: Address = None) -> None:
    """End a job as Ctrl-C would: what has finished is kept, and the study can be resumed."""
    was = _cluster(address).stop(job)
    typer.echo(f"{was.id}: has {was.status} already" if was.ended else f"{was.id}: asked to stop")


def _cluster(address: str | None) -> RayJobs:
    from paretune.submit.ray_job import RayJobs

    return RayJobs(address)


def _environment(pairs: list[str]) -> dict[str, str]:
    """`NAME=VALUE`, or `NAME` for the value it has here."""
    result = {}
    for pair in pairs:
        name, given, value = pair.partition("=")
        if not name or (not given and name not in os.environ):
            raise InputError(f"--env: must be NAME=VALUE, or NAME of a variable set here, got {pair!r}")
        result[name] = value if given else os.environ[name]
    return result


def _wait(cluster: RayJobs, job: Job) -> int:
    try:
        ended = cluster.wait(job.id, _write)
    except KeyboardInterrupt:
        typer.echo(f"\n{job.id} goes on without us; to end it: paretune stop {job.id} --address {cluster.address}")
        return 130
    typer.echo(f"{job.id}: {ended.status}")
    return ended.exit_code


def _seconds(job: Job) -> str:
    return "" if job.started_s is None else f"{(job.ended_s or time.time()) - job.started_s:.0f}"


def _write(piece: str) -> None:
    sys.stdout.write(piece)
    sys.stdout.flush()
