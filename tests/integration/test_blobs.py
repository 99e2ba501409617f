"""What every place for blobs does, and what only a folder of files does."""

import asyncio
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import obstore
import pytest

from mediasvc.effects.blobs import Blobs
from mediasvc.effects.blobs.file_store import FileBlobs
from mediasvc.effects.blobs.fronted import FrontedBlobs
from mediasvc.effects.blobs.object_store import ObjectStore, open_object_store
from mediasvc.errors import InvalidSettings, StoreFailed
from tests.support.clouds import Azurite, FakeGcs
from tests.support.servers import SeaweedS3

MIB = 1024 * 1024
ABSENT = hashlib.sha256(b"never kept").hexdigest()


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("??/*") if path.is_file()]


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[FileBlobs]:
    blobs = FileBlobs(tmp_path / "blobs", 100 * MIB)
    yield blobs
    await blobs.close()


AnyStore = SeaweedS3 | Azurite | FakeGcs


def own_part(store: AnyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ObjectStore]:
    """Opens the part of the store that belongs to this test."""
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    prefix = f"tests/{tmp_path.name}-{secrets.token_hex(4)}"
    return lambda: open_object_store(store.url(prefix))


@pytest.fixture
def open_objects(
    store: AnyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], ObjectStore]:
    """See own_part, of each object store in turn."""
    return own_part(store, tmp_path, monkeypatch)


@pytest.fixture(params=["files", "s3", "az", "gs"])
async def blobs(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Blobs]:
    local = FileBlobs(tmp_path / "blobs", 100 * MIB)
    if request.param == "files":
        yield local
    else:
        store = request.getfixturevalue(request.param)
        yield FrontedBlobs(own_part(store, tmp_path, monkeypatch)(), local)
    await local.close()


async def test_bytes_come_back_under_their_sha256(blobs: Blobs) -> None:
    digest = await blobs.put(b"a picture")

    assert digest == sha(b"a picture")
    assert await blobs.read(digest) == b"a picture"
    assert await blobs.size(digest) == 9


async def test_what_was_never_kept_is_absent(blobs: Blobs) -> None:
    assert await blobs.read(ABSENT) is None
    assert await blobs.path(ABSENT) is None
    assert await blobs.size(ABSENT) is None
    await blobs.delete(ABSENT)


@pytest.mark.parametrize(
    "name", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "\n", "é" * 64]
)
async def test_a_name_that_is_no_digest_is_absent(blobs: Blobs, name: str) -> None:
    assert await blobs.read(name) is None
    assert await blobs.path(name) is None
    assert await blobs.size(name) is None
    await blobs.delete(name)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, 3 * MIB + 5, 7 * MIB])
async def test_bytes_that_come_in_pieces_are_kept_whole(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)

    async with blobs.incoming() as incoming:
        for start in range(0, size, 65_537):
            await incoming.write(data[start : start + 65_537])
        assert incoming.digest() == sha(data)
        digest = await incoming.keep()

    assert digest == sha(data)
    assert await blobs.read(digest) == data
    path = await blobs.path(digest)
    assert path is not None
    assert path.read_bytes() == data


@pytest.mark.parametrize("size", [10, 3 * MIB])
async def test_incoming_bytes_can_be_looked_at_before_they_are_kept(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)

    async with blobs.incoming() as incoming:
        await incoming.write(data[: size // 2])
        await incoming.write(data[size // 2 :])
        source = await incoming.source()
        assert (source if isinstance(source, bytes) else source.read_bytes()) == data
        assert await blobs.read(sha(data)) is None
        await incoming.keep()

    assert await blobs.read(sha(data)) == data


async def test_what_is_not_kept_leaves_nothing_behind(blobs: Blobs) -> None:
    async with blobs.incoming() as incoming:
        await incoming.write(os.urandom(3 * MIB))
        source = await incoming.source()

    assert isinstance(source, Path)
    assert not source.exists()
    assert await blobs.read(incoming.digest()) is None


@pytest.mark.parametrize("before", [10, 3 * MIB])
@pytest.mark.parametrize("after", [10, 3 * MIB])
async def test_a_retry_begins_anew(blobs: Blobs, before: int, after: int) -> None:
    data = os.urandom(after)

    async with blobs.incoming() as incoming:
        await incoming.write(os.urandom(before))
        await incoming.restart()
        await incoming.write(data)
        digest = await incoming.keep()

    assert digest == sha(data)
    assert await blobs.read(digest) == data


async def test_keeping_the_same_bytes_twice_is_keeping_them_once(blobs: Blobs) -> None:
    digests = await asyncio.gather(*(blobs.put(b"the same" * 1000) for _ in range(20)))

    assert set(digests) == {sha(b"the same" * 1000)}
    assert await blobs.read(digests[0]) == b"the same" * 1000


async def test_a_deleted_blob_is_absent_and_can_be_kept_again(blobs: Blobs) -> None:
    digest = await blobs.put(b"gone soon")
    await blobs.delete(digest)

    assert await blobs.read(digest) is None
    assert await blobs.path(digest) is None

    await blobs.put(b"gone soon")
    assert await blobs.read(digest) == b"gone soon"


async def test_a_caller_that_goes_away_while_writing_leaves_nothing_behind(
    blobs: Blobs, tmp_path: Path
) -> None:
    started = asyncio.Event()

    async def write_for_ever() -> None:
        async with blobs.incoming() as incoming:
            while True:
                await incoming.write(os.urandom(MIB))
                started.set()

    task = asyncio.create_task(write_for_ever())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert list(tmp_path.rglob("tmp/*")) == []


async def test_a_working_store_is_healthy(blobs: Blobs) -> None:
    assert await blobs.health() is None


async def test_a_blob_lies_in_a_folder_of_its_first_digits(files: FileBlobs, tmp_path: Path) -> None:
    digest = await files.put(b"x")

    assert await files.path(digest) == tmp_path / "blobs" / digest[:2] / digest


async def test_files_have_no_url_of_their_own(files: FileBlobs) -> None:
    assert await files.presigned_url(await files.put(b"x"), 60) is None


@pytest.mark.parametrize("damage", ["cut", "emptied", "flipped", "grown"])
@pytest.mark.parametrize("how", ["read", "path", "size"])
async def test_a_damaged_blob_is_set_aside_and_never_served(tmp_path: Path, damage: str, how: str) -> None:
    first = FileBlobs(tmp_path, 100 * MIB)
    data = os.urandom(5000)
    digest = await first.put(data)
    (file,) = blob_files(tmp_path)
    hurt = {"cut": data[:-1], "emptied": b"", "flipped": b"\0" + data[1:], "grown": data + b"x"}[damage]
    if hurt == data:
        hurt = b"\1" + data[1:]
    file.write_bytes(hurt)

    for blobs in (
        first,
        FileBlobs(tmp_path, 100 * MIB),
    ):  # changed under a running process; found by a new one
        assert await getattr(blobs, how)(digest) is None
        assert blob_files(tmp_path) == []
        assert len(list((tmp_path / "quarantine").iterdir())) == 1
        await blobs.put(data)
        assert await blobs.read(digest) == data
        (file,) = blob_files(tmp_path)
        file.write_bytes(hurt)
        for left in (tmp_path / "quarantine").iterdir():
            left.unlink()
        await blobs.close()


async def test_verify_finds_exactly_the_damaged_blobs(files: FileBlobs, tmp_path: Path) -> None:
    digests = [await files.put(os.urandom(3000)) for _ in range(20)]
    for digest in digests[:3]:
        (tmp_path / "blobs" / digest[:2] / digest).write_bytes(b"torn")

    verified = await files.verify()

    assert verified.checked == 20
    assert sorted(verified.damaged) == sorted(digests[:3])
    assert (await files.usage()).quarantined == 3
    assert (await files.verify()).damaged == ()


async def test_the_cache_stays_within_its_limit_and_the_least_recently_used_go_first(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, 4 * MIB)
    favourite = await blobs.put(os.urandom(100_000))
    os.utime(next(iter(blob_files(tmp_path))), ns=(2, 1))  # used long ago
    most = 0

    for number in range(200):
        await blobs.put(os.urandom(100_000))
        if number % 5 == 0:
            assert await blobs.read(favourite) is not None
        most = max(most, sum(path.stat().st_blocks * 512 for path in blob_files(tmp_path)))

    assert most <= 4 * MIB
    assert len(blob_files(tmp_path)) > 30
    assert await blobs.read(favourite) is not None
    await blobs.close()


async def test_several_processes_share_one_limit(tmp_path: Path) -> None:
    several = [FileBlobs(tmp_path, 2 * MIB) for _ in range(4)]

    await asyncio.gather(*(blobs.put(os.urandom(50_000)) for _ in range(50) for blobs in several))

    assert sum(path.stat().st_blocks * 512 for path in blob_files(tmp_path)) <= 2 * MIB
    for blobs in several:
        await blobs.close()


async def test_a_blob_that_was_handed_out_just_now_is_not_evicted(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, 1 * MIB)
    digest = await blobs.put(os.urandom(100_000))
    path = await blobs.path(digest)

    for _ in range(20):
        await blobs.put(os.urandom(200_000))

    assert path is not None
    assert sha(path.read_bytes()) == digest
    await blobs.close()


async def test_what_was_only_read_makes_room_at_once_and_what_was_handed_out_a_little_later(
    tmp_path: Path,
) -> None:
    blobs = FileBlobs(tmp_path, 1 * MIB)
    for number in range(30):
        digest = await blobs.put(os.urandom(200_000))
        if number < 20:
            assert await blobs.size(digest) is not None
            assert await blobs.read(digest) is not None
            assert (await blobs.usage()).disk_bytes <= 1 * MIB
        else:
            assert await blobs.path(digest) is not None
    assert (await blobs.usage()).blobs >= 10
    await blobs.trim()
    assert (await blobs.usage()).blobs >= 10

    for file in blob_files(tmp_path):
        now_ns = time.time_ns()
        os.utime(file, ns=(now_ns - 1, file.stat().st_mtime_ns))  # as if their time were over

    assert await blobs.trim() >= 5
    assert (await blobs.usage()).disk_bytes <= 1 * MIB
    assert await blobs.trim() == 0
    await blobs.close()


async def test_a_reader_of_an_evicted_blob_reads_to_its_end(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, 1 * MIB)
    data = os.urandom(500_000)
    path = await blobs.path(await blobs.put(data))
    assert path is not None

    with path.open("rb") as reader:
        os.utime(path, ns=(1, 1))
        for _ in range(10):
            await blobs.put(os.urandom(200_000))
        assert not path.exists()
        assert reader.read() == data
    await blobs.close()


async def test_an_image_larger_than_the_cache_is_not_kept_and_evicts_nothing(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, 1 * MIB)
    small = await blobs.put(b"small")

    async with blobs.incoming() as incoming:
        await incoming.write(bytes(2 * MIB))
        with pytest.raises(StoreFailed):
            await incoming.keep()
        source = await incoming.source()
        assert isinstance(source, Path)
        assert source.stat().st_size == 2 * MIB

    assert await blobs.read(small) == b"small"
    assert await blobs.health() is None
    await blobs.close()


async def test_a_wrong_count_is_put_right(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path, 1 * MIB)
    await blobs.put(os.urandom(100_000))
    (tmp_path / "total").write_bytes((10**12).to_bytes(8, "little"))

    await blobs.sweep()
    digests = [await blobs.put(os.urandom(100_000)) for _ in range(5)]

    assert all([await blobs.read(digest) for digest in digests])
    await blobs.close()


async def test_a_smaller_limit_is_reached_by_hand(tmp_path: Path) -> None:
    roomy = FileBlobs(tmp_path, 100 * MIB)
    for _ in range(30):
        await roomy.put(os.urandom(100_000))
    await roomy.close()
    blobs = FileBlobs(tmp_path, 1 * MIB)

    collected = await blobs.gc()

    usage = await blobs.usage()
    assert collected.evicted >= 20
    assert usage.blobs == 30 - collected.evicted
    assert 0 < usage.disk_bytes <= 1 * MIB
    await blobs.close()


async def test_usage_counts_what_is_there(files: FileBlobs) -> None:
    await files.put(b"x" * 100)
    await files.put(b"y" * 5000)

    usage = await files.usage()

    assert (usage.blobs, usage.bytes, usage.disk_bytes) == (2, 5100, 4096 + 8192)


async def test_stray_temporary_files_are_swept_and_those_in_use_are_not(
    files: FileBlobs, tmp_path: Path
) -> None:
    async with files.incoming() as incoming:
        await incoming.write(os.urandom(2 * MIB))
        stray = tmp_path / "blobs" / "tmp" / "99999-dead"
        stray.write_bytes(b"half a picture")

        swept = await files.sweep()

        assert swept == 1
        assert not stray.exists()
        digest = await incoming.keep()
    assert await files.read(digest) is not None


@pytest.fixture
async def replicas(
    open_objects: Callable[[], ObjectStore], tmp_path: Path
) -> AsyncIterator[tuple[FrontedBlobs, FrontedBlobs]]:
    """Two machines with one store."""
    locals_ = [FileBlobs(tmp_path / name, 100 * MIB) for name in ("one", "two")]
    yield FrontedBlobs(open_objects(), locals_[0]), FrontedBlobs(open_objects(), locals_[1])
    for local in locals_:
        await local.close()


@pytest.mark.parametrize("size", [0, 100, 3 * MIB, 9 * MIB])
async def test_what_one_machine_keeps_the_other_reads(
    replicas: tuple[FrontedBlobs, FrontedBlobs], size: int, tmp_path: Path
) -> None:
    data = os.urandom(size)
    digest = await replicas[0].put(data)

    assert await replicas[1].size(digest) == size
    assert await replicas[1].read(digest) == data
    assert [path.name for path in blob_files(tmp_path / "two")] == [digest]


async def test_a_path_is_that_of_a_local_copy(
    replicas: tuple[FrontedBlobs, FrontedBlobs], tmp_path: Path
) -> None:
    data = os.urandom(2 * MIB)
    digest = await replicas[0].put(data)

    paths = await asyncio.gather(*(replicas[1].path(digest) for _ in range(20)))

    assert len(set(paths)) == 1
    assert paths[0] is not None
    assert paths[0].read_bytes() == data
    assert paths[0].is_relative_to(tmp_path / "two")


async def test_what_was_evicted_here_comes_back_from_the_store(
    open_objects: Callable[[], ObjectStore], tmp_path: Path
) -> None:
    local = FileBlobs(tmp_path, 1 * MIB)
    blobs = FrontedBlobs(open_objects(), local)
    pieces = [os.urandom(200_000) for _ in range(10)]
    digests = [await blobs.put(piece) for piece in pieces]
    assert len(blob_files(tmp_path)) < 10

    assert [await blobs.read(digest) for digest in digests] == pieces
    await local.close()


async def test_without_a_working_disk_blobs_are_kept_and_read_all_the_same(
    open_objects: Callable[[], ObjectStore], tmp_path: Path
) -> None:
    (tmp_path / "broken").write_text("a file where a folder should be")
    local = FileBlobs(tmp_path / "broken", 100 * MIB)
    blobs = FrontedBlobs(open_objects(), local)
    data = os.urandom(3 * MIB)

    digest = await blobs.put(data)

    assert await blobs.read(digest) == data
    assert "cannot be kept" in (await blobs.health() or "")
    with pytest.raises(StoreFailed):
        await blobs.path(digest)
    await local.close()


async def test_an_object_with_other_bytes_is_never_served_and_is_replaced(
    replicas: tuple[FrontedBlobs, FrontedBlobs], open_objects: Callable[[], ObjectStore], tmp_path: Path
) -> None:
    digest = await replicas[0].put(b"the right bytes")
    await obstore.put_async(open_objects().store, f"{digest[:2]}/{digest}", b"other bytes")

    assert await replicas[1].read(digest) is None
    assert await replicas[1].path(digest) is None
    assert blob_files(tmp_path / "two") == []
    assert await replicas[1].size(digest) is None
    aside = await obstore.get_async(open_objects().store, f"quarantine/{digest}")
    assert bytes(await aside.bytes_async()) == b"other bytes"

    await replicas[1].put(b"the right bytes")
    assert (
        bytes(await (await obstore.get_async(open_objects().store, f"{digest[:2]}/{digest}")).bytes_async())
        == b"the right bytes"
    )


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
        (b"<svg xmlns=", "application/octet-stream"),
        (b"<html><script>", "application/octet-stream"),
    ],
)
async def test_a_presigned_url_gives_the_bytes_under_their_own_type(
    replicas: tuple[FrontedBlobs, FrontedBlobs], head: bytes, media_type: str
) -> None:
    data = head + os.urandom(100)
    digest = await replicas[0].put(data)
    url = await replicas[0].presigned_url(digest, 60)
    assert url is not None

    async with aiohttp.ClientSession() as session:
        async with session.get(url) as reply:
            assert (reply.status, reply.headers["Content-Type"]) == (200, media_type)
            assert await reply.read() == data
        async with session.get(url.partition("?")[0]) as reply:
            assert reply.status == 403


async def test_wrong_credentials_are_trouble_not_absence(
    store: AnyStore, open_objects: Callable[[], ObjectStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.wrong_environment.items():
        monkeypatch.setenv(name, value)
    local = FileBlobs(tmp_path, 100 * MIB)
    blobs = FrontedBlobs(open_objects(), local)

    for call in (blobs.put(b"x"), blobs.read(ABSENT), blobs.size(ABSENT)):
        with pytest.raises(StoreFailed) as failed:
            await call
        assert "127.0.0.1" not in str(failed.value)
    assert await blobs.health() == "the object store does not answer"
    await local.close()


async def test_nobody_is_sent_to_a_store_for_what_only_lies_here(
    open_objects: Callable[[], ObjectStore], tmp_path: Path
) -> None:
    local = FileBlobs(tmp_path, 100 * MIB)
    digest = await local.put(os.urandom(100))
    blobs = FrontedBlobs(open_objects(), local)

    assert await blobs.size(digest) == 100
    assert await blobs.presigned_url(digest, 60) is None
    await local.close()


async def test_a_url_presigned_for_head_is_good_for_head(
    replicas: tuple[FrontedBlobs, FrontedBlobs],
) -> None:
    digest = await replicas[0].put(b"a picture")
    url = await replicas[0].presigned_url(digest, 60, "HEAD")
    assert url is not None

    async with aiohttp.ClientSession() as session, session.head(url) as reply:
        assert (reply.status, reply.headers["Content-Length"]) == (200, "9")


@pytest.mark.parametrize("name", ["az", "gs"])  # SeaweedFS makes a bucket for whoever writes into it
async def test_a_bucket_that_is_missing_is_trouble_not_absence(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    store: Azurite | FakeGcs = request.getfixturevalue(name)
    own_part(store, tmp_path, monkeypatch)
    local = FileBlobs(tmp_path, 100 * MIB)
    blobs = FrontedBlobs(open_object_store(f"{name}://nowhere/x"), local)

    with pytest.raises(StoreFailed):
        await blobs.put(b"x")
    assert await blobs.health() == "the object store does not answer"
    if name == "az":  # fake-gcs-server does not tell it from a missing object
        with pytest.raises(StoreFailed):
            await blobs.read(ABSENT)
    await local.close()


async def test_a_store_whose_credentials_do_not_sign_keeps_and_reads_all_the_same(
    az: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_part(az, tmp_path, monkeypatch)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", az.sas_token())
    local = FileBlobs(tmp_path, 100 * MIB)
    blobs = FrontedBlobs(open_object_store(az.url("unsigned")), local)
    digest = await blobs.put(b"a picture")

    for _ in range(6):
        assert await blobs.presigned_url(digest, 60) is None
        await local.delete(digest)
        assert await blobs.read(digest) == b"a picture"
    assert await blobs.health() is None
    await local.close()


async def test_nobody_is_sent_to_a_store_that_is_down(
    own_gs: FakeGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = FileBlobs(tmp_path, 100 * MIB)
    blobs = FrontedBlobs(own_part(own_gs, tmp_path, monkeypatch)(), local, timeout_s=1)
    digest = await blobs.put(b"a picture")
    assert await blobs.presigned_url(digest, 60) is not None

    own_gs.kill()
    with pytest.raises(StoreFailed):
        await blobs.read(ABSENT)

    assert await blobs.presigned_url(digest, 60) is None
    assert await blobs.read(digest) == b"a picture"
    own_gs.start()
    another = await blobs.put(b"another")
    assert await blobs.presigned_url(another, 60) is not None
    assert await blobs.presigned_url(digest, 60) is None  # it came back with nothing in it
    await local.close()


async def test_a_store_that_goes_down_is_noticed_though_nothing_but_addresses_is_asked_for(
    own_gs: FakeGcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = FileBlobs(tmp_path, 100 * MIB)
    blobs = FrontedBlobs(own_part(own_gs, tmp_path, monkeypatch)(), local, timeout_s=1)
    digest = await blobs.put(b"a picture")
    assert await blobs.presigned_url(digest, 60) is not None

    own_gs.kill()

    assert await blobs.presigned_url(digest, 60) is None
    assert await blobs.read(digest) == b"a picture"
    await local.close()


@pytest.mark.parametrize(
    ("scheme", "variable", "value", "told"),
    [
        ("az", "AZURE_STORAGE_ACCOUNT_NAME", "", "Account must be specified"),
        ("az", "AZURE_STORAGE_ACCOUNT_KEY", "no base64!", "Invalid Access Key"),
        ("gs", "GOOGLE_SERVICE_ACCOUNT_KEY", "no JSON", "service account"),
    ],
)
def test_settings_of_a_store_that_cannot_be_read_are_refused_at_once(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
    variable: str,
    value: str,
    told: str,
) -> None:
    open_it = own_part(request.getfixturevalue(scheme), tmp_path, monkeypatch)
    monkeypatch.setenv(variable, value) if value else monkeypatch.delenv(variable)

    with pytest.raises(InvalidSettings, match=rf"MEDIASVC_STORE_URL: .*{told}.*docs/operators\.md"):
        open_it()


@pytest.mark.parametrize(
    "url",
    [
        "s3://",
        "s3:x",
        "ftp://bucket/x",
        "file:///tmp",
        "memory:///",
        "http://127.0.0.1/x",
        "gs://",
        "az:///x",
    ],
)
def test_a_url_of_no_object_store_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidSettings, match="MEDIASVC_STORE_URL"):
        open_object_store(url)
