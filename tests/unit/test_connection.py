"""Finding a dashboard and being let in: every way to fail says what to do next."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from paretune.errors import ClusterError
from paretune.submit.connection import connect, find_address, find_token

Answer = Callable[[str | None], tuple[int, str]]
VERSION = json.dumps({"ray_version": "2.60.0"})


@contextmanager
def serving(answer: Answer) -> Iterator[tuple[str, list[str | None]]]:
    """An HTTP server that answers by the Authorization header; its address and the headers it was shown."""
    shown: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers["Authorization"])
            status, body = answer(shown[-1])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", shown
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize("given", ["http://head:8265", "https://ray.example.org", "http://10.0.0.1:8265/"])
def test_an_address_is_taken_as_given(given: str) -> None:
    assert find_address(given) == given.rstrip("/")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("head:8265", "http://head:8265"),
        ("head", "http://head:8265"),
        ("10.1.2.3:6379", "http://10.1.2.3:8265"),
        ("ray://head:10001", "http://head:8265"),
        ("auto", "http://head:8265"),
        ("", "http://head:8265"),
        ("http://", "http://head:8265"),
        ("http://head:port", "http://head:8265"),
        ("http://[::1", "http://head:8265"),
    ],
)
def test_another_kind_of_address_is_refused_with_a_guess(given: str, hint: str) -> None:
    with pytest.raises(ClusterError, match=r"^address: must be the dashboard's address") as caught:
        find_address(given)
    assert caught.value.hint is not None
    assert hint in caught.value.hint


def test_the_environments_address_counts_and_is_named_when_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClusterError, match="none was given"):
        find_address(None)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with pytest.raises(ClusterError, match=r"^RAY_ADDRESS: must be the dashboard's"):
        find_address(None)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://head:8265")
    assert find_address(None) == "http://head:8265"
    assert find_address("http://other:8265") == "http://other:8265"


def test_a_token_is_looked_for_in_rays_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_token() is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("from-home\n")
    assert find_token() == ("from-home", str(tmp_path / ".ray" / "auth_token"))
    (tmp_path / "elsewhere").write_text(" from-path ")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert find_token() == ("from-path", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("RAY_AUTH_TOKEN", "from-variable")
    assert find_token() == ("from-variable", "RAY_AUTH_TOKEN")


def test_a_token_file_that_was_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "missing"))
    with pytest.raises(ClusterError, match=r"RAY_AUTH_TOKEN_PATH: .*missing cannot be read"):
        find_token()


def test_a_token_is_shown_only_to_a_server_that_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with serving(lambda header: (200, VERSION)) as (address, shown):
        assert connect(address).headers == {}
    assert shown == [None]
    with serving(lambda header: (200, VERSION) if header == "Bearer secret" else (401, "no")) as (address, shown):
        connection = connect(address)
    assert connection.headers == {"Authorization": "Bearer secret"}
    assert connection.ray_version == "2.60.0"
    assert shown == [None, "Bearer secret"]


@pytest.mark.parametrize(
    "answer",
    [(200, "<html>a wiki</html>"), (200, "[]"), (200, "{}"), (404, "not here"), (500, ""), (302, "")],
)
def test_a_stranger_is_not_taken_for_ray(answer: tuple[int, str]) -> None:
    with (
        serving(lambda header: answer) as (address, _),
        pytest.raises(ClusterError, match=f"must be a Ray dashboard.*HTTP status {answer[0]}"),
    ):
        connect(address)


def test_a_server_that_does_not_speak_http_is_a_stranger() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail ready\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(ClusterError, match="must be a Ray dashboard"):
            connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ClusterError, match=r"cannot be reached: .*refused") as caught:
        connect(f"http://127.0.0.1:{port}")
    assert "dashboard" in str(caught.value.hint)
