"""What the head of an origin's reply means, and what comes out of its content coding."""

import gzip
import random
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.http import content_coding, retry
from mediasvc.core.http.origin_reply import Body, NotModified, Redirect, judge, kept, location_text
from mediasvc.errors import MediaError, SourceFailed, SourceMissing, SourceTooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (200, {}, Body(None)),
        (203, {"content-length": "5"}, Body(5)),
        (200, {"content-length": "100"}, Body(100)),
        (206, {"content-range": "bytes 0-4/5"}, Body(5)),
        (206, {"content-range": "bytes 0-4/5", "content-length": "5"}, Body(5)),
        (301, {"location": "/x"}, Redirect("/x")),
        (304, {}, NotModified()),
    ],
)
def test_good_replies(status: int, headers: dict[str, str], verdict: object) -> None:
    assert judge(status, headers, NOW, is_conditional=True, max_bytes=100) == verdict


@pytest.mark.parametrize(
    ("status", "headers", "kind", "reason"),
    [
        (200, {"content-length": "101"}, SourceTooLarge, "bytes"),
        (200, {"content-length": "5, 5"}, SourceFailed, retry.PROTOCOL),
        (200, {"content-length": "+5"}, SourceFailed, retry.PROTOCOL),
        (206, {}, SourceFailed, retry.PROTOCOL),
        (206, {"content-range": "bytes 1-4/5"}, SourceFailed, retry.PROTOCOL),
        (206, {"content-range": "bytes 0-3/5"}, SourceFailed, retry.PROTOCOL),
        (206, {"content-range": "bytes 0-4/*"}, SourceFailed, retry.PROTOCOL),
        (206, {"content-range": "bytes 0-100/101"}, SourceTooLarge, "bytes"),
        (206, {"content-range": "bytes 0-4/5", "content-length": "4"}, SourceFailed, retry.PROTOCOL),
        (302, {}, SourceFailed, retry.PROTOCOL),
        (304, {}, SourceFailed, retry.STATUS),
        (404, {}, SourceMissing, ""),
        (410, {}, SourceMissing, ""),
        (403, {}, SourceFailed, retry.STATUS),
        (429, {}, SourceFailed, retry.BUSY),
        (500, {}, SourceFailed, retry.STATUS_FOR_NOW),
        (503, {}, SourceFailed, retry.BUSY),
    ],
)
def test_bad_replies(status: int, headers: dict[str, str], kind: type[MediaError], reason: str) -> None:
    with pytest.raises(kind) as failure:
        judge(status, headers, NOW, is_conditional=False, max_bytes=100)

    assert failure.value.reason == reason


def test_a_failure_tells_when_to_come_back() -> None:
    with pytest.raises(SourceFailed) as failure:
        judge(503, {"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, NOW, is_conditional=False, max_bytes=1)

    assert failure.value.retry_after_s == 30


def test_nothing_but_what_caching_needs_is_kept() -> None:
    assert kept({"etag": "a", "set-cookie": "b", "content-type": "c", "link": "d"}) == {"etag": "a"}


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"/a", "/a"), ("/图".encode(), "/图"), (b"/\xcd\xbc?\xff", "/%CD%BC?%FF"), (b"/%41", "/%41")],
)
def test_a_location_is_read_as_browsers_read_it(raw: bytes, text: str) -> None:
    assert location_text(raw) == text


def _decoded(coding: str, pieces: list[bytes], max_bytes: int = 10_000_000) -> bytes:
    decoder = content_coding.decoder_for(coding, max_bytes)
    assert decoder is not None
    out = b"".join(piece for arrived in pieces for piece in decoder.feed(arrived))
    return out + b"".join(decoder.end())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=5),
    "zstd": zstd.compress,
}


@given(st.binary(max_size=2000), st.integers(1, 50), st.sampled_from(sorted(PACK)))
def test_a_coding_comes_off_however_it_is_cut_up(data: bytes, step: int, coding: str) -> None:
    packed = PACK[coding](data)

    assert _decoded(coding, [packed[at : at + step] for at in range(0, len(packed), step)]) == data


@pytest.mark.parametrize(
    "coding",
    [
        "",
        "identity",
        " Identity , ",
        "identity, identity",
        "undefined",
        "UTF-8",
        "none",
        "aws-chunked",
        "gzip;q=1",
    ],
)
def test_no_coding_needs_no_decoder(coding: str) -> None:
    assert content_coding.decoder_for(coding, 100) is None


@pytest.mark.parametrize("coding", ["gzip, gzip", "gzip, br", "zstd,none,br"])
def test_several_codings_are_refused(coding: str) -> None:
    with pytest.raises(SourceFailed) as failure:
        content_coding.decoder_for(coding, 100)

    assert failure.value.reason == retry.CODING


def test_a_coding_beside_a_word_that_is_none_comes_off() -> None:
    assert _decoded("aws-chunked, gzip", [gzip.compress(b"abc")]) == b"abc"


@pytest.mark.parametrize("coding", sorted(PACK))
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda packed: packed[:-3], retry.TRUNCATED),
        (lambda packed: packed + b"more", retry.CODING),
        (lambda packed: b"\xff" * 100, retry.CODING),
        (lambda packed: b"", retry.TRUNCATED),
    ],
)
def test_a_coding_that_is_broken_is_a_failure_of_the_source(
    coding: str, spoil: Callable[[bytes], bytes], reason: str
) -> None:
    with pytest.raises(SourceFailed) as failure:
        _decoded(coding, [spoil(PACK[coding](bytes(range(256)) * 100))])

    assert failure.value.reason == reason


@cache
def _bomb(coding: str) -> bytes:
    return PACK[coding](bytes(64_000_000))


@pytest.mark.parametrize("coding", sorted(PACK))
@pytest.mark.parametrize(("max_bytes", "reason"), [(3_000_000, "bytes"), (10**9, "ratio")])
def test_a_bomb_ends_before_it_takes_memory(coding: str, max_bytes: int, reason: str) -> None:
    bomb = _bomb(coding)

    tracemalloc.start()
    with pytest.raises(SourceTooLarge) as failure:
        _decoded(coding, [bomb], max_bytes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert failure.value.reason in (reason, "ratio")
    assert peak < 20_000_000


@pytest.mark.parametrize("coding", sorted(PACK))
def test_a_large_body_comes_in_bounded_pieces(coding: str) -> None:
    data = random.Random(3).randbytes(1024 * 1024)
    decoder = content_coding.decoder_for(coding, 10_000_000)
    assert decoder is not None

    pieces = decoder.feed(PACK[coding](data)) + decoder.end()

    assert b"".join(pieces) == data
    # Brotli gives its whole window at once.
    assert max(map(len, pieces)) <= (4 * 1024 if coding == "br" else 256) * 1024


@pytest.mark.parametrize("extra", range(-300, 300, 7))
def test_the_last_bytes_of_a_bare_stream_are_not_lost_where_a_step_is_full(extra: int) -> None:
    data = b"abc" * ((256 * 1024 + extra) // 3)
    engine = zlib.compressobj(wbits=-15)

    assert _decoded("deflate", [engine.compress(data) + engine.flush()]) == data
