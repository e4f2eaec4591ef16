"""Finding a cluster's dashboard and being let in: the address, the token, and one clear error for each way to fail.

Ray's own client takes RAY_API_SERVER_ADDRESS and RAY_ADDRESS over the address it is given, sends no token unless
RAY_AUTH_MODE says so, and reports a stranger's server in that server's words. So the dashboard is asked for its
version first, without a token and then, only if it wants one, with it.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paretune.errors import ClusterError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

_ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_EXAMPLE = "http://head:8265"
_TIMEOUT_S = 15.0
# They announce every archive and every closed connection by its internal name.
_TALKERS = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_GET_TOKEN = "print the cluster's with `ray get-auth-token` on its head node, and set RAY_AUTH_TOKEN here"


@dataclass(frozen=True, slots=True)
class Connection:
    """A dashboard that answers, its Ray's version, and the headers it wants."""

    address: str
    ray_version: str
    headers: Mapping[str, str]

    def client(self) -> JobSubmissionClient:
        from ray.job_submission import JobSubmissionClient

        for talker in _TALKERS:
            logging.getLogger(talker).setLevel(logging.WARNING)
        with _without(_ADDRESS_VARIABLES):
            return JobSubmissionClient(self.address, headers=dict(self.headers))


def find_address(address: str | None) -> str:
    """The dashboard's address: the one given, else RAY_API_SERVER_ADDRESS, else RAY_ADDRESS.

    Raises ClusterError when there is none, or when it is not of the form http(s)://host[:port].
    """
    if address is not None:
        return _checked(address, "address")
    for variable in _ADDRESS_VARIABLES:
        if value := os.environ.get(variable):
            return _checked(value, variable)
    raise ClusterError(
        "address: a cluster's dashboard is needed, none was given",
        hint=f"--address {_EXAMPLE}, or set RAY_API_SERVER_ADDRESS",
    )


def find_token() -> tuple[str, str] | None:
    """The token and where it was found, in Ray's order: RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.

    Raises ClusterError when RAY_AUTH_TOKEN_PATH names a file that cannot be read.
    """
    if token := os.environ.get("RAY_AUTH_TOKEN", "").strip():
        return token, "RAY_AUTH_TOKEN"
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    path = Path(named) if named else Path.home() / ".ray" / "auth_token"
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if named:
            raise ClusterError(f"RAY_AUTH_TOKEN_PATH: {path} cannot be read: {error}", hint=_GET_TOKEN) from None
        return None
    return (token, str(path)) if token else None


def connect(address: str, *, token: str | None = None) -> Connection:
    """Ask the dashboard who it is; show a token only when it wants one.

    Raises ClusterError when it cannot be reached, is no Ray dashboard, or does not accept the token.
    """
    status, body = _ask(address, {})
    headers: dict[str, str] = {}
    if status == 401:
        found = (token, "given") if token else find_token()
        if found is None:
            raise ClusterError(f"{address}: the cluster wants a token, none was found here", hint=_GET_TOKEN)
        headers = {"Authorization": f"Bearer {found[0]}"}
        status, body = _ask(address, headers)
        if status in (401, 403):
            raise ClusterError(f"{address}: the cluster does not accept the token ({found[1]})", hint=_GET_TOKEN)
    try:
        return Connection(address, str(json.loads(body)["ray_version"]), headers)
    except (ValueError, KeyError, TypeError):
        raise ClusterError(
            f"{address}: must be a Ray dashboard, but something else answers there (HTTP status {status})",
            hint="`ray status` on the head node shows the cluster, 8265 is the dashboard's usual port",
        ) from None


def _checked(address: str, source: str) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return address.rstrip("/")
        # "head:8265" is read as a scheme called head; "ray://head:10001" and "head:6379" are other doors of a cluster.
        host = parts.hostname or ("" if parts.netloc or "//" in address else address.partition(":")[0])
    except ValueError:  # a port that is no number, a bracket that is not closed
        host = ""
    raise ClusterError(
        f"{source}: must be the dashboard's address, http://host:port, got {address!r}",
        hint=_EXAMPLE if host in ("", "auto") else f"http://{host}:8265, if the dashboard has its usual port",
    )


def _ask(address: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """The status and body of GET /api/version."""
    request = urllib.request.Request(f"{address}/api/version", headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except http.client.HTTPException:
        return 0, b""  # it answers, but does not speak HTTP
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ClusterError(
            f"{address}: cannot be reached: {reason}",
            hint="is the cluster up, and its dashboard open to others (ray start --head --dashboard-host=0.0.0.0)?",
        ) from None


@contextmanager
def _without(variables: tuple[str, ...]) -> Iterator[None]:
    """Hide environment variables for a moment."""
    hidden = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
