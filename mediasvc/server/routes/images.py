"""Routes that answer with image bytes: /img, /v1/image and /assets."""

import asyncio
import io
import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl

from aiohttp import web

from mediasvc import logs, metrics
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.http.host_headers import has_passed
from mediasvc.core.http.retry import parse_date
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.records.asset_name import parse_asset_name
from mediasvc.effects.blobs import Blobs, Method
from mediasvc.errors import InvalidRequest, LinkExpired, SourceMissing, SourceRefused, StoreFailed
from mediasvc.images.image import CacheStatus, Image, Original
from mediasvc.images.walk import Images
from mediasvc.server.http import representation, sending
from mediasvc.server.http.accept import Accepts, parse_accept
from mediasvc.server.http.admission import Admission
from mediasvc.server.http.memory import Memory
from mediasvc.server.http.representation import Freshness, ReadyReply, Representation
from mediasvc.server.routes import image_options
from mediasvc.server.routes.image_options import Guard, ImageRequest

_MAX_QUERY_FIELDS = 32
_SMALL_BYTES = 1024 * 1024
# How long a presigned address is good, and how long a redirect to it may be kept.
_PRESIGNED_S = 3600
_REDIRECT_MAX_AGE_S = 1800


class ImageRoutes:
    """From a request for an image to its bytes; memory first, then the walk."""

    def __init__(
        self,
        images: Images,
        blobs: Blobs,
        memory: Memory,
        admission: Admission,
        *,
        guard: Guard,
        redirects_assets: bool,
        via: str,
    ) -> None:
        """via: our name in the Via field of what we ask of origins."""
        self.images = images
        self.blobs = blobs
        self.memory = memory
        self.admission = admission
        self.guard = guard
        self.redirects_assets = redirects_assets
        self.via = via

    async def by_path(self, request: web.Request) -> web.StreamResponse:
        """/img/{signature}/{options}/{source}, without a query."""
        if "?" in request.raw_path:
            raise InvalidRequest("a path of /img has no query; options stand in the path")
        segments = request.match_info
        return await self._answer(
            request,
            lambda: image_options.parse_path(
                self.guard, segments["signature"], segments["options"], segments["source"]
            ),
        )

    async def by_query(self, request: web.Request) -> web.StreamResponse:
        """/v1/image?url=…"""
        return await self._answer(
            request, lambda: image_options.parse_query(self.guard, query_pairs(request))
        )

    async def _answer(self, request: web.Request, parse: Callable[[], ImageRequest]) -> web.StreamResponse:
        accepts = parse_accept(accept_field(request))
        target = request.raw_path.encode("utf-8", "surrogateescape")
        ready = self.memory.get(target, accepts, time.time())
        if ready is not None:
            metrics.cache_requests.labels("memory", "hit").inc()
            self.images.count_hits(1)
            return _from_memory(request, ready)
        asked = parse()
        expires = asked.options.expires
        if expires is not None and expires <= time.time():
            raise LinkExpired("this link was good for a time that is over")
        if has_passed(request.headers.get("Via"), self.via):
            raise SourceRefused("this source leads back to this service", reason="loop")
        metrics.cache_requests.labels("memory", "miss").inc()
        generation = self.memory.generation
        with self.admission.enter():
            return await self._from_walk(request, asked, accepts, target, generation)

    async def _from_walk(
        self, request: web.Request, asked: ImageRequest, accepts: Accepts, target: bytes, generation: int
    ) -> web.StreamResponse:
        spec = asked.options.spec(accepts)
        original = await self.images.obtain(asked.address, spec)
        request["host"] = logs.host_of(original.url)
        request["cache"] = original.cache.value
        before = _representation(original, original.etag(spec), None, asked.options)
        reply = sending.decided_without_bytes(request, before, original.cache.value)
        if reply is not None:
            return reply
        content: bytes | io.FileIO
        original, image, content = await self.images.deliver(original, spec, self._content)
        request["cache"] = original.cache.value
        etag = original.etag(spec)
        if image.is_original and image.digest != original.digest:
            # The store had lost it, and the origin has another one by now.
            etag = f'"{image.digest}"'
        chosen = _representation(original, etag, image, asked.options)
        if isinstance(content, bytes) and _may_be_remembered(original):
            expires_at = min(original.entry.expires_at.timestamp(), asked.options.expires or float("inf"))
            ready = ReadyReply(
                representation=chosen,
                body=content,
                origin=original.url,
                expires_at=expires_at,
                picture=f"{request.match_info.route.name}{asked.options.signed_text(asked.address)}",
            )
            self.memory.put(target, accepts, ready, generation)
        return sending.send(request, chosen, content, image.bytes, original.cache.value)

    async def _content(self, image: Image) -> bytes | io.FileIO | None:
        """Small ones whole, in one hop; large ones as an open file; None where they are gone. StoreFailed."""
        if image.data is None and image.bytes > _SMALL_BYTES:
            path = await self.images.path(image)
            if path is not None:
                return await asyncio.to_thread(_open, path)
        return await self.images.read(image)

    async def asset(self, request: web.Request) -> web.StreamResponse:
        """/assets/{name}: named by content, so that what is there never changes."""
        named = parse_asset_name(request.match_info["name"])
        if named is None:
            raise SourceMissing("no asset has such a name")
        digest, form = named
        target = request.raw_path.encode("utf-8", "surrogateescape")
        request["cache"] = CacheStatus.HIT.value
        ready = self.memory.get(target, None, time.time())
        if ready is not None:
            metrics.cache_requests.labels("memory", "hit").inc()
            self.images.count_hits(1)
            return _from_memory(request, ready)
        generation = self.memory.generation
        with self.admission.enter():
            image = await self.images.asset(digest, form)
            chosen = Representation(
                f'"{digest}"',
                FORMATS[form].media_type,
                _filename(digest, form),
                None,
                representation.IMMUTABLE,
            )
            reply = sending.decided_without_bytes(request, chosen, CacheStatus.HIT.value)
            if reply is not None:
                return reply
            if self.redirects_assets:
                # The store refuses the one with what was signed for the other.
                method: Method = "HEAD" if request.method == "HEAD" else "GET"
                address = await self.blobs.presigned_url(digest, _PRESIGNED_S, method)
                if address is not None:
                    keep = f"public, max-age={_REDIRECT_MAX_AGE_S}"
                    return web.Response(status=302, headers={"Location": address, "Cache-Control": keep})
            content = await self._content(image)
            if content is None:
                raise SourceMissing("this asset is not kept here any more")
            if sniff.kind(await _beginning(content)) is not form:
                if not isinstance(content, bytes):
                    content.close()
                raise SourceMissing("no asset has such a name")
        if isinstance(content, bytes) and "?" not in request.raw_path:
            ready = ReadyReply(
                chosen, content, origin="", expires_at=float("inf"), picture=f"assets/{digest}.{form}"
            )
            self.memory.put(target, None, ready, generation)
        return sending.send(request, chosen, content, image.bytes, CacheStatus.HIT.value)


def accept_field(request: web.Request) -> str | None:
    """The Accept header, repeats joined; None: not sent."""
    fields = request.headers.getall("Accept", [])
    return ", ".join(fields) if fields else None


def query_pairs(request: web.Request) -> list[tuple[str, str]]:
    """The decoded query, in order. InvalidRequest: not UTF-8, or more fields than any route has."""
    text = request.rel_url.raw_query_string
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError as error:
        raise InvalidRequest("the query cannot be read") from error


def _from_memory(request: web.Request, ready: ReadyReply) -> web.StreamResponse:
    hit = CacheStatus.HIT.value
    request["cache"] = hit
    reply = sending.decided_without_bytes(request, ready.representation, hit)
    return reply or sending.send(request, ready.representation, ready.body, len(ready.body), hit)


def _representation(
    original: Original, etag: str, image: Image | None, options: ImageOptions
) -> Representation:
    """image None: what is known before any work on the image."""
    media_type, filename = "", ""
    if image is not None:
        media_type, filename = FORMATS[image.format].media_type, _filename(image.digest, image.format)
    return Representation(
        etag=etag,
        media_type=media_type,
        filename=filename,
        modified_s=_modified_s(original),
        caching=_caching(original, options.expires),
        varies=options.negotiates,
    )


def _filename(digest: str, form: Format) -> str:
    return f"{digest[:16]}.{FORMATS[form].extension}"


def _modified_s(original: Original) -> int:
    """The origin's Last-Modified, but no later than we fetched it (RFC 9110 section 8.8.2.1)."""
    fetched: datetime = original.entry.fetched_at
    stated = parse_date(original.entry.last_modified)
    return int(min(fetched, stated or fetched).timestamp())


def _caching(original: Original, expires: int | None) -> Freshness | str:
    """expires: the moment in epoch seconds when the link ends; no cache may keep the reply for longer."""
    entry = original.entry
    if original.unkept is not None and entry.expires_at <= entry.fetched_at:
        return representation.NO_STORE
    moments = (entry.expires_at, entry.revalidate_until, entry.stale_until)
    fresh = Freshness(*(moment.timestamp() for moment in moments))
    return fresh if expires is None else fresh.until(expires)


def _may_be_remembered(original: Original) -> bool:
    """Stale and unkept ones are asked for again."""
    return original.unkept is None and original.cache is not CacheStatus.STALE


async def _beginning(content: bytes | io.FileIO) -> bytes:
    if isinstance(content, bytes):
        return content[: sniff.HEAD_BYTES]
    return await asyncio.to_thread(os.pread, content.fileno(), sniff.HEAD_BYTES, 0)


def _open(path: Path) -> io.FileIO | None:
    try:
        return io.FileIO(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreFailed("the disk did not give an image", reason="read") from error
