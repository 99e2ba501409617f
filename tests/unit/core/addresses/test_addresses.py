"""Only addresses of the public internet count as public, however they are dressed up."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc.core.addresses.ip_ranges import SPECIAL_IPV4, SPECIAL_IPV6, embedded_ipv4, is_public

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.31.195.255",
    "192.31.197.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "1.0.0.0",
    "2000::",
    "2001:200::",
    "2001:4860:4860::8888",
    "2003::",
    "2400::",
    "2606:4700::1",
    "2620:4f:7fff::",
    "2620:4f:8001::",
    "2a00::",
    "3ffe:ffff::",
    "3fff:1000::",
    "2001:db7:ffff::",
    "2001:db9::",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2606:4700::5efe:8.8.8.8",
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.0",
    "192.88.99.1",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.254",
    "255.255.255.255",
    "::",
    "::1",
    "::2",
    "::ffff:0:0",
    "1::1",
    "100::1",
    "100:0:0:1::1",
    "400::",
    "1fff:ffff::",
    "2001::",
    "2001:0:808:808::1",
    "2001:1::1",
    "2001:1::2",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:1ff:ffff::",
    "2001:db8::",
    "2001:db8:ffff::1",
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3fff::",
    "3fff:fff:ffff::1",
    "4000::",
    "5f00::",
    "5f00::1",
    "6000::",
    "c000::",
    "fb00::",
    "fc00::",
    "fd00:ec2::254",
    "fdff:ffff::",
    "fe00::",
    "fe80::",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "febf::",
    "fec0::",
    "fec0::1",
    "feff::",
    "ff00::",
    "ff02::1",
    "ff0e::1",
    "ffff::",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0.0.0.0",
    "::ffff:224.0.0.1",
    "::127.0.0.1",
    "::7f00:1",
    "::169.254.169.254",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "::ffff:0:169.254.169.254",
    "::ffff:0:8.8.8.8",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.1.2.3",
    "64:ff9b::168.63.129.16",
    "64:ff9b:1::127.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:0:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:a00:1::",
    "2002:c0a8:101::",
    "2001:0:7f00:1::",
    "2001:0:808:808:0:ffff:80ff:fffe",
    "2606:4700::5efe:127.0.0.1",
    "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:169.254.169.254",
    "fe80::5efe:8.8.8.8",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_of_the_internet_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_a_special_address_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


def test_the_tables_are_long_enough_and_do_not_overlap() -> None:
    assert len(PUBLIC) + len(NOT_PUBLIC) >= 150
    assert not set(PUBLIC) & set(NOT_PUBLIC)


def test_the_table_of_ranges_is_sorted_for_the_search() -> None:
    for ranges in (SPECIAL_IPV4, SPECIAL_IPV6):
        starts = [int(network.network_address) for network in ranges]
        assert starts == sorted(starts)


@pytest.mark.parametrize("network", [*SPECIAL_IPV4, *SPECIAL_IPV6], ids=str)
def test_no_edge_of_a_special_range_is_public(network) -> None:  # type: ignore[no-untyped-def]
    assert not is_public(network[0])
    assert not is_public(network[-1])


@pytest.mark.parametrize(
    ("text", "inner"),
    [
        ("::ffff:1.2.3.4", ["1.2.3.4"]),
        ("::1.2.3.4", ["1.2.3.4"]),
        ("::ffff:0:1.2.3.4", ["1.2.3.4"]),
        ("64:ff9b::1.2.3.4", ["1.2.3.4"]),
        ("64:ff9b:1::1.2.3.4", ["1.2.3.4"]),
        ("2002:102:304::1", ["1.2.3.4"]),
        ("2001:0:102:304::fefd:fcfb", ["1.2.3.4", "1.2.3.4"]),
        ("2606:4700::5efe:1.2.3.4", ["1.2.3.4"]),
        ("2606:4700::200:5efe:1.2.3.4", ["1.2.3.4"]),
        ("2606:4700::1", []),
    ],
)
def test_an_embedded_ipv4_address_is_found(text: str, inner: list[str]) -> None:
    assert [str(address) for address in embedded_ipv4(IPv6Address(text))] == inner


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_private_is_never_public(address: IPv4Address) -> None:
    assert not (is_public(address) and (not address.is_global or address.is_multicast))


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:0", "64:ff9b::"]))
def test_an_ipv4_address_in_a_dress_is_as_public_as_without(address: IPv4Address, prefix: str) -> None:
    assert is_public(IPv6Address(int(IPv6Address(prefix)) + int(address))) == is_public(address)


@given(st.ip_addresses(v=6))
def test_a_public_ipv6_address_is_global_for_the_standard_library_too(address: IPv6Address) -> None:
    assert (
        not is_public(address) or (address.is_global and not address.is_multicast) or embedded_ipv4(address)
    )
