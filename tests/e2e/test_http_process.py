"""The processes of the service: starting, ending, replacing, and dying."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.service import Service, ask, eventually, image_path

URL = "http://news.example/pictures/a.jpg"
PATH = image_path(URL, "600x400")


def run(service: Service) -> tuple[int, str]:
    """A start that is expected to fail: its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "mediasvc", "serve"],
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    service.__exit__(None, None, None)
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_port_in_use_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        code, said = run(Service(PORT=str(port)))

    assert code == 2
    assert said.count("\n") == 1
    assert f"{port} is in use" in said


def test_two_services_do_not_share_a_port_without_a_word(world: Origin) -> None:
    with Service(world) as first:
        code, said = run(Service(PORT=str(first.port)))

    assert (code, "is in use" in said) == (2, True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_listening_beyond_loopback_needs_keys_or_a_word_of_consent(host: str) -> None:
    code, said = run(Service(HOST=host))

    assert code == 2
    assert "SIGNING_KEYS" in said
    assert "ALLOW_UNSIGNED" in said


def test_with_a_key_unsigned_requests_are_refused_on_loopback_too_and_a_short_key_is_warned_of(
    world: Origin,
) -> None:
    unsigned = [image_path(URL), f"/v1/image?url={URL}"]

    with Service(world, SIGNING_KEYS="00ff") as keyed:
        keyed_codes = [keyed.get(path).code for path in unsigned]
        line = next(line for line in keyed.lines if "settings.open_door" in line)
    with Service(world, SIGNING_KEYS="00ff", ALLOW_UNSIGNED="true") as open_too:
        open_statuses = [open_too.get(path).status for path in unsigned]

    assert keyed_codes == ["bad_signature"] * 2
    assert "MEDIASVC_SIGNING_KEYS: key 1 has 2 bytes" in line
    assert open_statuses == [200, 200]


def test_an_address_that_is_not_ours_is_told(world: Origin) -> None:
    code, said = run(Service(HOST="192.0.2.1", ALLOW_UNSIGNED="true"))

    assert code == 2
    assert "MEDIASVC_HOST" in said
    assert "Traceback" not in said


def test_a_data_folder_that_cannot_be_made_is_told_once_for_all_processes(world: Origin) -> None:
    code, said = run(Service(DATA_DIR="/dev/null/data", WORKERS="2"))

    assert code == 2
    assert said == "mediasvc: MEDIASVC_DATA_DIR: cannot make the folder /dev/null/data\n"


def test_one_process_for_each_worker_on_one_port(world: Origin) -> None:
    with Service(world, WORKERS="3") as service:
        prefixes = {service.get("/healthz").headers["x-request-id"].partition("-")[0] for _ in range(60)}

        assert len(service.servers()) == 3
        assert len(prefixes) == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_an_idle_service_ends_at_once(world: Origin, number: signal.Signals, code: int) -> None:
    with Service(world, WORKERS="2") as service:
        open_connection = service.connect()
        assert ask(open_connection, "GET", PATH).status == 200
        everyone = [psutil.Process(service.pid), *psutil.Process(service.pid).children(recursive=True)]
        began = time.monotonic()

        service.signal(number)

        assert service.wait() == code
        assert time.monotonic() - began < 10
        _, left = psutil.wait_procs(everyone, timeout=5)
        assert left == []
        assert "Traceback" not in "".join(service.lines)
        open_connection.close()


def test_a_service_that_is_told_to_end_while_it_starts_ends_without_a_word(world: Origin) -> None:
    service = Service(world, WORKERS="2")
    process = subprocess.Popen(
        [sys.executable, "-m", "mediasvc", "serve"],
        env=service.environment,
        cwd=service.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: (service.folder / "data" / "index.sqlite").exists(), 60)
        process.terminate()
        _, said = process.communicate(timeout=45)
    finally:
        process.kill()
        service.__exit__(None, None, None)

    assert (process.returncode, said) == (0, "")


def test_what_is_under_way_finishes_before_the_service_ends(world: Origin) -> None:
    gate = Gate()
    world.on("/slow.jpg", Reply(body=jpeg("slow"), hold=gate))
    with Service(world) as service:
        service.get(PATH)
        statuses: list[int] = []
        under_way = threading.Thread(
            target=lambda: statuses.append(service.get(image_path("http://news.example/slow.jpg")).status)
        )
        under_way.start()
        world.wait_hits("/slow.jpg", 1)

        service.signal(signal.SIGTERM)

        eventually(lambda: service.get("/readyz").status == 503)
        ready, alive = service.get("/readyz"), service.get("/healthz")
        refused = service.get(image_path("http://news.example/pictures/new.jpg"))
        hit = service.get(PATH)
        gate.open()
        under_way.join()
        assert service.wait() == 0
        assert ready.code == "overloaded"
        assert "draining" in ready.json["degraded"]
        assert "draining" in ready.json["reasons"]
        assert alive.status == 200
        assert (refused.status, refused.code) == (503, "overloaded")
        assert refused.headers["retry-after"]
        assert refused.headers["connection"] == "close"
        assert hit.status == 200
        assert statuses == [200]


def test_a_large_reply_that_is_being_sent_is_sent_to_its_end(world: Origin) -> None:
    large = jpeg("large") + bytes(20_000_000)
    world.on("/large.jpg", Reply(body=large))
    path = image_path("http://news.example/large.jpg")
    with Service(world) as service:
        length = int(service.ask("HEAD", path).headers["content-length"])
        with socket.create_connection(("127.0.0.1", service.port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            head = connection.recv(1000)
            service.signal(signal.SIGTERM)
            eventually(lambda: service.get("/readyz").status == 503)
            received = len(head)
            while piece := connection.recv(1 << 20):
                received += len(piece)

        assert service.wait() == 0
        assert received == length + head.index(b"\r\n\r\n") + 4


def test_a_second_word_ends_it_at_once(world: Origin) -> None:
    gate = Gate()
    world.on("/held.jpg", Reply(hold=gate, status=404))
    with Service(world) as service:
        connection = service.connect()
        connection.request("GET", image_path("http://news.example/held.jpg"))
        world.wait_hits("/held.jpg", 1)
        service.signal(signal.SIGTERM)
        eventually(lambda: service.get("/readyz").status == 503)
        began = time.monotonic()

        service.signal(signal.SIGTERM)

        assert service.wait() == 0
        assert time.monotonic() - began < 10
        connection.close()
        gate.open()


class Load:
    """Requests without pause from several threads, each with a connection that it keeps while it may."""

    def __init__(self, service: Service, paths: list[str]) -> None:
        self.service = service
        self.paths = paths
        self.statuses: list[int] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self) -> None:
        connection = self.service.connect()
        number = 0
        while not self._stop.is_set():
            try:
                self.statuses.append(ask(connection, "GET", self.paths[number % len(self.paths)]).status)
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))
                connection.close()
            number += 1
        connection.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_sighup_replaces_every_process_and_no_request_is_lost(world: Origin) -> None:
    with Service(world, WORKERS="2") as service:
        assert service.get(PATH).status == 200
        before = {server.pid for server in service.servers()}
        with Load(service, [PATH, "/healthz", image_path(URL, "60x40,keep")]) as load:
            service.signal(signal.SIGHUP)
            service.wait_line("restart.done")
            eventually(lambda: before.isdisjoint({server.pid for server in service.servers()}), 20)
            after = {server.pid for server in service.servers()}

        assert len(after) == 2
        assert load.failures == []
        assert set(load.statuses) == {200}
        assert len(load.statuses) > 100


def test_a_dead_process_is_replaced_and_only_its_own_requests_are_lost(world: Origin) -> None:
    with Service(world, WORKERS="2") as service:
        assert service.get(PATH).status == 200
        victim, survivor = service.servers()
        with Load(service, [PATH]) as load:
            eventually(lambda: len(load.statuses) > 100)
            metrics = Path(survivor.environ()["PROMETHEUS_MULTIPROC_DIR"])
            assert list(metrics.glob(f"gauge_livesum_{victim.pid}.db"))
            victim.kill()
            service.wait_line("server_process.died")
            eventually(lambda: len(service.servers()) == 2)
            reached = len(load.statuses)
            eventually(lambda: len(load.statuses) > reached + 500)

        # At most the four connections that the dead one had.
        assert len(load.failures) <= 4
        assert set(load.statuses) == {200}
        assert survivor.is_running()
        text = service.get("/metrics").body.decode()
        assert "mediasvc_http_requests_in_progress" in text
        # What it was busy with is not counted any more.
        assert not list(metrics.glob(f"gauge_live*_{victim.pid}.db"))
        assert list(metrics.glob(f"gauge_livesum_{survivor.pid}.db"))


def test_a_process_that_keeps_dying_is_started_less_and_less_often(world: Origin) -> None:
    with Service(world) as service:
        waits = []
        for _ in range(3):
            service.servers()[0].kill()
            line = service.wait_line("server_process.died")
            waits.append(float(line.split("again_in_s=")[1].split()[0]))
            eventually(lambda: service.servers() != [] and service.get("/healthz").status == 200)

        assert waits == [0.5, 1.0, 2.0]


def test_nothing_is_left_when_the_parent_is_killed(world: Origin) -> None:
    with Service(world, WORKERS="2") as service:
        everyone = psutil.Process(service.pid).children(recursive=True)
        assert len(everyone) >= 4

        os.kill(service.pid, signal.SIGKILL)

        _, left = psutil.wait_procs(everyone, timeout=10)
        assert left == []
