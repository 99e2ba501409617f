"""ReadyReply replies in memory: bounded by bytes, fresh, and gone after a purge."""

from mediasvc.core.formats import NEGOTIABLE, Format
from mediasvc.server.http.memory import Memory
from mediasvc.server.http.representation import Freshness, ReadyReply, Representation

NOW = 1_800_000_000.0
NEITHER, WEBP, BOTH = frozenset[Format](), frozenset({Format.WEBP}), frozenset(NEGOTIABLE)


def ready(
    body: bytes = b"x", origin: str = "http://a.example/", *, varies: bool = False, lives_s: float = 60
) -> ReadyReply:
    fresh = Freshness(NOW + lives_s, NOW + lives_s, NOW + lives_s)
    return ReadyReply(
        Representation('"e"', "image/png", "e.png", None, fresh, varies), body, origin, NOW + lives_s
    )


def test_a_reply_is_found_by_its_target() -> None:
    memory = Memory(1_000_000)
    reply = ready()

    memory.put(b"/a", None, reply, 0)

    assert memory.get(b"/a", BOTH, NOW) is reply
    assert memory.get(b"/b", BOTH, NOW) is None


def test_a_reply_that_varies_is_found_only_by_those_who_accept_the_same() -> None:
    memory = Memory(1_000_000)
    for_webp, for_all = ready(varies=True), ready(varies=True)

    memory.put(b"/a", WEBP, for_webp, 0)
    memory.put(b"/a", NEITHER, for_all, 0)

    assert memory.get(b"/a", WEBP, NOW) is for_webp
    assert memory.get(b"/a", NEITHER, NOW) is for_all
    assert memory.get(b"/a", None, NOW) is None


def test_a_reply_is_given_until_it_expires_and_then_dropped() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/a", None, ready(lives_s=10), 0)
    memory.put(b"/b", WEBP, ready(lives_s=10, varies=True), 0)

    assert memory.get(b"/a", None, NOW + 9.9) is not None
    assert memory.get(b"/a", None, NOW + 10) is None
    assert memory.get(b"/b", WEBP, NOW + 10) is None
    assert (len(memory), memory.bytes) == (0, 0)


def test_bytes_stay_within_the_bound() -> None:
    memory = Memory(1_000_000)

    for number in range(100):
        memory.put(b"/%d" % number, None, ready(bytes(50_000)), 0)

    assert 800_000 < memory.bytes <= 1_000_000
    assert memory.evictions == 100 - len(memory)
    assert memory.get(b"/99", None, NOW) is not None


def test_what_was_asked_for_outlives_what_was_not() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/hot", None, ready(bytes(50_000)), 0)

    for number in range(100):
        memory.put(b"/%d" % number, None, ready(bytes(50_000)), 0)
        assert memory.get(b"/hot", None, NOW) is not None


def test_one_large_reply_does_not_push_out_all_others() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/small", None, ready(), 0)

    memory.put(b"/large", None, ready(bytes(500_000)), 0)

    assert memory.get(b"/large", None, NOW) is None
    assert memory.get(b"/small", None, NOW) is not None


def test_a_bound_of_nought_keeps_nothing() -> None:
    memory = Memory(0)

    memory.put(b"/a", None, ready(), 0)

    assert len(memory) == 0


def test_a_reply_put_again_is_counted_once() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/a", None, ready(bytes(10_000)), 0)
    once = memory.bytes

    memory.put(b"/a", None, ready(bytes(10_000)), 0)

    assert (memory.bytes, len(memory)) == (once, 1)


def test_a_purge_drops_every_reply_of_its_origin_and_all_assets_and_no_other() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/a", None, ready(), 0)
    memory.put(b"/a-small", WEBP, ready(varies=True), 0)
    memory.put(b"/asset", None, ready(origin=""), 0)
    memory.put(b"/b", None, ready(origin="http://b.example/"), 0)

    memory.forget("http://a.example/")

    assert len(memory) == 1
    assert memory.get(b"/b", None, NOW) is not None


def test_work_that_began_before_a_purge_leaves_nothing_behind() -> None:
    memory = Memory(1_000_000)
    began = memory.generation
    memory.forget("http://a.example/")

    memory.put(b"/a", None, ready(), began)

    assert memory.get(b"/a", None, NOW) is None


def test_clear_drops_everything() -> None:
    memory = Memory(1_000_000)
    memory.put(b"/a", None, ready(), 0)
    memory.put(b"/b", None, ready(origin=""), 0)

    memory.clear()
    memory.put(b"/c", None, ready(), 0)

    assert (len(memory), memory.bytes) == (0, 0)


def test_a_head_tells_how_long_the_reply_is_still_fresh() -> None:
    reply = ready(b"12345", lives_s=60)

    found, unchanged = reply.heads(NOW)
    later, _ = reply.heads(NOW + 2)

    assert b"\r\nContent-Length: 5\r\n" in found
    assert b"max-age=60\r\n" in found
    assert b"max-age=58\r\n" in later
    assert unchanged.startswith(b"HTTP/1.1 304 Not Modified\r\n")
    assert b"Content-" not in unchanged.replace(b"Content-Security-Policy", b"").replace(
        b"X-Content-Type-Options", b""
    ).replace(b"Content-Range\r\n", b"")


def test_one_picture_is_kept_under_the_spelling_that_was_asked_for_last() -> None:
    memory = Memory(1_000_000)
    for target in (b"/a", b"/%61", b"/b", b"/a"):
        reply = ready()
        reply.picture = "b" if target == b"/b" else "a"
        memory.put(target, None, reply, 0)

    assert [memory.get(target, None, NOW) is not None for target in (b"/a", b"/%61", b"/b")] == [
        True,
        False,
        True,
    ]
    assert memory.bytes == 2 * (2048 + 3)


def test_what_varies_has_one_spelling_for_each_kind_of_client() -> None:
    memory = Memory(1_000_000)
    for target, accepts in ((b"/a", WEBP), (b"/a", NEITHER), (b"/%61", WEBP)):
        reply = ready(varies=True)
        reply.picture = "a"
        memory.put(target, accepts, reply, 0)

    assert len(memory) == 2
    assert memory.get(b"/a", WEBP, NOW) is None
    assert memory.get(b"/a", NEITHER, NOW) is not None
