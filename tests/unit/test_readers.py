"""What may be written for a setting, as tables: what it is then, or that it is refused."""

import math
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from mediasvc import readers

Read = Callable[[object], object]

GOOD: list[tuple[Read, object, object]] = [
    (readers.text, "", ""),
    (readers.text, " a ", " a "),
    (readers.url("s3", "gs"), "", ""),
    (readers.url("s3", "gs"), "gs://b/p", "gs://b/p"),
    (readers.public_url, "https://a.test/m/", "https://a.test/m"),
    (readers.public_url, "", ""),
    (readers.url("redis", must_name_host=False), "redis:///1", "redis:///1"),
    (readers.token, " swordfish\n", "swordfish"),
    (readers.token, "", ""),
    (readers.path, "a/b", Path("a/b")),
    (readers.path, Path("/a"), Path("/a")),
    (readers.path, "~/a", Path.home() / "a"),
    (readers.whole(0, 9), "5", 5),
    (readers.whole(0, 9), " +5 ", 5),
    (readers.whole(0, 9), "05", 5),
    (readers.whole(0, 9), "5.0", 5),
    (readers.whole(0, 9), 5.0, 5),
    (readers.whole(0, 9), "0", 0),
    (readers.whole(0, 9), "9", 9),
    (readers.whole(-5), "-5", -5),
    (readers.whole(0), "1_000", 1000),
    (readers.whole(0), 10**30, 10**30),
    (readers.size(), "10MiB", 10 * 1024**2),
    (readers.size(), 7, 7),
    (readers.size(1024), "1KiB", 1024),
    (readers.speed, "1KiB/s", 1024),
    (readers.speed, "0", 0),
    (readers.count, "64M", 64_000_000),
    (readers.seconds, "1.5h", 5400.0),
    (readers.seconds, "0", 0.0),
    (readers.seconds, 2, 2.0),
    (readers.deadline, "500ms", 0.5),
    (readers.choice("text", "json"), "json", "json"),
    (readers.level, "WARNING", "warning"),
    (readers.names, "a.test, *.b.test,,", ("a.test", "*.b.test")),
    (readers.names, ["a.test"], ("a.test",)),
    (readers.names, "", ()),
    (readers.ports, "80, 8080,80", frozenset({80, 8080})),
    (readers.ports, [80, "443"], frozenset({80, 443})),
    (readers.networks, "10.0.0.1/8,::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
    (readers.keys, "00ff, 73 65", (b"\x00\xff", b"se")),
    *((readers.claim, word, True) for word in ("1", "true", "True", "T", "yes", "Y", "ON", True, 1)),
    *((readers.claim, word, False) for word in ("0", "false", "F", "no", "n", "Off", False, 0)),
]
BAD: list[tuple[Read, object]] = [
    (readers.text, 5),
    (readers.text, b"a"),
    (readers.url("s3"), "http://a.test"),
    (readers.url("s3"), "S3://b"),
    (readers.url("s3"), "s3://"),
    (readers.url("s3"), "s3:///prefix"),
    *((readers.url("http"), value) for value in ("http://[", "http://a:b", "http://a:99999", "http://:80")),
    (readers.url("redis", must_name_host=False), "redis://:not/encoded@a.test"),
    *((readers.public_url, f"https://{value}") for value in ("a b.test", "a.test/b c", "a\"b", "a.test/<b>", "a\n")),
    *((readers.public_url, f"https://{value}") for value in (":443/", "[", "a.test:99999")),
    *((readers.token, word) for word in (" ", "a\x00b", "a\nb", "\udcff", 5)),
    (readers.public_url, "ftp://a.test"),
    (readers.public_url, "https://"),
    (readers.public_url, "https://a.test/?q"),
    (readers.public_url, "https://a.test/#f"),
    (readers.path, 5),
    (readers.path, "a\0b"),
    (readers.path, "~no-such-user/a"),
    *((readers.whole(0, 9), value) for value in ("", " ", "a", "-1", "10", "5.5", "5.", ".5", "1e0", "0x1", "_1")),
    *((readers.whole(0, 9), value) for value in ("\u0665", "nan", 5.5, math.inf, math.nan, True, None, [5])),
    (readers.size(1024), "1023"),
    (readers.size(), "ten"),
    (readers.size(), "9" * 400),
    (readers.count, "9" * 400),
    (readers.size(), "-1"),
    (readers.speed, "1KiB/h"),
    (readers.count, "0"),
    (readers.count, "64Mi"),
    *((readers.seconds, value) for value in ("", "-5s", "1y", "522w", "nan", -1, math.inf, math.nan, False, [])),
    (readers.deadline, "0s"),
    *((readers.claim, value) for value in ("", " true", "2", "none", 2, 1.0, None, [True])),
    (readers.choice("text", "json"), "JSON"),
    (readers.level, "trace"),
    (readers.level, 5),
    (readers.names, [5]),
    (readers.names, {"a": 1}),
    (readers.ports, ","),
    (readers.ports, "80;443"),
    (readers.ports, [0]),
    (readers.ports, "65536"),
    (readers.networks, "10.0.0.0/33"),
    (readers.networks, [80]),
    (readers.keys, "secret"),
    (readers.keys, "0"),
    (readers.keys, [b"a"]),
]  # fmt: skip


@pytest.mark.parametrize(("read", "written", "expected"), GOOD)
def test_what_may_be_written_is_read(read: Read, written: object, expected: object) -> None:
    found = read(written)

    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(("read", "written"), BAD)
def test_everything_else_is_told_what_to_write(read: Read, written: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(written)


def test_bounds_are_told() -> None:
    with pytest.raises(ValueError, match="from 1 to 20"):
        readers.whole(1, 20)("21")
    with pytest.raises(ValueError, match="at least 1024"):
        readers.size(1024)("1")


def test_a_bad_key_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="hexadecimal") as caught:
        readers.keys("not-hex-secret")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
