"""What may be written for a setting, as tables: what it is then, or that it is refused."""

import math
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from mediasvc.config import values

Read = Callable[[object], object]

GOOD: list[tuple[Read, object, object]] = [
    (values.text, "", ""),
    (values.text, " a ", " a "),
    (values.url("s3", "gs"), "", ""),
    (values.url("s3", "gs"), "gs://b/p", "gs://b/p"),
    (values.public_url, "https://a.test/m/", "https://a.test/m"),
    (values.public_url, "", ""),
    (values.url("redis", must_name_host=False), "redis:///1", "redis:///1"),
    (values.token, " swordfish\n", "swordfish"),
    (values.token, "", ""),
    (values.path, "a/b", Path("a/b")),
    (values.path, Path("/a"), Path("/a")),
    (values.path, "~/a", Path.home() / "a"),
    (values.whole(0, 9), "5", 5),
    (values.whole(0, 9), " +5 ", 5),
    (values.whole(0, 9), "05", 5),
    (values.whole(0, 9), "5.0", 5),
    (values.whole(0, 9), 5.0, 5),
    (values.whole(0, 9), "0", 0),
    (values.whole(0, 9), "9", 9),
    (values.whole(-5), "-5", -5),
    (values.whole(0), "1_000", 1000),
    (values.whole(0), 10**30, 10**30),
    (values.size(), "10MiB", 10 * 1024**2),
    (values.size(), 7, 7),
    (values.size(1024), "1KiB", 1024),
    (values.speed, "1KiB/s", 1024),
    (values.speed, "0", 0),
    (values.count, "64M", 64_000_000),
    (values.seconds, "1.5h", 5400.0),
    (values.seconds, "0", 0.0),
    (values.seconds, 2, 2.0),
    (values.deadline, "500ms", 0.5),
    (values.choice("text", "json"), "json", "json"),
    (values.level, "WARNING", "warning"),
    (values.names, "a.test, *.b.test,,", ("a.test", "*.b.test")),
    (values.names, ["a.test"], ("a.test",)),
    (values.names, "", ()),
    (values.ports, "80, 8080,80", frozenset({80, 8080})),
    (values.ports, [80, "443"], frozenset({80, 443})),
    (values.networks, "10.0.0.1/8,::1", (ip_network("10.0.0.0/8"), ip_network("::1"))),
    (values.keys, "00ff, 73 65", (b"\x00\xff", b"se")),
    *((values.claim, word, True) for word in ("1", "true", "True", "T", "yes", "Y", "ON", True, 1)),
    *((values.claim, word, False) for word in ("0", "false", "F", "no", "n", "Off", False, 0)),
]
BAD: list[tuple[Read, object]] = [
    (values.text, 5),
    (values.text, b"a"),
    (values.url("s3"), "http://a.test"),
    (values.url("s3"), "S3://b"),
    (values.url("s3"), "s3://"),
    (values.url("s3"), "s3:///prefix"),
    *((values.url("http"), value) for value in ("http://[", "http://a:b", "http://a:99999", "http://:80")),
    (values.url("redis", must_name_host=False), "redis://:not/encoded@a.test"),
    *((values.public_url, f"https://{value}") for value in ("a b.test", "a.test/b c", "a\"b", "a.test/<b>", "a\n")),  # noqa: E501
    *((values.public_url, f"https://{value}") for value in (":443/", "[", "a.test:99999")),
    *((values.token, word) for word in (" ", "a\x00b", "a\nb", "\udcff", 5)),
    (values.public_url, "ftp://a.test"),
    (values.public_url, "https://"),
    (values.public_url, "https://a.test/?q"),
    (values.public_url, "https://a.test/#f"),
    (values.path, 5),
    (values.path, "a\0b"),
    (values.path, "~no-such-user/a"),
    *((values.whole(0, 9), value) for value in ("", " ", "a", "-1", "10", "5.5", "5.", ".5", "1e0", "0x1", "_1")),  # noqa: E501
    *((values.whole(0, 9), value) for value in ("\u0665", "nan", 5.5, math.inf, math.nan, True, None, [5])),
    (values.size(1024), "1023"),
    (values.size(), "ten"),
    (values.size(), "9" * 400),
    (values.count, "9" * 400),
    (values.size(), "-1"),
    (values.speed, "1KiB/h"),
    (values.count, "0"),
    (values.count, "64Mi"),
    *((values.seconds, value) for value in ("", "-5s", "1y", "522w", "nan", -1, math.inf, math.nan, False)),
    (values.seconds, []),
    (values.deadline, "0s"),
    *((values.claim, value) for value in ("", " true", "2", "none", 2, 1.0, None, [True])),
    (values.choice("text", "json"), "JSON"),
    (values.level, "trace"),
    (values.level, 5),
    (values.names, [5]),
    (values.names, {"a": 1}),
    (values.ports, ","),
    (values.ports, "80;443"),
    (values.ports, [0]),
    (values.ports, "65536"),
    (values.networks, "10.0.0.0/33"),
    (values.networks, [80]),
    (values.keys, "secret"),
    (values.keys, "0"),
    (values.keys, [b"a"]),
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
        values.whole(1, 20)("21")
    with pytest.raises(ValueError, match="at least 1024"):
        values.size(1024)("1")


def test_a_bad_key_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="hexadecimal") as caught:
        values.keys("not-hex-secret")

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
