"""Disks that are full or read-only, and a Redis and an S3 that hang, die and come back, all under load."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediasvc.core.formats import Format
from mediasvc.core.picture import Picture
from mediasvc.core.records.index_entry import Entry
from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.blobs.fronted import FrontedBlobs
from mediasvc.effects.blobs.object_store import open_object_store
from mediasvc.effects.index.redis import RedisIndex
from mediasvc.effects.locks.redis import RedisLocks
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.engines.redis import RedisLink
from mediasvc.errors import StoreFailed
from tests.support.programs import REPOSITORY, program, with_a_disk_of_its_own
from tests.support.servers import TAKES_NO_WRITES, SeaweedS3, Valkey
from tests.support.waiting import still_waits, until

NOW = datetime.now(UTC)
MIB = 1024 * 1024


def entry(url: str) -> Entry:
    later = NOW + timedelta(hours=1)
    digest = hashlib.sha256(url.encode()).hexdigest()
    return Entry(url, digest, Picture(Format.JPEG, 1, 1, 1), NOW, later, later, later, None, None, None)


@pytest.mark.parametrize("day", ["full", "read-only"])
async def test_a_bad_disk_costs_the_keeping_and_nothing_else(tmp_path: Path, day: str) -> None:
    command = with_a_disk_of_its_own(program("stores_on_a_small_disk", tmp_path, day))

    process = await asyncio.create_subprocess_exec(
        *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()


async def done() -> str:
    return "done"


async def waited() -> str:
    return "waited"


class Load:
    """Asks the same again and again from several tasks, and keeps what each asking took and gave."""

    def __init__(self, ask: Callable[[int], Awaitable[object]]) -> None:
        self._ask = ask
        self._tasks: list[asyncio.Task[None]] = []
        self.answers: list[tuple[float, float, bool]] = []
        self.wrong: list[BaseException] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._go_on(number)) for number in range(8)]
        await self.recovered(1)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self.wrong == []

    async def _go_on(self, number: int) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._ask(number)
                self.answers.append((started, time.monotonic() - started, True))
            except StoreFailed:
                self.answers.append((started, time.monotonic() - started, False))
            except Exception as error:
                self.wrong.append(error)
                return
            number += 8
            await asyncio.sleep(0.005)  # a pace that leaves the server time for others

    async def recovered(self, within_s: float) -> None:
        """Returns when all of several askings in a row succeed."""
        began = len(self.answers)
        await until(
            lambda: len(self.answers) - began > 20 and all(ok for _, _, ok in self.answers[-16:]),
            within_s + 3,
        )

    async def goes_on_until(self, moment: float) -> None:
        """Returns when something that was asked at that moment or later has been answered."""
        await until(lambda: self.answers[-1][0] >= moment)

    def since(self, moment: float) -> list[tuple[float, float, bool]]:
        return [answer for answer in self.answers if answer[0] >= moment]


@pytest.fixture
async def link(own_valkey: Valkey) -> AsyncIterator[RedisLink]:
    link = RedisLink(own_valkey.url)
    yield link
    await link.close()


async def put_and_get(index: RedisIndex, number: int) -> None:
    url = f"https://a.example/{number}"
    await index.put_source(entry(url))
    assert await index.source(url) in (entry(url), None)  # None: emptied in between


@pytest.mark.parametrize("fault", ["hangs", "dies"])
async def test_the_index_fails_fast_while_redis_is_away_and_recovers(
    own_valkey: Valkey, link: RedisLink, fault: str
) -> None:
    index = RedisIndex(link)
    async with Load(lambda number: put_and_get(index, number)) as load:
        for _ in range(2):
            own_valkey.pause() if fault == "hangs" else own_valkey.kill()
            away = time.monotonic()
            await load.goes_on_until(away + 3)
            during = load.since(away + 0.1)
            assert during
            assert not any(ok for _, _, ok in during)
            assert max(took for _, took, _ in during) < 1.2
            # Nearly all are told at once, for it is known to be away.
            assert sorted(took for _, took, _ in during)[len(during) * 9 // 10] < 0.05
            assert await index.health() is not None

            own_valkey.resume() if fault == "hangs" else own_valkey.start()
            back = time.monotonic()
            await load.recovered(3)
            assert time.monotonic() - back < 4
            assert await index.health() is None


@pytest.mark.parametrize(("hurt", "heal", "word"), TAKES_NO_WRITES.values(), ids=TAKES_NO_WRITES)
async def test_a_redis_that_takes_no_writes_still_answers(
    own_valkey: Valkey, link: RedisLink, hurt: tuple[str, ...], heal: tuple[str, ...], word: str
) -> None:
    index = RedisIndex(link)
    known = entry("https://a.example/known")
    await index.put_source(known)
    assert own_valkey.ask(*hurt) == "+OK\r\n"

    for _ in range(5):
        with pytest.raises(StoreFailed):
            await index.put_source(entry("https://a.example/new"))
        assert await index.source(known.url) == known
    assert await index.health() == f"Redis: {word}"
    flights = SingleFlight(RedisLocks(link))
    assert await flights.run("source:a", done) == "done"

    assert own_valkey.ask(*heal) == "+OK\r\n"
    await index.put_source(entry("https://a.example/new"))
    assert await index.health() is None
    await flights.close()


async def test_a_redis_that_wants_another_password_is_said_to_and_used_when_it_does_not(
    own_valkey: Valkey, link: RedisLink
) -> None:
    own_valkey.ask("CONFIG", "SET", "requirepass", "another")
    index = RedisIndex(link)
    assert await index.health() == "Redis: the password is refused"

    own_valkey.kill()
    own_valkey.start()

    async def is_well() -> bool:
        return await index.health() is None

    await until(is_well)


async def test_an_emptied_redis_is_an_empty_index(own_valkey: Valkey, link: RedisLink) -> None:
    index = RedisIndex(link)
    async with Load(lambda number: put_and_get(index, number)) as load:
        for _ in range(5):
            emptied = time.monotonic()
            own_valkey.ask("FLUSHALL")
            await load.recovered(1)
            assert all(ok for _, _, ok in load.since(emptied))


@pytest.mark.parametrize("fault", ["hangs", "dies"])
async def test_without_redis_work_is_done_without_a_lock_and_soon(
    own_valkey: Valkey, link: RedisLink, fault: str
) -> None:
    flights = SingleFlight(RedisLocks(link))
    held = asyncio.Event()
    go_on = asyncio.Event()

    async def long_work() -> str:
        held.set()
        await go_on.wait()
        return "long"

    other_link = RedisLink(own_valkey.url)
    other = SingleFlight(RedisLocks(other_link))
    holder = asyncio.create_task(flights.run("source:long", long_work))
    await held.wait()
    waiter = asyncio.create_task(other.run("source:long", waited))
    await still_waits(waiter, 0.2)
    own_valkey.pause() if fault == "hangs" else own_valkey.kill()
    away = time.monotonic()

    assert await flights.run("source:new", done) == "done"
    assert await waiter == "waited"
    assert time.monotonic() - away < 5
    go_on.set()
    assert await holder == "long"

    own_valkey.resume() if fault == "hangs" else own_valkey.start()

    async def is_well() -> bool:
        return await link.health() is None

    await until(is_well, 5)
    assert await flights.run("source:new", done) == "done"
    for part in (flights, other, other_link):
        await part.close()


@pytest.mark.parametrize("fault", ["hangs", "dies"])
async def test_while_the_store_is_away_what_is_at_hand_is_read_and_the_rest_fails_soon(
    own_s3: SeaweedS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    for name, value in own_s3.environment.items():
        monkeypatch.setenv(name, value)
    locals_ = [FileBlobs(tmp_path / name, 100 * MIB) for name in ("one", "two")]
    here, there = (FrontedBlobs(open_object_store(own_s3.url("x")), local, timeout_s=1) for local in locals_)
    at_hand = await here.put(os.urandom(2 * MIB))
    elsewhere = await there.put(b"elsewhere")

    own_s3.pause() if fault == "hangs" else own_s3.kill()
    for attempt in range(8):
        for ask in (here.read(elsewhere), here.path(elsewhere), here.put(b"new")):
            started = time.monotonic()
            with pytest.raises(StoreFailed):
                await ask
            assert time.monotonic() - started < (1.5 if attempt == 0 else 1.2)
        started = time.monotonic()
        data = await here.read(at_hand)
        assert data is not None
        assert await here.path(at_hand) is not None
        assert time.monotonic() - started < 0.5
    assert await here.health() == "the object store does not answer"

    own_s3.resume() if fault == "hangs" else own_s3.start()

    async def is_back() -> bool:
        try:
            assert await here.read(elsewhere) == b"elsewhere"
            await here.put(b"new")
        except StoreFailed:
            return False
        return True

    await until(is_back)
    assert await here.health() is None
    for local in locals_:
        await local.close()
