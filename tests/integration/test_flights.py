"""What flights do over every kind of lock, among tasks and among processes."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from pathlib import Path

import pytest

from mediasvc.effects.locks import Locks
from mediasvc.effects.locks.files import FileLocks
from mediasvc.effects.locks.redis import RedisLocks
from mediasvc.effects.locks.single_flight import SingleFlight
from mediasvc.engines.redis import RedisLink
from mediasvc.errors import SourceFailed
from tests.support.programs import REPOSITORY, program
from tests.support.servers import Valkey
from tests.support.waiting import still_waits, until

LEASE_S = 1.0

Open = Callable[[], SingleFlight]
current: ContextVar[str] = ContextVar("current")


@pytest.fixture(params=["file", "redis"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The kind of lock, and its file or URL."""
    if request.param == "file":
        yield "file", str(tmp_path / "locks")
    else:
        yield "redis", request.getfixturevalue("valkey").url


@pytest.fixture
async def open_flights(where: tuple[str, str]) -> AsyncIterator[Open]:
    """Opens flights as one more process would."""
    async with contextlib.AsyncExitStack() as stack:

        def one_more() -> SingleFlight:
            kind, place = where
            locks: Locks
            if kind == "file":
                locks = FileLocks(Path(place))
            else:
                link = RedisLink(place, timeout_s=5)
                stack.push_async_callback(link.close)
                locks = RedisLocks(link, lease_s=LEASE_S)
            flights = SingleFlight(locks)
            stack.push_async_callback(flights.close)
            return flights

        yield one_more


@contextlib.asynccontextmanager
async def holder(where: tuple[str, str], key: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *program("lock_holder", *where, LEASE_S, key), cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class Work:
    """Counts how often it runs, and goes on when it is told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.now = 0
        self.most = 0
        self.cancelled = 0
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> int:
        self.runs += 1
        self.now += 1
        self.most = max(self.most, self.now)
        self.started.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return self.runs


async def settle(flights: SingleFlight, key: str, passengers: int) -> None:
    """Returns when so many callers wait for a key."""

    def are_all_aboard() -> bool:
        flight = flights._flights.get(key)
        return flight is not None and flight.callers == passengers

    await until(are_all_aboard)


async def test_tasks_that_ask_for_the_same_share_one_run(open_flights: Open) -> None:
    flights, work = open_flights(), Work()

    callers = [asyncio.create_task(flights.run("source:a", work)) for _ in range(500)]
    await settle(flights, "source:a", 500)
    work.go_on.set()

    assert await asyncio.gather(*callers) == [1] * 500
    assert work.runs == 1


async def test_work_that_is_over_is_not_shared_with_later_callers(open_flights: Open) -> None:
    flights, work = open_flights(), Work()
    work.go_on.set()

    assert await flights.run("source:a", work) == 1
    assert await flights.run("source:a", work) == 2


async def test_different_keys_run_side_by_side(open_flights: Open) -> None:
    flights, work = open_flights(), Work()

    callers = [asyncio.create_task(flights.run(f"source:{n}", work)) for n in range(50)]
    await until(lambda: work.now == 50)
    work.go_on.set()
    await asyncio.gather(*callers)

    assert work.most == 50


async def test_all_callers_get_the_error_and_the_next_one_tries_again(open_flights: Open) -> None:
    flights, work = open_flights(), Work()

    async def fail() -> int:
        await work()
        raise SourceFailed("broken")

    callers = [asyncio.create_task(flights.run("source:a", fail)) for _ in range(5)]
    await settle(flights, "source:a", 5)
    work.go_on.set()

    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SourceFailed] * 5
    assert await flights.run("source:a", work) == 2


@pytest.mark.parametrize("who", ["the first", "a waiter"])
async def test_a_caller_that_goes_away_does_not_end_the_work_of_the_others(
    open_flights: Open, who: str
) -> None:
    flights, work = open_flights(), Work()
    callers = [asyncio.create_task(flights.run("source:a", work)) for _ in range(3)]
    await settle(flights, "source:a", 3)
    await work.started.wait()

    leaver = callers.pop(0 if who == "the first" else 2)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    work.go_on.set()

    assert await asyncio.gather(*callers) == [1, 1]
    assert work.cancelled == 0


async def test_the_last_caller_to_go_away_ends_the_work(open_flights: Open) -> None:
    flights, work = open_flights(), Work()
    callers = [asyncio.create_task(flights.run("source:a", work)) for _ in range(3)]
    await settle(flights, "source:a", 3)
    await work.started.wait()

    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    assert work.cancelled == 1
    work.go_on.set()
    assert await flights.run("source:a", work) == 2


async def test_work_may_run_work_of_another_key(open_flights: Open) -> None:
    flights = open_flights()

    async def inner() -> str:
        await asyncio.sleep(0)
        return "original"

    async def outer() -> str:
        return await flights.run("source:a", inner) + " made small"

    keys = [f"rendition:{n}" for n in range(20)]
    assert await asyncio.gather(*(flights.run(key, outer) for key in keys)) == ["original made small"] * 20


async def test_the_work_runs_in_the_context_of_the_first_caller(open_flights: Open) -> None:
    flights = open_flights()
    current.set("the first")

    async def work() -> str:
        await asyncio.sleep(0)
        return current.get()

    assert await flights.run("source:a", work) == "the first"


async def test_processes_take_turns_at_a_key(open_flights: Open) -> None:
    processes, work = [open_flights() for _ in range(4)], Work()

    callers = [asyncio.create_task(flights.run("source:a", work)) for flights in processes]
    await work.started.wait()
    work.go_on.set()

    assert sorted(await asyncio.gather(*callers)) == [1, 2, 3, 4]
    assert work.most == 1


async def test_a_waiter_of_another_process_is_woken_soon(open_flights: Open) -> None:
    first, second, work = open_flights(), open_flights(), Work()
    leader = asyncio.create_task(first.run("source:a", work))
    await work.started.wait()

    async def now() -> float:
        await asyncio.sleep(0)
        return time.monotonic()

    waiter = asyncio.create_task(second.run("source:a", now))
    await still_waits(waiter, 0.3)  # so that it has long been waiting
    work.go_on.set()
    await leader
    let_go = time.monotonic()

    assert await waiter - let_go < 0.2


async def test_a_cancelled_holder_lets_go_at_once(open_flights: Open) -> None:
    first, second, work = open_flights(), open_flights(), Work()
    leader = asyncio.create_task(first.run("source:a", work))
    await work.started.wait()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    work.go_on.set()

    started = time.monotonic()
    assert await second.run("source:a", work) == 2
    assert time.monotonic() - started < 0.5


async def test_a_cancelled_waiter_leaves_no_lock_behind(open_flights: Open) -> None:
    first, second, work = open_flights(), open_flights(), Work()
    leader = asyncio.create_task(first.run("source:a", work))
    await work.started.wait()
    waiters = [asyncio.create_task(second.run("source:a", work)) for _ in range(3)]
    await settle(second, "source:a", 3)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    work.go_on.set()
    await leader

    assert await second.run("source:a", work) == 2


async def test_a_holder_that_is_killed_is_taken_over(open_flights: Open, where: tuple[str, str]) -> None:
    flights, work = open_flights(), Work()
    work.go_on.set()

    async with holder(where, "source:a") as process:
        waiter = asyncio.create_task(flights.run("source:a", work))
        await still_waits(waiter, LEASE_S * 1.5)  # the holder lives and renews its lease
        assert work.runs == 0
        process.kill()
        killed = time.monotonic()
        await waiter

    assert time.monotonic() - killed < (0.3 if where[0] == "file" else LEASE_S + 0.5)


async def test_one_empty_file_is_all_that_is_left(tmp_path: Path) -> None:
    flights = SingleFlight(FileLocks(tmp_path / "new" / "lock"))

    async def work() -> None:
        await asyncio.sleep(0)

    await asyncio.gather(*(flights.run(f"source:{n}", work) for n in range(200)))
    async with holder(("file", str(tmp_path / "new" / "lock")), "source:dead") as process:
        process.kill()
        await process.wait()

    assert [(path.name, path.stat().st_size) for path in (tmp_path / "new").iterdir()] == [("lock", 0)]


async def test_a_file_that_somebody_removed_is_made_anew(tmp_path: Path) -> None:
    first, second = FileLocks(tmp_path / "lock"), FileLocks(tmp_path / "lock")
    async with first.lock("source:a"), second.lock("source:b"):
        (tmp_path / "lock").unlink()

    async with first.lock("source:a"):
        waiter = asyncio.create_task(SingleFlight(second).run("source:a", Work()))
        await still_waits(waiter, 0.2)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)


async def test_what_is_held_at_the_end_is_let_go_of(tmp_path: Path) -> None:
    first, second = FileLocks(tmp_path / "lock"), FileLocks(tmp_path / "lock")

    async with first.lock("source:a"):
        await first.close()
        async with second.lock("source:a"), first.lock("source:b"):
            pass

    async with second.lock("source:a"):
        pass


async def test_a_forked_child_does_not_keep_its_parents_lock(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *program("lock_holder", "file", tmp_path / "lock", LEASE_S, "source:a", "fork"),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    process.kill()
    killed = time.monotonic()

    async with FileLocks(tmp_path / "lock").lock("source:a"):
        assert time.monotonic() - killed < 1
    os.killpg(process.pid, signal.SIGKILL)
    await process.communicate()


async def test_without_a_folder_for_locks_the_work_is_done_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("a file where a folder should be")
    flights, work = SingleFlight(FileLocks(tmp_path / "locks" / "lock")), Work()
    work.go_on.set()

    assert await flights.run("source:a", work) == 1


@pytest.mark.parametrize(
    "plant", [("SET", "KEY", "x"), ("LPUSH", "KEY", "x"), ("SET", "KEY", "x", "EX", "3600")]
)
async def test_a_lock_that_nobody_of_ours_holds_is_not_waited_for(
    valkey: Valkey, plant: tuple[str, ...]
) -> None:
    link = RedisLink(valkey.url, timeout_s=5)
    locks = RedisLocks(link)
    work = Work()
    work.go_on.set()
    async with locks.lock("source:a"):
        key = next(line for line in valkey.ask("KEYS", "mediasvc:lock:*").split("\r\n") if "lock:" in line)
    valkey.ask(*(key if word == "KEY" else word for word in plant))

    started = time.monotonic()
    assert await SingleFlight(locks).run("source:a", work) == 1

    assert time.monotonic() - started < 1
    await link.close()


async def test_locks_that_nobody_waits_for_are_not_announced_and_leave_no_key(valkey: Valkey) -> None:
    link = RedisLink(valkey.url, timeout_s=5)
    flights = SingleFlight(RedisLocks(link))
    work = Work()
    work.go_on.set()
    valkey.ask("CONFIG", "RESETSTAT")

    for n in range(20):
        await flights.run(f"source:{n}", work)

    assert "cmdstat_publish" not in valkey.ask("INFO", "commandstats")
    assert valkey.ask("DBSIZE") == ":0\r\n"
    await flights.close()
    await link.close()
