"""The Python door: mediasvc inside a program, on the same walks as the service and the command line."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from mediasvc.articles.options import ArticleOptions, Mode
from mediasvc.articles.request import OPTIONS, read_mode, read_options
from mediasvc.articles.rows import Counts, Rewritten
from mediasvc.batch.json_lines import from_counts, from_image
from mediasvc.config.settings import Settings, read_settings
from mediasvc.core.addresses import image_path
from mediasvc.core.addresses.image_path import ImageOptions
from mediasvc.core.addresses.urls import Resolution
from mediasvc.core.formats import FORMATS, Format
from mediasvc.core.picture import ThumbnailSpec
from mediasvc.core.pictures.headers import sniff
from mediasvc.core.records.asset_name import parse_asset_name
from mediasvc.errors import BodyTooLarge, InvalidRequest, InvalidSettings, Overloaded, SourceMissing
from mediasvc.wiring.parts import Parts, open_parts

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)
SizeArgument = str | tuple[int | None, int | None] | None


@dataclass(frozen=True, slots=True)
class RewrittenArticle(Generic[Text]):
    """One article after rewriting.

    content: of the type that was given, str or bytes.
    images: one object for each reference, as in a report (docs/reference.md).
    counts: how many references there are, and how many were localised, left or failed.
    """

    content: Text
    images: list[dict[str, Any]]  # Any: JSON objects
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class ImageData:
    """The bytes of one image.

    width, height: pixels as shown; None where only the bytes are known.
    etag: strong validator of these bytes, with its quotes.
    origin: origin URL that the bytes came from.
    """

    data: bytes
    media_type: str
    width: int | None
    height: int | None
    etag: str
    origin: str


@dataclass(frozen=True, slots=True)
class AssetData:
    """The bytes of one asset and their media type."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What is known of an original, as `/v1/info` gives it.

    width, height: pixels as shown, after orientation.
    thumbhash, dominant: placeholder and dominant colour; None where the picture gives none.
    """

    origin: str
    digest: str
    format: str
    width: int
    height: int
    bytes: int
    animated: bool
    thumbhash: str | None
    dominant: str | None
    fetched_at: datetime
    expires_at: datetime


class _Engine:
    """Every part, opened in an event loop of its own on a thread of its own.

    The caller's loop thus never waits for parsing, and closing ends all tasks, threads and processes with
    that loop.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event
        self._opened: Future[Parts] = Future()
        self._ended: Future[None] = Future()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="mediasvc", daemon=True)

    async def start(self) -> Parts:
        """Starts the thread and waits until every part is open. InvalidSettings, StoreFailed."""
        self._thread.start()
        try:
            return await asyncio.shield(asyncio.wrap_future(self._opened))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Ends everything; returns when the thread has ended, also where the caller is cancelled meanwhile."""  # noqa: E501
        self._is_closing = True
        self._opened.add_done_callback(self._request_stop)
        ended = asyncio.wrap_future(self._ended)
        cancelled: asyncio.CancelledError | None = None
        while not ended.done():
            try:
                await asyncio.shield(ended)
            except asyncio.CancelledError as error:
                cancelled = error
        self._thread.join()
        if cancelled is not None:
            raise cancelled

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Runs work in the engine's loop. Overloaded where the engine is closed before the work has ended."""
        if self._is_closing:
            raise Overloaded("mediasvc is closed; open it again")
        outcome = asyncio.run_coroutine_threadsafe(_awaited(work), self._loop)
        try:
            return await asyncio.wrap_future(outcome)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Overloaded("mediasvc was closed while it worked on this") from None

    def _request_stop(self, opened: Future[Parts]) -> None:
        # Opening failed, or the loop has ended by itself: nothing is left to stop.
        if opened.exception() is None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
        finally:
            self._ended.set_result(None)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with open_parts(self._settings) as parts:
            self._opened.set_result(parts)
            await self._stopping.wait()


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


class Media:
    """mediasvc, open. Every method may be cancelled; errors are the classes of `mediasvc.errors`."""

    def __init__(self, engine: _Engine, parts: Parts, settings: Settings) -> None:
        self._engine = engine
        self._parts = parts
        self._settings = settings

    async def rewrite(
        self,
        content: Text,
        *,
        type: str = "auto",
        mode: str = "eager",
        base_url: str | None = None,
        front_matter: Mapping[str, str] | None = None,
        **options: object,
    ) -> "RewrittenArticle[Text]":
        """Rewrite one article to local images.

        content: the article, as text or as bytes in its own encoding.
        type: "html", "markdown" or "auto", which looks at the article.
        mode: "eager" fetches images and names assets; "lazy" writes signed paths and needs no network.
        base_url: what relative addresses are relative to; None leaves them alone.
        front_matter: what each field gets: "thumbnail", "original" or "skip".
        options: as `POST /v1/rewrite` takes them (docs/reference.md).
        Raises InvalidRequest, BodyTooLarge, Undecodable, StoreFailed, Overloaded; TypeError for an unknown
        option.
        """
        article = content if isinstance(content, bytes) else _encoded(content)
        if len(article) > self._settings.max_article_bytes:
            raise BodyTooLarge(f"an article may have at most {self._settings.max_article_bytes} bytes")
        for name in options:
            if name not in OPTIONS:
                raise TypeError(f"rewrite() got an unexpected keyword argument {name!r}")
        asked = {"type": type, "base_url": base_url, "front_matter": front_matter, **options}
        prefix = f"{self._settings.public_url}/assets/"
        settled = replace(read_options(asked), prefix=prefix, report_prefix=prefix, only_kept=True)
        chosen = read_mode({"mode": mode}, Mode.EAGER)
        rewritten = await self._engine.call(lambda: self._rewrite(article, settled, chosen))
        images = [from_image(image) for image in rewritten.images]
        text: Text = rewritten.content if isinstance(content, bytes) else rewritten.content.decode()
        return RewrittenArticle(content=text, images=images, counts=from_counts(Counts.of(rewritten.images)))

    async def _rewrite(self, article: bytes, options: ArticleOptions, mode: Mode) -> Rewritten:
        if mode is Mode.LAZY:
            return self._parts.articles.rewrite_lazily(article, options)
        return await self._parts.articles.rewrite(article, options)

    async def image(
        self,
        url: str,
        *,
        size: SizeArgument = None,
        fit: str | None = None,
        format: str | None = None,
        quality: int | None = None,
        dpr: float | None = None,
    ) -> ImageData:
        """The image behind a URL: a thumbnail, or without a size the original.

        size: "600x400", "600,400", "600x", "x400", or a pair of numbers.
        fit: "fit" (default), "cover" or "attention".
        format: "jpeg", "png", "webp", "avif", "keep" or "auto".
        Raises what an image request raises: InvalidRequest, Source*, Undecodable, Overloaded, StoreFailed.
        """
        spec = _image_options(size, fit, format, quality, dpr).spec(None)
        return await self._engine.call(lambda: self._image(url, spec))

    async def _image(self, url: str, spec: ThumbnailSpec | None) -> ImageData:
        images = self._parts.images
        original = await images.obtain(url, spec)
        original, image, data = await images.deliver(original, spec, images.read)
        return ImageData(
            data=data,
            media_type=FORMATS[image.format].media_type,
            width=image.width,
            height=image.height,
            etag=original.etag(spec),
            origin=original.url,
        )

    async def asset(self, name: str) -> AssetData:
        """The asset of an immutable name, such as `{sha256}.jpg`.

        SourceMissing where there is none; StoreFailed.
        """
        named = parse_asset_name(name)
        if named is None:
            raise SourceMissing("no asset has such a name")
        return await self._engine.call(lambda: self._asset(*named))

    async def _asset(self, digest: str, form: Format) -> AssetData:
        images = self._parts.images
        data = await images.read(await images.asset(digest, form))
        if data is None or sniff.kind(data) is not form:
            raise SourceMissing("this asset is not kept here")
        return AssetData(data=data, media_type=FORMATS[form].media_type)

    def resolve(self, url: str) -> Resolution:
        """The origin behind a URL, with one layer for each wrapper; needs no network.

        InvalidRequest, SourceRefused.
        """
        return self._parts.images.explain(url)

    async def info(self, url: str) -> ImageInfo:
        """What is known of the original behind a URL; fetched where needed. Raises like `image`."""
        found = await self._engine.call(lambda: self._parts.images.info(url))
        return ImageInfo(
            origin=found.origin,
            digest=found.digest,
            format=found.format.value,
            width=found.width,
            height=found.height,
            bytes=found.bytes,
            animated=found.animated,
            thumbhash=found.placeholder.thumbhash,
            dominant=found.placeholder.dominant,
            fetched_at=found.fetched_at,
            expires_at=found.expires_at,
        )

    async def purge(self, url: str) -> None:
        """Forget the original behind a URL and every thumbnail of it. InvalidRequest, StoreFailed."""
        await self._engine.call(lambda: self._parts.images.purge(url))

    def sign(
        self,
        url: str,
        *,
        size: SizeArgument = None,
        fit: str | None = None,
        format: str | None = None,
        quality: int | None = None,
        dpr: float | None = None,
        expires: datetime | int | None = None,
    ) -> str:
        """The signed path of an image, with `public_url` before it.

        expires: when the path ends: an aware datetime, or Unix seconds; None: never.
        Other arguments as in `image`.
        Raises InvalidSettings without a signing key, InvalidRequest, SourceRefused.
        """
        keys = self._settings.signing_keys
        if not keys:
            raise InvalidSettings("signing_keys: no key to sign with; make one with openssl rand -hex 32")
        options = replace(_image_options(size, fit, format, quality, dpr), expires=_unix_seconds(expires))
        self._parts.images.resolve(url)
        return self._settings.public_url + image_path.image_path(options, url, keys=keys)


def _unix_seconds(moment: datetime | int | None) -> int | None:
    """InvalidRequest for a datetime without a time zone and for moments before 1970."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidRequest("expires needs a time zone, such as datetime.now(UTC) has one")
        moment = int(moment.timestamp())
    if moment is not None and moment < 1:
        raise InvalidRequest("expires is a moment after 1970, in Unix seconds")
    return moment


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest("the article is not valid Unicode; pass its bytes instead") from error


def _image_options(
    size: SizeArgument, fit: str | None, format: str | None, quality: int | None, dpr: float | None
) -> ImageOptions:
    """Arguments read by the grammar of image paths, so that every door knows the same. InvalidRequest."""
    box = size.strip() if isinstance(size, str) else size
    if isinstance(box, tuple):
        box = "x".join("" if side is None else str(side) for side in box)
    words = [image_path.ORIGINAL if box is None else box.replace(",", "x").replace(" ", "")]
    words += [word for word in (fit, format) if word is not None]
    words += [f"{letters}{value:g}" for letters, value in (("q", quality), ("dpr", dpr)) if value is not None]
    return image_path.parse_options(",".join(words))


class Opening:
    """What `mediasvc.open` returns: mediasvc is open while inside.

    No generator: a loop that ends would close it, and a program may use a new loop for each call.
    """

    def __init__(self, config: Path | str | None, settings: Mapping[str, object]) -> None:
        """See `mediasvc.open`. Raises TypeError, InvalidSettings."""
        known = {one.name for one in fields(Settings)}
        for name in settings:
            if name not in known:
                raise TypeError(f"mediasvc.open() got an unexpected keyword argument {name!r}")
        path = None if config is None else Path(config)
        self._settings = read_settings({}, path, settings, looks_around=False)
        self._engine: _Engine | None = None

    async def __aenter__(self) -> Media:
        """Opens every part. StoreFailed, InvalidSettings; RuntimeError where it is open already."""
        if self._engine is not None:
            raise RuntimeError("this mediasvc.open() is open already; call mediasvc.open() again")
        self._engine = _Engine(self._settings)
        try:
            return Media(self._engine, await self._engine.start(), self._settings)
        except BaseException:
            self._engine = None
            raise

    async def __aexit__(self, *_raised: object) -> None:
        """Ends every process, task and thread."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.stop()
