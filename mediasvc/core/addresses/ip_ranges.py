"""Which IP addresses belong to the public internet: our own table of IANA's special-purpose ranges.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries, IPv6 address space registry (RFC 4291),
multicast (RFC 5771). `ipaddress.is_global` calls several of these public, hence the table.
"""

from bisect import bisect_right
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address

# Anycast services inside special blocks (192.0.0.9, AS112 sinks, AMT) are refused too: no picture lives
# there.
SPECIAL_IPV4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, RFC 791
        "10.0.0.0/8",  # private, RFC 1918
        "100.64.0.0/10",  # shared by carriers, RFC 6598
        "127.0.0.0/8",  # loopback, RFC 1122
        "168.63.129.16/32",  # Azure's wire server: a public address that answers from inside
        "169.254.0.0/16",  # link-local, with every cloud's metadata service, RFC 3927
        "172.16.0.0/12",  # private, RFC 1918
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890
        "192.0.2.0/24",  # documentation, RFC 5737
        "192.31.196.0/24",  # AS112, RFC 7535
        "192.52.193.0/24",  # AMT, RFC 7450
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",  # private, RFC 1918
        "192.175.48.0/24",  # AS112, RFC 7534
        "198.18.0.0/15",  # benchmarking, RFC 2544
        "198.51.100.0/24",  # documentation, RFC 5737
        "203.0.113.0/24",  # documentation, RFC 5737
        "224.0.0.0/4",  # multicast, RFC 5771
        "240.0.0.0/4",  # reserved and limited broadcast, RFC 1112, RFC 8190
    )
)

# Only 2000::/3 is global unicast. So these suffice within it, and all else is refused but what embeds IPv4.
GLOBAL_UNICAST = IPv6Network("2000::/3")
SPECIAL_IPV6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, benchmarking, ORCHID, drone IDs, RFC 2928
        "2001:db8::/32",  # documentation, RFC 3849
        "2002::/16",  # 6to4: deprecated, and its relay may be anyone's, RFC 7526
        "2620:4f:8000::/48",  # AS112, RFC 7534
        "3fff::/20",  # documentation, RFC 9637
    )
)

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291: the socket really connects to the IPv4 address
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the way to IPv4 where a network has only IPv6
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated
_SIIT = IPv6Network("::ffff:0:0:0/96")  # RFC 2765, IPv4-translated
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")  # RFC 8215; as at /96, refused whole in any case
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056
_TEREDO = IPv6Network("2001::/32")  # RFC 4380

_STARTS = [int(network.network_address) for network in SPECIAL_IPV4]
_ENDS = [int(network.broadcast_address) for network in SPECIAL_IPV4]


def embedded_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Every IPv4 address that this one may lead to; empty when it embeds none."""
    value = int(address)
    low = IPv4Address(value & 0xFFFFFFFF)
    if any(address in network for network in (_MAPPED, _NAT64, _NAT64_LOCAL, _COMPATIBLE, _SIIT)):
        return (low,)
    if address in _SIX_TO_FOUR:
        return (IPv4Address(value >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        return (IPv4Address(value >> 64 & 0xFFFFFFFF), IPv4Address(~value & 0xFFFFFFFF))
    # ISATAP, RFC 5214: the interface identifier 0000:5efe or 0200:5efe, in any prefix.
    if (value >> 32) & 0xFDFFFFFF == 0x5EFE:
        return (low,)
    return ()


def is_public(address: Address) -> bool:
    """Whether a stranger may send us there: public itself, and so is every IPv4 address that it embeds."""
    if isinstance(address, IPv4Address):
        return _is_public_ipv4(address)
    if not all(_is_public_ipv4(inner) for inner in embedded_ipv4(address)):
        return False
    if address in _MAPPED or address in _NAT64:
        return True
    return address in GLOBAL_UNICAST and not any(address in network for network in SPECIAL_IPV6)


def _is_public_ipv4(address: IPv4Address) -> bool:
    value = int(address)
    position = bisect_right(_STARTS, value) - 1
    return value > _ENDS[position]
