"""POST /v1/rewrite: an article in JSON or as it is, rewritten lazily or eagerly."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import orjson
from aiohttp import web

from mediasvc import metrics
from mediasvc.articles.options import ArticleOptions, Mode
from mediasvc.articles.request import OPTIONS, read_mode, read_options
from mediasvc.articles.rows import Counts, Rewritten
from mediasvc.articles.walk import Articles
from mediasvc.batch.json_lines import from_counts, from_image
from mediasvc.core.addresses.host_patterns import HostPattern
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import BodyTooLarge, InvalidRequest, MediaError
from mediasvc.server.http import bodies
from mediasvc.server.http.admission import Admission
from mediasvc.server.routes import image_options
from mediasvc.server.routes.images import query_pairs

_MEMBERS = frozenset({"content", "mode", *OPTIONS})
_QUERY = frozenset({"mode", *(name for name, option in OPTIONS.items() if option.in_query)})
_RAW_TYPES = {"text/html": ArticleType.HTML, "text/markdown": ArticleType.MARKDOWN}
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
        self,
        articles: Articles,
        admission: Admission,
        *,
        max_article_bytes: int,
        public_url: str,
        leave: tuple[HostPattern, ...],
    ) -> None:
        self.articles = articles
        self.admission = admission
        self.bodies = bodies.Bodies(_BODIES_TOGETHER * (_ESCAPED_BYTES * max_article_bytes + _ENVELOPE_BYTES))
        self.max_article_bytes = max_article_bytes
        self.public_url = public_url
        self.leave = leave

    async def rewrite(self, request: web.Request) -> web.StreamResponse:
        """JSON gives JSON; text/html and text/markdown give the same type back, byte for byte but for
        addresses.
        """
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
            asked = self._options(given)
            rewritten = await self._rewritten(article, asked, read_mode(given, Mode.LAZY))
        reply = {
            "content": rewritten.content.decode(),
            "images": [from_image(image) for image in rewritten.images],
            "counts": from_counts(Counts.of(rewritten.images)),
        }
        return web.Response(body=orjson.dumps(reply), content_type="application/json")

    async def _rewrite_raw(self, request: web.Request, kind: ArticleType) -> web.StreamResponse:
        given = _by_query(request)
        mode = read_mode(given, Mode.LAZY)
        asked = replace(self._options(given), type=kind)
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

    def _options(self, given: Mapping[str, object]) -> ArticleOptions:
        prefix = f"{self.public_url}/assets/"
        options = read_options(given)
        leave = options.leave + self.leave
        return replace(options, prefix=prefix, report_prefix=prefix, only_kept=True, leave=leave)

    async def expect_article(self, request: web.Request) -> None:
        """Asks for the body only where its length will do; the handler says no to the others."""
        stated = request.content_length
        if stated is None or stated <= self._most_bytes(request):
            await bodies.expect_continue(request)

    def _most_bytes(self, request: web.Request) -> int:
        if request.content_type == "application/json":
            return _ESCAPED_BYTES * self.max_article_bytes + _ENVELOPE_BYTES
        return self.max_article_bytes


def _by_query(request: web.Request) -> Mapping[str, object]:
    """Options in the query, each checked, even if one of the same name in the object overrides it."""
    given: Mapping[str, object] = image_options.single_values(query_pairs(request), _QUERY)
    read_mode(given, Mode.LAZY)
    read_options(given)
    return given
