"""Pages for people: their files, read once at start and served with a validator."""

import hashlib
from dataclasses import dataclass
from importlib.resources import files

import orjson
from aiohttp import web

from mediasvc import __version__
from mediasvc.core.http import conditional
from mediasvc.errors import BY_CODE, MediaError, NotFound
from mediasvc.server.http.sending import lower_case

_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "ico": "image/x-icon",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
# Of the images of the bundled article; under .example, which belongs to no one.
_EXAMPLE_HOST = "static.news.example"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent. media_type: with its charset."""

    body: bytes
    media_type: str
    etag: str


def read_files() -> dict[str, File]:
    """Files of our pages by name, those of a type that browsers ask for, and openapi.json."""
    package = files("mediasvc.server")
    described = orjson.loads((package / "openapi.json").read_bytes())
    described["info"]["version"] = __version__
    found = {"openapi.json": file_of(orjson.dumps(described), _TYPES["json"])}
    for entry in (package / "page").iterdir():
        media_type = _TYPES.get(entry.name.rpartition(".")[2])
        if media_type is not None and entry.is_file():
            found[entry.name] = file_of(entry.read_bytes(), media_type)
    found["failures.js"] = file_of(_failures_module(), _TYPES["js"])
    return found


def _failures_module() -> bytes:
    """The table of failures as the page's scripts import it: the explanation of each code."""
    kinds: list[type[MediaError]] = [MediaError, *BY_CODE.values()]
    explanations = {kind.code: kind.explanation for kind in kinds}
    return b"export const EXPLANATIONS = " + orjson.dumps(explanations) + b";\n"


def file_of(body: bytes, media_type: str) -> File:
    """A file from its bytes."""
    return File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


class PageRoutes:
    """`/`, `/page/{file}`, `/docs`, `/openapi.json` and `/v1/example`."""

    def __init__(self, pages: dict[str, File], *, connect_to: str) -> None:
        """pages: by file name; index.html, docs.html and openapi.json have routes of their own.

        connect_to: of the settings; names the example's host where its origin runs beside us, as in the demo.
        """
        self.pages = pages
        content = (files("mediasvc.demo") / "article.md").read_text(encoding="utf-8")
        self._example = orjson.dumps(
            {"content": content, "type": "markdown", "ready": _EXAMPLE_HOST in connect_to}
        )

    async def index(self, request: web.Request) -> web.StreamResponse:
        """The page."""
        return self._send(request, "index.html")

    async def docs(self, request: web.Request) -> web.StreamResponse:
        """The description of the routes, for people."""
        return self._send(request, "docs.html")

    async def openapi(self, request: web.Request) -> web.StreamResponse:
        """The description of the routes, for programs."""
        return self._send(request, "openapi.json")

    async def example(self, _request: web.Request) -> web.StreamResponse:
        """The article that the page offers as an example."""
        return web.Response(body=self._example, content_type="application/json")

    async def file(self, request: web.Request) -> web.StreamResponse:
        """A script, style sheet or picture of the pages."""
        return self._send(request, request.match_info["file"])

    def _send(self, request: web.Request, name: str) -> web.StreamResponse:
        page = self.pages.get(name)
        if page is None:
            raise NotFound("the page has no such file")
        # Asked again each time, so that an upgrade of the service never meets scripts of the version before.
        fields = {"ETag": page.etag, "Cache-Control": "no-cache", "Content-Security-Policy": CSP}
        fields["Referrer-Policy"] = "no-referrer"
        if conditional.not_modified(lower_case(request), page.etag, None):
            return web.Response(status=304, headers=fields)
        return web.Response(body=page.body, headers=fields | {"Content-Type": page.media_type})
