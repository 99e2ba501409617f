"""POST /v1/rewrite: an article in JSON or as it is, rewritten lazily or eagerly."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from mediasvc import metrics
from mediasvc.articles.options import ArticleOptions, Mode
from mediasvc.articles.rows import Counts, Rewritten
from mediasvc.articles.walk import Articles
from mediasvc.batch.json_lines import from_counts, from_image
from mediasvc.core.addresses import urls
from mediasvc.core.formats import OutputFormat
from mediasvc.core.text.front_matter.fields import parse_field
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import BodyTooLarge, InvalidRequest, MediaError, SourceRefused
from mediasvc.server.http import bodies
from mediasvc.server.http.admission import Admission
from mediasvc.server.routes import image_options
from mediasvc.server.routes.images import query_pairs

_MEMBERS = frozenset({"content", "type", "mode", "base_url", "front_matter", "format"})
_QUERY = frozenset({"mode", "base_url", "format"})
_RAW_TYPES = {"text/html": ArticleType.HTML, "text/markdown": ArticleType.MARKDOWN}
_TYPES = {"html": ArticleType.HTML, "markdown": ArticleType.MARKDOWN, "auto": None}
_MODES = {mode.value: mode for mode in Mode}
_FORMATS = {form.value: form for form in OutputFormat}
_USES = ("thumbnail", "original", "skip")
# JSON writes a control character of the article in six bytes; the rest is for the other members.
_ESCAPED_BYTES = 6
_ENVELOPE_BYTES = 64 * 1024
# Largest bodies that are held at once; more small ones.
_BODIES_TOGETHER = 4
# Longer ones are rewritten in a thread, so that the others need not wait for them.
_QUICK_BYTES = 128 * 1024


class ArticleRoutes:
    """One article in, one article out."""

    def __init__(
        self, articles: Articles, admission: Admission, *, max_article_bytes: int, public_url: str
    ) -> None:
        self.articles = articles
        self.admission = admission
        self.bodies = bodies.Bodies(_BODIES_TOGETHER * (_ESCAPED_BYTES * max_article_bytes + _ENVELOPE_BYTES))
        self.max_article_bytes = max_article_bytes
        self.public_url = public_url

    async def rewrite(self, request: web.Request) -> web.StreamResponse:
        """JSON gives JSON; text/html and text/markdown give the same type back, byte for byte but for addresses."""
        if request.content_type == "application/json":
            return await self._rewrite_json(request)
        kind = _RAW_TYPES.get(request.content_type)
        if kind is None:
            raise InvalidRequest(
                "the body needs a Content-Type that we read: application/json, text/html or text/markdown"
            )
        return await self._rewrite_raw(request, kind)

    async def _rewrite_json(self, request: web.Request) -> web.StreamResponse:
        by_query = _by_query(request)
        async with self.bodies.read(request, self._most_bytes(request)) as body:
            given = {**by_query, **bodies.parse_object(body, _MEMBERS)}
            content = given.get("content")
            if not isinstance(content, str):
                raise InvalidRequest("content is the article, a string")
            article = content.encode()
            self._check_size(article)
            asked = self._options(given, _chosen(given, "type", _TYPES, None))
            rewritten = await self._rewritten(article, asked, _chosen(given, "mode", _MODES, Mode.LAZY))
        reply = {
            "content": rewritten.content.decode(),
            "images": [from_image(image) for image in rewritten.images],
            "counts": from_counts(Counts.of(rewritten.images)),
        }
        return web.Response(body=orjson.dumps(reply), content_type="application/json")

    async def _rewrite_raw(self, request: web.Request, kind: ArticleType) -> web.StreamResponse:
        given = _by_query(request)
        mode = _chosen(given, "mode", _MODES, Mode.LAZY)
        asked = self._options(given, kind)
        async with self.bodies.read(request, self._most_bytes(request)) as article:
            rewritten = await self._rewritten(article, asked, mode)
        # The very value that came, charset and all: the bytes are still in that charset.
        return web.Response(
            body=rewritten.content, headers={"Content-Type": request.headers.get("Content-Type", "text/html")}
        )

    async def _rewritten(self, article: bytes, asked: ArticleOptions, mode: Mode) -> Rewritten:
        try:
            with self.admission.enter():
                if mode is Mode.EAGER:
                    rewritten = await self.articles.rewrite(article, asked)
                elif len(article) <= _QUICK_BYTES:
                    rewritten = self.articles.rewrite_lazily(article, asked)
                else:
                    rewritten = await asyncio.to_thread(self.articles.rewrite_lazily, article, asked)
        except MediaError:
            metrics.articles.labels("failed").inc()
            raise
        metrics.articles.labels("unchanged" if rewritten.content == article else "rewritten").inc()
        return rewritten

    def _check_size(self, article: bytes) -> None:
        if len(article) > self.max_article_bytes:
            raise BodyTooLarge(f"an article may have at most {self.max_article_bytes} bytes")

    def _options(self, given: Mapping[str, Any], kind: ArticleType | None) -> ArticleOptions:
        # Any: JSON members or query values; each is checked here
        prefix = f"{self.public_url}/assets/"
        return ArticleOptions(
            type=kind,
            base_url=_base_url(given.get("base_url")),
            front_matter=_front_matter(given.get("front_matter", {})),
            format=_chosen(given, "format", _FORMATS, None),
            prefix=prefix,
            report_prefix=prefix,
            only_kept=True,
        )

    async def expect_article(self, request: web.Request) -> None:
        """Asks for the body only where its length will do; the handler says no to the others."""
        stated = request.content_length
        if stated is None or stated <= self._most_bytes(request):
            await bodies.expect_continue(request)

    def _most_bytes(self, request: web.Request) -> int:
        if request.content_type == "application/json":
            return _ESCAPED_BYTES * self.max_article_bytes + _ENVELOPE_BYTES
        return self.max_article_bytes


def _by_query(request: web.Request) -> Mapping[str, Any]:
    """Options in the query, each checked, whether or not one of the same name in the object is stronger."""
    given: Mapping[str, Any] = image_options.single_values(query_pairs(request), _QUERY)
    _chosen(given, "mode", _MODES, None)
    _chosen(given, "format", _FORMATS, None)
    _base_url(given.get("base_url"))
    return given


def _chosen(given: Mapping[str, Any], name: str, choices: Mapping[str, Any], default: Any) -> Any:
    # Any: of whatever type the choices are; callers pass typed tables
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, str) or value not in choices:
        raise InvalidRequest(f"{name} is one of {', '.join(choices)}")
    return choices[value]


def _base_url(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest("base_url is an absolute http or https address")
    try:
        return urls.normalise(value)
    except (InvalidRequest, SourceRefused) as error:
        raise InvalidRequest("base_url is an absolute http or https address") from error


def _front_matter(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(use in _USES for use in value.values()):
        raise InvalidRequest(f"front_matter is an object of field names, each with one of {', '.join(_USES)}")
    for name in value:
        try:
            parse_field(name)
        except ValueError as error:
            raise InvalidRequest(f"front_matter: {error}") from error
    return value
