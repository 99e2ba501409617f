"""Image work in real processes."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import uvloop

from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Fit, Limits, Rendered, ThumbnailSpec
from mediasvc.core.pictures.thumbnail import placeholders, render
from mediasvc.core.pictures.whole import inspect, read_header
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.errors import (
    MediaError,
    Overloaded,
    ProcessingTimeout,
    StoreFailed,
    TooManyPixels,
    Undecodable,
    UnsupportedMedia,
)
from tests.support import pictures
from tests.support.waiting import still_waits, until

LIMITS = Limits()
PHOTO = pictures.saved(pictures.photograph(300, 200), "JPEG", quality=95)
SMALL = ThumbnailSpec(Size(100, 100))
# Writing this as AVIF at full size takes some seconds.
SLOW = pictures.saved(pictures.photograph(300, 200).resize((6000, 4000)), "JPEG")
SLOWLY = ThumbnailSpec(None, format=OutputFormat.AVIF)


@pytest.fixture
async def image_processes() -> AsyncIterator[ImageProcesses]:
    async with ImageProcesses(processes=2, queue_depth=64, timeout_s=20, limits=LIMITS) as pool:
        yield pool


def pool(**options: object) -> ImageProcesses:
    chosen: dict[str, object] = {"processes": 1, "queue_depth": 8, "timeout_s": 20, "limits": LIMITS}
    return ImageProcesses(**(chosen | options))  # type: ignore[arg-type]


def ticks(pid: int) -> int:
    """Processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_a_picture_is_described_and_scaled_as_in_this_process(image_processes: ImageProcesses) -> None:
    specs = [
        SMALL,
        ThumbnailSpec(Size(50, 50), Fit.COVER, OutputFormat.AUTO, 70, 2, frozenset({Format.WEBP})),
        ThumbnailSpec(None, format=OutputFormat.PNG),
        ThumbnailSpec(Size(300, 300)),
    ]

    done = await image_processes.process(PHOTO, specs, placeholder=True)

    assert done.picture == inspect(PHOTO, LIMITS)
    assert list(done.thumbnails) == [render(PHOTO, spec, LIMITS) for spec in specs]
    # The same, whatever is made beside them.
    alone = await image_processes.process(PHOTO, placeholder=True)
    assert (alone.thumbhash, alone.dominant) == placeholders(PHOTO, read_header(PHOTO, LIMITS))
    assert (done.thumbhash, done.dominant) == (alone.thumbhash, alone.dominant)


async def test_a_pool_that_is_not_eager_starts_processes_when_there_is_work_for_them() -> None:
    async with pool(processes=2, eager=False) as image_processes:
        assert image_processes.pids() == ()
        await image_processes.process(PHOTO, [SMALL])
        assert len(image_processes.pids()) == 1
        await asyncio.gather(*(image_processes.process(PHOTO, [SMALL]) for _ in range(8)))
        assert len(image_processes.pids()) == 2

    async with pool(eager=False):
        pass


async def test_a_file_is_read_by_the_process_itself(image_processes: ImageProcesses, tmp_path: Path) -> None:
    file = tmp_path / "näme with blanks"
    file.write_bytes(PHOTO)

    assert await image_processes.process(file, [SMALL]) == await image_processes.process(PHOTO, [SMALL])
    with pytest.raises(StoreFailed) as failure:
        await image_processes.process(tmp_path / "gone", [SMALL])
    assert str(tmp_path) not in str(failure.value)


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (b"<!doctype html>", UnsupportedMedia, "unknown"),
        (PHOTO[:-100], Undecodable, "truncated"),
        (pictures.bomb_png(50_000, 50_000), TooManyPixels, "pixels"),
        (b"", UnsupportedMedia, "unknown"),
    ],
)
async def test_a_failure_arrives_as_what_it_is(
    image_processes: ImageProcesses, data: bytes, kind: type[MediaError], reason: str
) -> None:
    before = image_processes.pids()

    with pytest.raises(kind) as failure:
        await image_processes.process(data, [SMALL])

    assert type(failure.value) is kind
    assert failure.value.reason == reason
    assert image_processes.pids() == before


async def test_a_thumbnail_that_fails_leaves_the_others_alone(image_processes: ImageProcesses) -> None:
    broken = bytearray(pictures.saved(pictures.photograph(300, 200), "PNG"))
    broken[len(broken) // 2] ^= 0xFF

    done = await image_processes.process(
        bytes(broken), [ThumbnailSpec(Size(300, 200)), SMALL], placeholder=True
    )

    assert done.thumbnails[0] == Rendered(None, Format.PNG, 300, 200)
    assert isinstance(done.thumbnails[1], Undecodable)
    assert (done.thumbhash, done.dominant) == (None, None)


async def test_limits_are_those_of_the_pool() -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='3' height='4'/>"

    async with pool(limits=Limits(max_pixels=1000, allow_svg=True)) as few:
        assert (await few.process(svg)).picture.format is Format.SVG
        with pytest.raises(TooManyPixels):
            await few.process(PHOTO)


async def test_more_than_the_queue_holds_is_refused_at_once_with_a_time_to_come_back() -> None:
    async with pool(processes=1, queue_depth=3) as small:
        answers = await asyncio.gather(
            *(small.process(PHOTO, [SMALL]) for _ in range(10)), return_exceptions=True
        )

        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert len(refused) == 6
        assert all(answer.retry_after_s and answer.retry_after_s >= 1 for answer in refused)
        assert (await small.process(PHOTO)).picture.width == 300


async def test_the_deadline_ends_the_process_and_the_next_picture_gets_a_new_one() -> None:
    async with pool(timeout_s=0.3) as hasty:
        before = hasty.pids()

        with pytest.raises(ProcessingTimeout):
            await hasty.process(SLOW, [SLOWLY])

        assert (await hasty.process(PHOTO, [SMALL])).thumbnails
        assert hasty.pids() != before
        assert not Path(f"/proc/{before[0]}").exists()


async def test_processor_time_is_limited_by_the_kernel_too() -> None:
    async with pool(timeout_s=60) as patient:
        await patient.process(PHOTO)

        limits = Path(f"/proc/{patient.pids()[0]}/limits").read_text().splitlines()
        soft = next(line.split()[3] for line in limits if line.startswith("Max cpu time"))
        assert 60 <= int(soft) <= 64


async def test_a_caller_that_leaves_does_not_disturb_the_next() -> None:
    async with pool() as one:
        await one.process(PHOTO)
        before = one.pids()
        leaving = asyncio.create_task(one.process(SLOW, [ThumbnailSpec(Size(1500, 1500))]))
        queued = asyncio.create_task(one.process(SLOW, [SLOWLY]))
        await still_waits(leaving)
        await still_waits(queued)
        leaving.cancel()
        queued.cancel()

        done = await one.process(PHOTO, [SMALL])

        assert done.thumbnails == (render(PHOTO, SMALL, LIMITS),)
        assert one.pids() == before


def _is_up(image_processes: ImageProcesses) -> bool:
    return image_processes.health() is None and bool(image_processes.pids())


async def test_a_process_that_has_grown_or_grown_old_is_replaced_between_two_requests() -> None:
    async with pool(max_rss_bytes=1) as growing, pool(max_requests=2) as ageing:
        seen = {growing: [growing.pids()], ageing: [ageing.pids()]}
        for _ in range(4):
            for each, pids in seen.items():
                assert (await each.process(PHOTO, [SMALL])).picture.width == 300
                await until(partial(_is_up, each))
                pids.append(each.pids())

        assert len(set(seen[growing])) == 5
        assert len(set(seen[ageing])) == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_processes_leave_what_ends_the_whole_job_to_their_parent(number: signal.Signals) -> None:
    async with pool(processes=2) as image_processes:
        pids = image_processes.pids()
        for pid in pids:
            os.kill(pid, number)
        assert (await image_processes.process(PHOTO, [SMALL])).thumbnails
        assert image_processes.pids() == pids

    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with pytest.raises(Overloaded):
        await image_processes.process(PHOTO)
    assert image_processes.health()


async def test_leaving_the_pool_finishes_what_runs_and_refuses_what_waits() -> None:
    async with pool(processes=1) as one:
        await one.process(PHOTO)
        running = asyncio.create_task(one.process(SLOW, [ThumbnailSpec(Size(1500, 1500))]))
        waiting = [asyncio.create_task(one.process(PHOTO, [SMALL])) for _ in range(3)]
        (pid,) = one.pids()
        before = ticks(pid)
        await until(lambda: ticks(pid) > before + 2)

    assert (await running).thumbnails
    for late in waiting:
        with pytest.raises(Overloaded):
            await late


async def test_leaving_by_an_exception_waits_for_nothing() -> None:
    one = pool(processes=1)
    await one.__aenter__()
    pids = one.pids()
    before = ticks(pids[0])
    running = asyncio.create_task(one.process(SLOW, [SLOWLY]))
    await until(lambda: ticks(pids[0]) > before + 2)
    started = asyncio.get_running_loop().time()
    await one.__aexit__(ZeroDivisionError, ZeroDivisionError(), None)

    with pytest.raises(Overloaded):
        await running
    assert asyncio.get_running_loop().time() - started < 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def test_a_process_holds_no_secret_no_foreign_descriptor_and_no_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never to be seen")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)

        async with pool() as one:
            await one.process(PHOTO, [SMALL])
            (pid,) = one.pids()
            process = Path(f"/proc/{pid}")
            assert b"never to be seen" not in (process / "environ").read_bytes()
            targets = [os.readlink(link) for link in (process / "fd").iterdir()]
            assert sum(target.startswith("socket:") for target in targets) == 1
            interfaces = (process / "net/dev").read_text().splitlines()[2:]
            assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]
            assert os.readlink(process / "ns/net") != os.readlink("/proc/self/ns/net")
            limits = (process / "limits").read_text()
            assert any(
                line.split()[3] == str(2 << 30) for line in limits.splitlines() if "address space" in line
            )
            assert any(line.split()[4] == "0" for line in limits.splitlines() if "core file" in line)


def test_the_pool_works_on_uvloop_too() -> None:
    async def work() -> tuple[int, bool]:
        async with pool(timeout_s=0.3) as one:
            first = await one.process(PHOTO, [SMALL])
            with pytest.raises(ProcessingTimeout):
                await one.process(SLOW, [SLOWLY])
            return first.picture.width, bool((await one.process(PHOTO, [SMALL])).thumbnails)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == (300, True)
