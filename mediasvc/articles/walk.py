"""Walk B: rewrites one article. Its images are resolved, fetched and resized, and its references renamed."""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mediasvc import logs, metrics
from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.rows import Asset, ImageRow, Rewritten, Status
from mediasvc.articles.targets import Sorted, Target, sort_references
from mediasvc.core.addresses.image_path import ImageOptions, image_path
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.formats import BY_EXTENSION, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.picture import Placeholder, ThumbnailSpec
from mediasvc.core.pictures import css_background
from mediasvc.core.text import references
from mediasvc.core.text.reference import Why
from mediasvc.core.text.references import Edit
from mediasvc.errors import MediaError, UnsupportedMedia
from mediasvc.images.image import Image, Original
from mediasvc.images.walk import Images

# Bounds the images of one page that are in memory at once; the fetcher has limits of its own.
_IMAGES_AT_ONCE = 16
_OUTCOMES = {status: metrics.rewritten_references.labels(status.value) for status in Status}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One fetched image, shared by all references that need it."""

    original: Image
    shown: Image
    placeholder: Placeholder


class Articles:
    """Rewrites articles, for every door."""

    def __init__(
        self, images: Images, addresses: Addresses, *, signing_keys: Sequence[bytes], public_url: str
    ) -> None:
        """signing_keys: the first signs lazy paths; without one, paths are `unsafe`.
        public_url: the text before lazy paths.
        """
        self.images = images
        self.addresses = addresses
        self.signing_keys = tuple(signing_keys)
        self.public_url = public_url

    def rewrite_lazily(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """Replaces references by signed /img paths, without any network.

        Raises InvalidRequest for text that cannot be read (UTF-16) and for a <base href> without PUBLIC_URL.
        """
        found = self._sort(article, options, self.public_url)
        edits: list[Edit] = []
        reports: list[ImageRow] = []
        paths: dict[tuple[str, Size | None], str] = {}
        for target in found.targets:
            if isinstance(target, ImageRow):
                reports.append(target)
                continue
            origin = target.resolution.origin
            original = self._path(paths, origin, None, options)
            thumbnail = self._path(paths, origin, target.spec.box, options) if target.spec else None
            edits.append(references.write(target.reference, thumbnail or original))
            reports.append(_report(target, Status.LOCALISED, original=original, thumbnail=thumbnail))
        return _finish(article, edits, reports, (), found.warnings)

    async def rewrite(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """Fetches, stores and resizes every image, and replaces references by asset names.

        A reference whose image fails keeps its text, and its row has the code.
        Raises InvalidRequest as rewrite_lazily does.
        """
        found = self._sort(article, options, options.prefix)
        outcomes = await self._obtain(found.asking, options)
        edits: list[Edit] = []
        reports: list[ImageRow] = []
        assets: dict[str, Asset] = {}
        for target in found.targets:
            if isinstance(target, ImageRow):
                reports.append(target)
                continue
            outcome = outcomes[target.resolution.origin, target.spec]
            if isinstance(outcome, UnsupportedMedia) and target.reference.same_as is not None:
                reports.append(_report(target, Status.LEFT)._replace(why=Why.NO_PICTURE.value))
                continue
            if isinstance(outcome, MediaError):
                reports.append(_report(target, Status.FAILED, code=outcome.code))
                continue
            edits.extend(self._edits(target, outcome, options))
            for served in (outcome.original, outcome.shown):
                assets[served.name] = Asset(
                    served.digest, served.format, served.data, served.bytes, target.resolution.origin
                )
            reports.append(_localised(target, outcome, options.report_prefix))
        return _finish(article, edits, reports, tuple(assets.values()), found.warnings)

    async def preview(self, article: bytes, options: ArticleOptions) -> Rewritten:
        """The result of rewrite without fetching: images that are not stored yet get a name made of their
        address.
        """
        found = self._sort(article, options, options.prefix)
        edits: list[Edit] = []
        reports: list[ImageRow] = []
        for target in found.targets:
            if isinstance(target, ImageRow):
                reports.append(target)
                continue
            name = await self.images.known_name(target.resolution.origin, target.spec)
            name = name or _name_before_fetching(target.resolution.origin)
            edits.append(references.write(target.reference, options.prefix + name))
            path = options.report_prefix + name
            thumbnail = path if target.spec is not None else None
            reports.append(
                _report(target, Status.LOCALISED, original=None if thumbnail else path, thumbnail=thumbnail)
            )
        return _finish(article, edits, reports, (), found.warnings)

    def image_path(self, origin: str, box: Size | None, form: OutputFormat | None) -> str:
        """The signed path under which the service serves an origin URL, with PUBLIC_URL before it.

        box: None for the original.
        form: None leaves the choice to the request's Accept header.
        """
        options = ImageOptions(box, format=None if box is None else form)
        return self.public_url + image_path(options, origin, keys=self.signing_keys)

    def _path(
        self,
        paths: dict[tuple[str, Size | None], str],
        origin: str,
        box: Size | None,
        options: ArticleOptions,
    ) -> str:
        """As image_path, but signed once for all references of an article that need the same path."""
        path = paths.get((origin, box))
        if path is None:
            path = self.image_path(origin, box, None if box is None else options.format)
            paths[origin, box] = path
        return path

    def _sort(self, article: bytes, options: ArticleOptions, prefix: str) -> Sorted:
        return sort_references(article, options, self.addresses, prefix=prefix, public_url=self.public_url)

    async def _obtain(
        self, targets: list[Target], options: ArticleOptions
    ) -> dict[tuple[str, ThumbnailSpec | None], _Outcome | MediaError]:
        """The outcome of every target. Each origin is fetched once, however many references name it."""
        wanted: dict[str, dict[ThumbnailSpec | None, None]] = {}
        for target in targets:
            wanted.setdefault(target.resolution.origin, {})[target.spec] = None
        outcomes: dict[tuple[str, ThumbnailSpec | None], _Outcome | MediaError] = {}
        slots = asyncio.Semaphore(_IMAGES_AT_ONCE)

        async def one(origin: str, specs: tuple[ThumbnailSpec | None, ...]) -> None:
            async with slots:
                for spec, outcome in (await self._images(origin, specs, options)).items():
                    outcomes[origin, spec] = outcome

        async with asyncio.TaskGroup() as group:
            for origin, specs in wanted.items():
                # Thumbnails first: a thumbnail that is made while fetching needs no second read of the
                # original.
                group.create_task(one(origin, tuple(sorted(specs, key=lambda spec: spec is None))))
        return outcomes

    async def _images(
        self, origin: str, specs: tuple[ThumbnailSpec | None, ...], options: ArticleOptions
    ) -> dict[ThumbnailSpec | None, _Outcome | MediaError]:
        try:
            original = await self.images.obtain(
                origin, specs[0], placeholder=True, failures_since=options.failures_since
            )
            whole = await self.images.serve(original, None)
            if options.only_kept:
                await self.images.keep(whole)
        except MediaError as error:
            logs.get().info("image.failed", host=logs.host_of(origin), code=error.code, why=str(error))
            return dict.fromkeys(specs, error)
        outcomes: dict[ThumbnailSpec | None, _Outcome | MediaError] = {}
        placeholder = await self._placeholder(original)
        for spec in specs:
            try:
                shown = whole if spec is None else await self.images.serve(original, spec, load=False)
                if options.only_kept:
                    await self.images.keep(shown)
            except MediaError as error:
                logs.get().info("image.failed", host=logs.host_of(origin), code=error.code, why=str(error))
                outcomes[spec] = error
                continue
            outcomes[spec] = _Outcome(whole, shown, placeholder)
        return outcomes

    async def _placeholder(self, original: Original) -> Placeholder:
        try:
            return await self.images.placeholder(original)
        except MediaError:
            # A placeholder is optional; its failure must not fail the image.
            return Placeholder(None, None)

    def _edits(self, target: Target, outcome: _Outcome, options: ArticleOptions) -> Iterable[Edit]:
        yield references.write(target.reference, options.prefix + outcome.shown.name)
        thumbhash = outcome.placeholder.thumbhash
        if options.placeholder and thumbhash is not None:
            background = references.write_background(target.reference, css_background.declarations(thumbhash))
            if background is not None:
                yield background


def _name_before_fetching(origin: str) -> str:
    ending = urlsplit(origin).path.rpartition(".")[2].lower()
    form = {"jpeg": "jpg"}.get(ending, ending)
    digest = hashlib.sha256(origin.encode()).hexdigest()[:12]
    return f"not-fetched-yet-{digest}.{form if form in BY_EXTENSION else 'jpg'}"


def _report(
    target: Target,
    status: Status,
    *,
    code: str | None = None,
    original: str | None = None,
    thumbnail: str | None = None,
) -> ImageRow:
    return ImageRow(
        source=target.reference.address,
        origin=target.resolution.origin,
        where=target.reference.where,
        declared_size=target.declared_size,
        status=status,
        code=code,
        original=original,
        thumbnail=thumbnail,
        warnings=target.reference.warnings,
    )


def _size(image: Image) -> tuple[int, int] | None:
    return None if image.width is None or image.height is None else (image.width, image.height)


def _localised(target: Target, outcome: _Outcome, prefix: str) -> ImageRow:
    return ImageRow(
        source=target.reference.address,
        origin=target.resolution.origin,
        where=target.reference.where,
        declared_size=target.declared_size,
        status=Status.LOCALISED,
        original=prefix + outcome.original.name,
        thumbnail=prefix + outcome.shown.name if target.spec is not None else None,
        width=outcome.shown.width,
        height=outcome.shown.height,
        bytes=outcome.shown.bytes,
        original_bytes=outcome.original.bytes,
        original_size=_size(outcome.original),
        thumbhash=outcome.placeholder.thumbhash,
        dominant=outcome.placeholder.dominant,
        warnings=target.reference.warnings,
    )


def _finish(
    article: bytes,
    edits: list[Edit],
    reports: list[ImageRow],
    assets: tuple[Asset, ...],
    warnings: tuple[str, ...],
) -> Rewritten:
    statuses = [report.status for report in reports]
    for status, counter in _OUTCOMES.items():
        if count := statuses.count(status):
            counter.inc(count)
    return Rewritten(article, tuple(edits), tuple(reports), assets, warnings)
