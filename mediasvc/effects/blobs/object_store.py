"""Blobs as objects of S3, Google's or Azure's store."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.pictures.headers import sniff
from mediasvc.effects.blobs import Method, RemoteFailed
from mediasvc.errors import InvalidSettings

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_NO_BUCKET: Final = frozenset({"NoSuchBucket", "ContainerNotFound"})
_PIECE_BYTES: Final = 256 * 1024


def open_object_store(url: str) -> "ObjectStore":
    """url: s3://bucket/prefix, gs://bucket/prefix or az://container/prefix. Opens no connection.

    Credentials and the rest come from the environment (AWS_…, GOOGLE_…, AZURE_STORAGE_…; docs/operators.md
    has them); an endpoint may be plain http. InvalidSettings.
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
    return ObjectStore(store)


class ObjectStore:
    """See RemoteStore. Objects are named `ab/<digest>` and carry the media type of their bytes."""

    def __init__(self, store: S3Store | GCSStore | AzureStore) -> None:
        self.store = store

    async def put(self, digest: str, source: Path | bytes) -> None:
        """See RemoteStore. A missing bucket is trouble."""
        head = (
            source[: sniff.HEAD_BYTES]
            if isinstance(source, bytes)
            else await asyncio.to_thread(_head, source)
        )
        attributes = {
            "Content-Type": _media_type(head),
            "Cache-Control": "public, max-age=31536000, immutable",
        }
        with _translated(absent_is_trouble=True):
            # In one request: an upload that is cut off leaves no parts behind.
            await obstore.put_async(
                self.store, _name(digest), source, attributes=attributes, use_multipart=False
            )

    async def get(self, digest: str) -> AsyncIterator[bytes] | None:
        """See RemoteStore."""
        try:
            with _translated():
                reply = await obstore.get_async(self.store, _name(digest))
        except FileNotFoundError:
            return None
        return _pieces(reply)

    async def head(self, digest: str) -> int | None:
        """See RemoteStore. The answer has no body that would tell a missing bucket from a missing object."""
        try:
            with _translated():
                return (await obstore.head_async(self.store, _name(digest)))["size"]
        except FileNotFoundError:
            return None

    async def delete(self, digest: str) -> None:
        """See RemoteStore."""
        try:
            with _translated():
                await obstore.delete_async(self.store, _name(digest))
        except FileNotFoundError:
            return

    async def set_aside(self, digest: str) -> None:
        """See RemoteStore."""
        try:
            with _translated():
                await obstore.rename_async(self.store, _name(digest), f"quarantine/{digest}")
        except FileNotFoundError:
            return

    async def sign(self, digest: str, ttl_s: int, method: Method) -> str:
        """See RemoteStore."""
        # Azure signs rights and not methods: its signature for GET is good for both.
        signed_for = "GET" if isinstance(self.store, AzureStore) else method
        with _translated(absent_is_trouble=True):
            return await obstore.sign_async(self.store, signed_for, _name(digest), timedelta(seconds=ttl_s))

    async def probe(self) -> None:
        """See RemoteStore."""
        with _translated(absent_is_trouble=True):
            await obstore.put_async(self.store, "health", b"1")


async def _pieces(reply: "obstore.GetResult") -> AsyncIterator[bytes]:
    pieces = aiter(reply.stream(min_chunk_size=_PIECE_BYTES))
    while True:
        with _translated(absent_is_trouble=True):
            piece = await anext(pieces, None)
        if piece is None:
            return
        yield bytes(piece)


@contextmanager
def _translated(*, absent_is_trouble: bool = False) -> Iterator[None]:
    """FileNotFoundError: there is no such object.

    RemoteFailed for everything else that fails in the store.
    """
    try:
        yield
    except FileNotFoundError as error:
        if absent_is_trouble or _code(error) in _NO_BUCKET:
            raise RemoteFailed(_reason(error), has_answered=True) from error
        raise
    except (BaseError, ValueError) as error:
        raise RemoteFailed(_reason(error)) from error


def _code(error: Exception) -> str:
    """The store's own word for the failure; empty: it sent none."""
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _reason(error: Exception) -> str:
    """One line for the operator: what was asked, the status, and the store's code in place of its XML."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return f"{line.partition('<?xml')[0].strip()} {_code(error)}".strip()


def _name(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sniff.HEAD_BYTES)


def _media_type(head: bytes) -> str:
    """head: the first HEAD_BYTES of a blob.

    An SVG gets no type of its own, so that browsers do not run it.
    """
    form = sniff.kind(head)
    if form is None or form is Format.SVG:
        return "application/octet-stream"
    return FORMATS[form].media_type
