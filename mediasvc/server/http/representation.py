"""The headers of an image reply, and replies that are kept for sending again."""

from dataclasses import dataclass, field
from email.utils import formatdate
from functools import lru_cache

SERVER = "mediasvc"
# On every reply of every route and status. The web page and /docs set a CSP of their own.
COMMON_HEADERS: tuple[tuple[str, str], ...] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; sandbox"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Access-Control-Allow-Origin", "*"),
    ("Timing-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "ETag, X-Cache, X-Request-ID, Retry-After, Content-Range"),
)
# Those by which a reply lets pages of other sites read it.
CORS_HEADERS = frozenset(
    {"Timing-Allow-Origin", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"}
)
IMMUTABLE = "public, max-age=31536000, immutable"
NO_STORE = "no-store"


@lru_cache(maxsize=512)
def http_date(second: int) -> str:
    """IMF-fixdate of a moment in epoch seconds. Source: RFC 9110 section 5.6.7."""
    return formatdate(second, usegmt=True)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long caches may keep a reply, in epoch seconds; the later moments may equal the first.

    revalidate_until: until then a stale reply may be served while it is revalidated.
    stale_until: until then a stale reply may be served while revalidation fails.
    """

    expires_at: float
    revalidate_until: float
    stale_until: float

    def until(self, moment: float) -> "Freshness":
        """The same, but no longer than to a moment."""
        return Freshness(
            min(self.expires_at, moment), min(self.revalidate_until, moment), min(self.stale_until, moment)
        )

    def cache_control(self, now: float) -> str:
        """Never negative; the stale windows count from the end of freshness (RFC 5861)."""
        text = f"public, max-age={max(0, int(self.expires_at - now))}"
        if self.revalidate_until > max(now, self.expires_at):
            text += f", stale-while-revalidate={int(self.revalidate_until - max(now, self.expires_at))}"
        if self.stale_until > max(now, self.expires_at):
            text += f", stale-if-error={int(self.stale_until - max(now, self.expires_at))}"
        return text


@dataclass(frozen=True, slots=True)
class Representation:
    """Facts about the bytes of a reply, known before they are read.

    etag: with its quotes.
    filename: derived from the content, never from the request.
    modified_s: epoch seconds.
    caching: Freshness, or a fixed Cache-Control value.
    varies: whether another Accept header may get other bytes.
    """

    etag: str
    media_type: str
    filename: str
    modified_s: int | None
    caching: Freshness | str
    varies: bool = False

    def headers(self, now: float, *, with_body: bool = True) -> dict[str, str]:
        """Without Content-Length. with_body False: what a 304 repeats of the 200 (RFC 9110 section 15.4.5)."""  # noqa: E501
        fields = {
            "ETag": self.etag,
            "Cache-Control": self.caching
            if isinstance(self.caching, str)
            else self.caching.cache_control(now),
        }
        if self.modified_s is not None:
            fields["Last-Modified"] = http_date(self.modified_s)
        if self.varies:
            fields["Vary"] = "Accept"
        if with_body:
            fields["Content-Type"] = self.media_type
            fields["Accept-Ranges"] = "bytes"
            fields["Content-Disposition"] = f'inline; filename="{self.filename}"'
        return fields


@dataclass(slots=True, eq=False)
class ReadyReply:
    """A whole reply that the memory cache keeps while it is fresh.

    origin: the source URL it was made from; empty for assets, which are named by their content.
    expires_at: epoch seconds.
    picture: the same for all spellings of a request for one picture; empty where there is only one spelling.
    """

    representation: Representation
    body: bytes
    origin: str
    expires_at: float
    picture: str = ""
    visited: bool = False
    _second: int = field(default=-1, repr=False)
    _heads: tuple[bytes, bytes] = field(default=(b"", b""), repr=False)

    def heads(self, now: float) -> tuple[bytes, bytes]:
        """(head of the 200, head of the 304), up to where the value of X-Request-ID goes.

        They name the age of the reply, so they hold for one second.
        """
        second = int(now)
        if second != self._second:
            self._heads = self._serialise(now)
            self._second = second
        return self._heads

    def _serialise(self, now: float) -> tuple[bytes, bytes]:
        always = dict(COMMON_HEADERS) | {"X-Cache": "HIT", "Date": http_date(int(now)), "Server": SERVER}
        found = self.representation.headers(now) | {"Content-Length": str(len(self.body))} | always
        unchanged = self.representation.headers(now, with_body=False) | always
        return _head("200 OK", found), _head("304 Not Modified", unchanged)


def _head(status: str, fields: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}X-Request-ID: ".encode("latin-1")
