"""Image processes die, all at once or one by one, and so does their parent."""

import asyncio
import os
import signal
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Limits, ThumbnailSpec
from mediasvc.effects.imaging.pool import ImageProcesses
from mediasvc.errors import MediaError, Poisonous, Undecodable
from tests.support import pictures
from tests.support.programs import REPOSITORY, program
from tests.support.waiting import still_waits, until

LIMITS = Limits()
PHOTO = pictures.saved(pictures.photograph(900, 600), "JPEG", quality=95)
SMALL = ThumbnailSpec(Size(200, 200))


def pool(**options: object) -> ImageProcesses:
    chosen: dict[str, object] = {"processes": 2, "queue_depth": 500, "timeout_s": 20, "limits": LIMITS}
    return ImageProcesses(**(chosen | options))  # type: ignore[arg-type]


def is_running(pid: int) -> bool:
    """Neither gone nor a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def test_killing_a_busy_process_under_load_costs_exactly_its_one_image() -> None:
    async with pool() as image_processes:
        await image_processes.process(PHOTO)
        slow = ThumbnailSpec(Size(900, 900), format=OutputFormat.AVIF)
        tasks = [asyncio.create_task(image_processes.process(PHOTO, [slow])) for _ in range(40)]
        await until(lambda: sum(task.done() for task in tasks) >= 4)
        victim = image_processes.pids()[0]

        os.kill(victim, signal.SIGSTOP)  # so that it is in the middle of a request, whatever the timing
        await until(lambda: sum(task.done() for task in tasks) >= 12)
        os.kill(victim, signal.SIGKILL)
        answers = await asyncio.gather(*tasks, return_exceptions=True)

        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        assert [type(answer) for answer in failed] == [Poisonous]
        assert isinstance(failed[0], Undecodable)
        assert len(image_processes.pids()) == 2
        assert victim not in image_processes.pids()


async def test_a_process_killed_while_idle_costs_no_image() -> None:
    async with pool() as image_processes:
        for _ in range(3):
            for pid in image_processes.pids():
                os.kill(pid, signal.SIGKILL)

            answers = await asyncio.gather(*(image_processes.process(PHOTO, [SMALL]) for _ in range(6)))

            assert all(answer.thumbnails for answer in answers)


async def test_dead_processes_are_replaced_without_being_asked() -> None:
    async with pool() as image_processes:
        before = set(image_processes.pids())
        for pid in before:
            os.kill(pid, signal.SIGKILL)

        await until(lambda: len(set(image_processes.pids()) - before) == 2)

        assert image_processes.health() is None


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP"])
async def test_more_memory_than_allowed_is_the_pictures_failure_and_the_process_lives_on(format: str) -> None:
    large = pictures.saved(Image.new("RGB", (8000, 7000), "white"), format)

    async with pool(processes=1, memory_bytes=230 << 20) as image_processes:
        before = image_processes.pids()

        done = (await asyncio.gather(image_processes.process(large, [SMALL]), return_exceptions=True))[0]

        failure = done if isinstance(done, BaseException) else done.thumbnails[0]
        assert isinstance(failure, Undecodable)
        assert (await image_processes.process(PHOTO, [SMALL])).thumbnails
        assert failure.reason == "poison" or image_processes.pids() == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
async def test_no_process_outlives_its_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        program("image_processes"),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(parent.stdout.readline)).split()]
        assert len(pids) == 3
        assert all(map(is_running, pids))

        parent.send_signal(how)

        await until(lambda: parent.poll() is not None and not any(map(is_running, pids)))


async def test_no_process_outlives_a_stopped_parents_death_in_the_middle_of_a_request() -> None:
    async with pool(processes=1) as image_processes:
        (pid,) = image_processes.pids()
        os.kill(pid, signal.SIGSTOP)
        task = asyncio.create_task(image_processes.process(PHOTO, [SMALL]))
        await still_waits(task)
        os.kill(pid, signal.SIGCONT)

        assert (await task).thumbnails


async def test_a_picture_that_kills_every_process_does_not_stop_the_others() -> None:
    async with pool(timeout_s=5) as image_processes:
        await image_processes.process(PHOTO)
        slow = ThumbnailSpec(Size(900, 900), format=OutputFormat.AVIF)
        deadly = [asyncio.create_task(image_processes.process(PHOTO, [slow])) for _ in range(3)]
        for task in deadly:  # each is the next victim
            while not task.done():
                for pid in image_processes.pids():
                    os.kill(pid, signal.SIGKILL)
                await asyncio.wait({task}, timeout=0.5)

        outcomes = await asyncio.gather(*deadly, return_exceptions=True)
        healthy = await image_processes.process(PHOTO, [SMALL])

        assert all(isinstance(outcome, MediaError) or outcome.thumbnails for outcome in outcomes)  # type: ignore[union-attr]
        assert healthy.thumbnails
