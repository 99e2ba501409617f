"""Blobs in an object store (S3, GCS, Azure), with a folder on this machine in front of it."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from mediasvc import logs, metrics
from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.http.breaker import BreakerRules, Circuits
from mediasvc.core.pictures.headers import sniff
from mediasvc.effects.blobs import Blobs, Incoming, Method
from mediasvc.errors import InvalidSettings, StoreFailed

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_TIMEOUT_S: Final = 5.0
_LEAST_BYTES_PER_S: Final = 1024 * 1024
_LEAVE_ALONE: Final = BreakerRules(failures=3, window_s=30.0, first_s=1.0, longest_s=4.0, hosts=1)
_STORE: Final = "objects"
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
_HEALTH_S: Final = 5.0

Store = S3Store | GCSStore | AzureStore


def open_store(url: str) -> Store:
    """url: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. Opens nothing.

    Credentials and the rest come from the environment (AWS_…, GOOGLE_…, AZURE_STORAGE_…; docs/operators.md has them);
    an endpoint may be plain http. InvalidSettings.
    """
    try:
        store = obstore.store.from_url(
            url,
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=1),
                "timeout": timedelta(seconds=60),
            },
            retry_config={"max_retries": 1, "retry_timeout": timedelta(seconds=2)},
        )
    except (BaseError, ValueError) as error:
        raise InvalidSettings(
            f"MEDIASVC_STORE_URL: {_reason(error)} (what is read from the environment: docs/operators.md)"
        ) from error
    if not isinstance(store, S3Store | GCSStore | AzureStore):
        raise InvalidSettings("MEDIASVC_STORE_URL: one of s3://, gs:// and az:// is wanted")
    return store


class ObjectBlobs:
    """See Blobs. Objects are named `ab/<digest>`; whatever is kept or read comes to lie in the folder as well.

    A blob counts as kept when the store has it. While the store is down, what lies in the folder is served.
    Objects carry the media type of their bytes, for clients that are sent there.
    """

    def __init__(self, store: Store, local: Blobs, *, timeout_s: float = _TIMEOUT_S) -> None:
        """local: closed by whoever made it. timeout_s: of each answer, and 1 s more per MiB that is sent."""
        self._store = store
        self._local = local
        self._timeout_s = timeout_s
        self._circuits = Circuits(_LEAVE_ALONE)
        self._signing = Circuits(_LEAVE_ALONE)
        self._signs = True
        self._pulling: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._trouble: str | None = None
        self._health_at = 0.0

    @contextlib.asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        """See Blobs."""
        async with self._local.incoming() as incoming:
            yield _ObjectIncoming(incoming, self._upload)

    async def put(self, data: bytes) -> str:
        """See Blobs."""
        async with self.incoming() as incoming:
            await incoming.write(data)
            return await incoming.keep()

    async def read(self, digest: str) -> bytes | None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return None
        data = await self._read_locally(digest)
        if data is not None:
            return data
        async with self._one_pull(digest):
            data = await self._read_locally(digest)
            if data is not None:
                return data
            async with self._local.incoming() as incoming:
                if not await self._pull(digest, incoming):
                    return None
                source = await incoming.source()
                data = source if isinstance(source, bytes) else await _on_disk(source.read_bytes)
                with contextlib.suppress(StoreFailed):  # counted there; it is served without being kept here
                    await incoming.keep()
        return data

    async def path(self, digest: str) -> Path | None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return None
        with contextlib.suppress(StoreFailed):
            if (path := await self._local.path(digest)) is not None:
                return path
        async with self._one_pull(digest):
            if (path := await self._local.path(digest)) is not None:
                return path
            async with self._local.incoming() as incoming:
                if not await self._pull(digest, incoming):
                    return None
                await incoming.keep()
        return await self._local.path(digest)

    async def size(self, digest: str) -> int | None:
        """See Blobs. What only the store has is checked when it is pulled."""
        with contextlib.suppress(StoreFailed):
            if (size := await self._local.size(digest)) is not None:
                return size
        return await self._size_in_store(digest)

    async def _size_in_store(self, digest: str) -> int | None:
        if not _DIGEST.match(digest):
            return None
        try:
            found = await self._ask("head", lambda: obstore.head_async(self._store, _name(digest)))
        except FileNotFoundError:
            return None
        return found["size"]

    async def delete(self, digest: str) -> None:
        """See Blobs."""
        if not _DIGEST.match(digest):
            return
        try:
            await self._ask("delete", lambda: obstore.delete_async(self._store, _name(digest)))
        except FileNotFoundError:
            pass
        finally:
            await self._local.delete(digest)

    async def presigned_url(self, digest: str, ttl_s: int, method: Method = "GET") -> str | None:
        """See Blobs. The store answers with the media type of the bytes.

        None too while the store is in trouble, or where it does not have the blob, as one from the days before there
        was a store: it is asked, since whoever is sent there does not say what became of it. None where its credentials
        do not sign; some of them have to ask somebody else for a signature, so that a failure to sign says nothing of
        the store.
        """
        if not _DIGEST.match(digest):
            return None
        if self._trouble is not None:
            await self._look_after_store()
        if self._trouble is not None or self._signing.retry_after_s(_STORE, time.monotonic()) is not None:
            return None
        try:
            if await self._size_in_store(digest) is None:
                return None
        except StoreFailed:
            return None
        # Azure's signatures are for rights and not for methods: that for GET is good for both.
        signed_for = "GET" if isinstance(self._store, AzureStore) else method
        try:
            async with asyncio.timeout(self._timeout_s):
                url = await obstore.sign_async(
                    self._store, signed_for, _name(digest), timedelta(seconds=ttl_s)
                )
        except (BaseError, OSError, ValueError) as error:
            self._signing.failed(_STORE, time.monotonic())
            metrics.store_errors.labels(store=_STORE, operation="sign").inc()
            if self._signs:
                self._signs = False
                logs.get().warning("store.failed", store=_STORE, operation="sign", error=_reason(error))
            return None
        self._signing.answered(_STORE)
        self._signs = True
        return url

    async def health(self) -> str | None:
        """That of the store, and then that of the folder."""
        await self._look_after_store()
        return self._trouble or await self._local.health()

    async def close(self) -> None:
        """Nothing of its own."""

    async def _look_after_store(self) -> None:
        """Finds out whether it is in trouble, by writing a small object, at most every five seconds."""
        if time.monotonic() >= self._health_at:
            self._health_at = time.monotonic() + _HEALTH_S
            with contextlib.suppress(StoreFailed):
                await self._ask("put", lambda: obstore.put_async(self._store, "health", b"1"))

    async def _read_locally(self, digest: str) -> bytes | None:
        with contextlib.suppress(StoreFailed):  # a broken disk: the store has it too
            return await self._local.read(digest)
        return None

    @contextlib.asynccontextmanager
    async def _one_pull(self, digest: str) -> AsyncIterator[None]:
        """Many may ask for the same blob at once; the store is asked once."""
        lock = self._pulling.get(digest)
        if lock is None:
            self._pulling[digest] = lock = asyncio.Lock()
        async with lock:
            yield

    async def _pull(self, digest: str, incoming: Incoming) -> bool:
        """False: the store does not have it, or what it has is something else."""
        try:
            reply = await self._ask("get", lambda: obstore.get_async(self._store, _name(digest)))
        except FileNotFoundError:
            metrics.cache_requests.labels(layer="objects", result="miss").inc()
            return False
        chunks = aiter(reply.stream(min_chunk_size=256 * 1024))
        while (chunk := await self._ask("get", lambda: anext(chunks, None))) is not None:
            await incoming.write(bytes(chunk))
        if incoming.digest() != digest:
            metrics.store_errors.labels(store=_STORE, operation="damaged").inc()
            logs.get().warning("blob.damaged", store=_STORE, digest=digest)
            with contextlib.suppress(StoreFailed, FileNotFoundError):
                await self._ask("set_aside", lambda: self._set_aside(digest))
            return False
        metrics.cache_requests.labels(layer="objects", result="hit").inc()
        return True

    async def _set_aside(self, digest: str) -> None:
        """So that nobody takes it for a blob that is held, and its picture is fetched again."""
        await obstore.rename_async(self._store, _name(digest), f"quarantine/{digest}")

    async def _upload(self, digest: str, source: Path | bytes) -> None:
        if isinstance(source, bytes):
            head, size = source[: sniff.HEAD_BYTES], len(source)
        else:
            head, size = await _on_disk(lambda: _look(source))
        attributes = {
            "Content-Type": _media_type(head),
            "Cache-Control": "public, max-age=31536000, immutable",
        }
        await self._ask(
            "put",
            # In one request: what is cut off leaves no parts behind.
            lambda: obstore.put_async(
                self._store, _name(digest), source, attributes=attributes, use_multipart=False
            ),
            size / _LEAST_BYTES_PER_S,
        )

    async def _ask(self, operation: str, question: Callable[[], Awaitable[T]], extra_s: float = 0.0) -> T:
        """The answer; FileNotFoundError where there is no such object. Raises StoreFailed, at once while it is down.

        A bucket that is missing is trouble. Answers to HEAD have no body that would tell it from a missing object.
        """
        if self._circuits.retry_after_s(_STORE, time.monotonic()) is not None:
            metrics.store_errors.labels(store=_STORE, operation=operation).inc()
            raise StoreFailed("the object store did not answer", reason="objects_down")
        try:
            async with asyncio.timeout(self._timeout_s + extra_s):
                answer = await question()
        except FileNotFoundError as error:
            self._circuits.answered(_STORE)
            if operation == "put" or _code(error) in _NO_BUCKET:
                raise self._failed(operation, error) from error
            raise
        except (BaseError, OSError, ValueError) as error:
            self._circuits.failed(_STORE, time.monotonic())
            raise self._failed(operation, error) from error
        self._circuits.answered(_STORE)
        if operation == "put" and self._trouble is not None:
            logs.get().info("store.recovered", store=_STORE)
            self._trouble = None
        return answer

    def _failed(self, operation: str, error: Exception) -> StoreFailed:
        metrics.store_errors.labels(store=_STORE, operation=operation).inc()
        if self._trouble is None:
            logs.get().warning("store.failed", store=_STORE, operation=operation, error=_reason(error))
        self._trouble = "the object store does not answer"
        return StoreFailed("the object store did not answer", reason=operation)


class _ObjectIncoming:
    """See Incoming."""

    def __init__(self, inner: Incoming, upload: Callable[[str, Path | bytes], Awaitable[None]]) -> None:
        self._inner = inner
        self._upload = upload
        self.write = inner.write
        self.restart = inner.restart
        self.source = inner.source
        self.digest = inner.digest

    async def keep(self) -> str:
        """See Incoming."""
        digest = self._inner.digest()
        await self._upload(digest, await self._inner.source())
        with contextlib.suppress(StoreFailed):  # counted there; the store has it, and that is what counts
            await self._inner.keep()
        return digest


def _code(error: Exception) -> str:
    """The store's own word for it; empty: it sent none."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    """One line for the operator: what was asked, the status, and the store's code in place of its XML."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{line.partition('<?xml')[0].strip()} {_code(error)}".strip()


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


async def _on_disk(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise StoreFailed("the disk did not give back an image", reason="read") from error


def _look(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        return file.read(sniff.HEAD_BYTES), path.stat().st_size


def _media_type(head: bytes) -> str:
    """head: the first HEAD_BYTES of a blob. An SVG gets no type of its own, so that browsers do not run it."""
    form = sniff.kind(head)
    if form is None or form is Format.SVG:
        return "application/octet-stream"
    return FORMATS[form].media_type
