"""A small S3: enough of the REST protocol for object_store, conditional puts and multipart uploads included, in memory.

Buckets are the first part of a path. No authentication, and listings have one page.
"""

from __future__ import annotations

import email.utils
import hashlib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave together
    server: _Server

    def log_message(self, *args: Any) -> None:
        """Keep quiet."""

    def do_PUT(self) -> None:
        data, query = self._body(), self._query
        with self.server.lock:
            if "uploadId" in query:
                self.server.parts[query["uploadId"], int(query["partNumber"])] = data
                self._answer(200, headers={"ETag": _etag(data)})
                return
            if self.headers.get("If-None-Match") == "*" and self._key in self.server.objects:
                self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            self.server.objects[self._key] = (data, time.time())
        self._answer(200, headers={"ETag": _etag(data)})

    def do_GET(self) -> None:
        if self._query.get("list-type") == "2":
            self._answer(200, self._listing())
            return
        found = self.server.objects.get(self._key)
        if found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        data, modified_s = found
        headers = {"ETag": _etag(data), "Last-Modified": email.utils.formatdate(modified_s, usegmt=True)}
        wanted = self.headers.get("Range")
        if wanted is None:
            self._answer(200, data, headers)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else len(data) - int(last)
        end = int(last) + 1 if first and last else len(data)
        end = min(end, len(data))
        self._answer(206, data[start:end], headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        with self.server.lock:
            self.server.objects.pop(self._key, None)
        self._answer(204)

    def do_POST(self) -> None:
        body, query = self._body(), self._query
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self._answer(
                200,
                f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>".encode(),
            )
        elif "uploadId" in query:
            self._complete(query["uploadId"])
        else:
            self._delete_many(body)

    def _complete(self, upload: str) -> None:
        with self.server.lock:
            numbers = sorted(number for key, number in self.server.parts if key == upload)
            data = b"".join(self.server.parts.pop((upload, number)) for number in numbers)
            self.server.objects[self._key] = (data, time.time())
        self._answer(
            200,
            f"<CompleteMultipartUploadResult><ETag>{escape(_etag(data))}</ETag></CompleteMultipartUploadResult>".encode(),
        )

    def _delete_many(self, body: bytes) -> None:
        request = ElementTree.fromstring(body)
        keys = [element.text or "" for element in request.iter() if element.tag.rpartition("}")[2] == "Key"]
        bucket = self._key.strip("/")
        with self.server.lock:
            for key in keys:
                self.server.objects.pop(f"{bucket}/{key}", None)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    @property
    def _query(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _listing(self) -> bytes:
        query, bucket = self._query, self._key.strip("/")
        prefix, delimiter, after = query.get("prefix", ""), query.get("delimiter"), query.get("start-after", "")
        files, folders = [], set()
        with self.server.lock:
            for path, (data, modified_s) in sorted(self.server.objects.items()):
                key = path.removeprefix(f"{bucket}/")
                if not path.startswith(f"{bucket}/") or not key.startswith(prefix) or key <= after:
                    continue
                inner, separator, _ = key[len(prefix) :].partition(delimiter or "\0")
                if separator:
                    folders.add(prefix + inner + separator)
                    continue
                modified = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(modified_s))
                files.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{modified}</LastModified>"
                    f"<ETag>{escape(_etag(data))}</ETag><Size>{len(data)}</Size></Contents>"
                )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders)
        )
        return f"<ListBucketResult>{''.join(files)}{common}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Run one in a process of its own; yields the environment that points a client at it.

    In this process it could deadlock: deltalake holds the interpreter's lock while it waits for small files.
    """
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
    finally:
        process.stdin.close()  # which ends it
        process.wait()
        process.stdout.close()


def main() -> None:
    """Serve until standard input closes, as it does when the parent dies."""
    server = _Server()
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
