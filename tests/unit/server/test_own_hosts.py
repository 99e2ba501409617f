"""On loopback only own host names are answered, so that a page of another site cannot pose as the service."""

import pytest

from mediasvc.server.http.own_hosts import OwnHosts

LOOPBACK = OwnHosts(frozenset({"media.example.org"}))


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "localhost:8080", "LOCALHOST", "a.localhost:1", "127.0.0.1:8080", "[::1]:8080", "[::1]",
        "192.0.2.1", "media.example.org", "Media.Example.Org:443", " media.example.org ", "mediasvc-1:8080", "",  # noqa: E501
    ],
)  # fmt: skip
def test_own_names_and_addresses_are_answered(host: str) -> None:
    assert LOOPBACK.has(host.encode())


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8080", "media.example.org.evil.example", "xmedia.example.org", "127.0.0.1.evil.example",  # noqa: E501
        "localhost.evil.example", "evil.", "localhost@evil.example", "\xff.example", "1.2.3.4.5",
    ],
)  # fmt: skip
def test_names_that_a_site_can_register_are_not(host: str) -> None:
    assert not LOOPBACK.has(host.encode("latin-1"))
    assert not LOOPBACK.has(host.encode("latin-1"))  # as remembered
    assert OwnHosts().has(host.encode("latin-1"))


def test_what_is_remembered_is_bounded() -> None:
    hosts = OwnHosts(frozenset())

    answers = [hosts.has(f"{number}.example".encode()) for number in range(5000)]

    assert not any(answers)
    assert len(hosts._known) <= 256
