"""Articles are written by strangers: no URL, name, redirect or connection may lead inside."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from mediasvc.core.addresses.policy import ConnectTo, FetchPolicy
from mediasvc.core.addresses.urls import SourceUrl, normalise
from mediasvc.core.http import retry
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.effects.fetch.names import SystemNames
from mediasvc.effects.fetch.sockets import Connections
from mediasvc.errors import MediaError, SourceFailed, SourceRefused
from tests.support.dns import Answer, Dns, DnsNames
from tests.support.fetching import Kept, allows, fetcher, sends_here
from tests.support.origin import Origin, Reply
from tests.support.waiting import until

ONCE = FetchRules(timeout_s=3.0, connect_timeout_s=1.0, retries=0)
# Stands for the public internet here: this one loopback address and no other.
PUBLIC = "127.0.0.1"


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as running:
        yield running


@pytest.fixture
def inside() -> Iterator[Origin]:
    """A service on an address that is as private as 127.0.0.2 is here."""
    with Origin(host="127.0.0.2") as running:
        yield running


@pytest.fixture
def dns() -> Iterator[Dns]:
    with Dns() as running:
        yield running


FORBIDDEN_ANSWERS = {
    "private": Answer("10.0.0.1"),
    "loopback": Answer("127.0.0.2"),
    "metadata": Answer("169.254.169.254"),
    "shared by carriers": Answer("100.100.100.200"),
    "this network": Answer("0.0.0.0"),
    "loopback in IPv6": Answer("::1"),
    "mapped": Answer("::ffff:10.0.0.1"),
    "NAT64 of loopback": Answer("64:ff9b::7f00:2"),
    "6to4 of metadata": Answer("2002:a9fe:a9fe::1"),
    "unique local": Answer("fd00::1"),
    "the cloud's wire server": Answer("168.63.129.16"),
    "public and private": Answer(PUBLIC, "10.0.0.1"),
    "private and public": Answer("10.0.0.1", PUBLIC),
    "public, and loopback in IPv6": Answer(PUBLIC, "::1"),
    "an alias of something private": Answer("10.0.0.1", cname="inside.corp"),
    "an alias, mixed": Answer(PUBLIC, "192.168.0.1", cname="inside.corp"),
}


@pytest.mark.parametrize("case", FORBIDDEN_ANSWERS)
async def test_a_name_with_any_forbidden_address_is_refused_whole(
    origin: Origin, dns: Dns, case: str
) -> None:
    dns.on("evil.test", FORBIDDEN_ANSWERS[case])
    url = normalise(f"http://evil.test:{origin.port}/pictures/a.jpg")

    async with fetcher(allows(origin.port), ONCE, names=DnsNames(dns)) as it:
        with pytest.raises(SourceRefused) as refusal:
            await it.fetch(url, Kept())

    assert origin.connections == 0
    assert not any(address in str(refusal.value) for address in FORBIDDEN_ANSWERS[case].addresses)


async def test_a_name_that_is_public_first_and_private_later_never_leads_inside(
    origin: Origin, inside: Origin, dns: Dns
) -> None:
    dns.on("rebind.test", Answer(PUBLIC), Answer("127.0.0.2"))
    policy = allows(origin.port)
    policy = FetchPolicy(
        allowed_ports=frozenset({origin.port, inside.port}), allowed_cidrs=policy.allowed_cidrs
    )

    async with fetcher(policy, ONCE, names=DnsNames(dns)) as it:
        first = await it.fetch(normalise(f"http://rebind.test:{origin.port}/pictures/a.jpg"), Kept())
        with pytest.raises(SourceRefused):
            await it.fetch(normalise(f"http://rebind.test:{inside.port}/pictures/a.jpg"), Kept())

    assert first.status == 200
    assert inside.connections == 0


async def test_a_name_that_turns_private_between_two_tries_is_refused_at_the_second(
    origin: Origin, dns: Dns
) -> None:
    """A new fetcher has no memory of the first answer."""
    dns.on("rebind.test", Answer(PUBLIC), Answer("127.0.0.2"))
    url = normalise(f"http://rebind.test:{origin.port}/pictures/a.jpg")

    async with fetcher(allows(origin.port), ONCE, names=DnsNames(dns)) as it:
        await it.fetch(url, Kept())
    async with fetcher(allows(origin.port), ONCE, names=DnsNames(dns)) as it:
        with pytest.raises(SourceRefused):
            await it.fetch(url, Kept())


async def test_the_socket_is_guarded_even_when_the_names_were_not_vetted(
    origin: Origin, inside: Origin
) -> None:
    """Literal addresses never pass the resolver: here only the socket stands between."""
    policy = allows(origin.port)

    async with Connections(policy, ONCE, SystemNames()) as connections:
        with pytest.raises(SourceRefused) as refusal:
            async with connections.exchange(f"http://127.0.0.2:{inside.port}/pictures/a.jpg", {}):
                pass

    assert refusal.value.reason == "address"
    assert inside.connections == 0


async def test_a_name_server_that_hangs_costs_the_connect_deadline_and_no_more(
    origin: Origin, dns: Dns
) -> None:
    dns.on("hang.test", Answer(hang=True))
    rules = FetchRules(timeout_s=10.0, connect_timeout_s=0.3, retries=0)
    loop = asyncio.get_running_loop()
    began = loop.time()

    async with fetcher(allows(origin.port), rules, names=DnsNames(dns)) as it:
        with pytest.raises(MediaError) as failure:
            await it.fetch(normalise(f"http://hang.test:{origin.port}/"), Kept())

    assert failure.value.reason in (retry.NAME_FOR_NOW, retry.CONNECT_DEADLINE)
    assert loop.time() - began < 2.0


async def test_names_that_hang_keep_no_other_name_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can have a hundred names that never answer."""
    answered = threading.Event()
    ask = socket.getaddrinfo

    asked: list[str] = []

    def hangs(host: str, *rest: int) -> object:
        if host.endswith(".evil.test"):
            asked.append(host)
            answered.wait(30)
        return ask("127.0.0.1", *rest)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    names = SystemNames()
    hanging = [asyncio.create_task(names.resolve(f"{number}.evil.test")) for number in range(150)]
    await until(lambda: bool(asked))

    answers = await asyncio.wait_for(names.resolve("pictures.test"), 5)

    assert [answer["host"] for answer in answers] == ["127.0.0.1"]
    answered.set()
    await asyncio.gather(*hanging)
    await names.close()


async def test_a_name_that_does_not_exist_is_not_asked_for_again_and_one_that_fails_for_now_is(
    origin: Origin, dns: Dns
) -> None:
    dns.on("broken.test", Answer(rcode="SERVFAIL"), Answer(PUBLIC))
    rules = FetchRules(timeout_s=3.0)

    async with fetcher(allows(origin.port), rules, names=DnsNames(dns)) as it:
        with pytest.raises(SourceFailed) as failure:
            await it.fetch(normalise(f"http://nowhere.test:{origin.port}/"), Kept())
        fetched = await it.fetch(normalise(f"http://broken.test:{origin.port}/pictures/a.jpg"), Kept())

    assert failure.value.reason == retry.NAME
    assert dns.lookups("nowhere.test") == 1
    assert (fetched.status, dns.lookups("broken.test")) == (200, 2)


@pytest.mark.parametrize("host", ["a" * 70 + ".test", "x" + ".a" * 200 + ".test", "a..b.test", "-._.test"])
async def test_names_that_no_name_service_takes_are_failures(origin: Origin, host: str) -> None:
    async with fetcher(allows(origin.port), ONCE) as it:
        with pytest.raises(MediaError):
            await it.fetch(SourceUrl(f"http://{host}:{origin.port}/"), Kept())

    assert origin.connections == 0


async def test_the_systems_name_service_is_guarded_as_well(origin: Origin) -> None:
    async with fetcher(FetchPolicy(allowed_ports=frozenset({origin.port})), ONCE) as it:
        with pytest.raises(SourceRefused):
            await it.fetch(normalise(f"http://localhost:{origin.port}/pictures/a.jpg"), Kept())

    assert origin.connections == 0


INWARD = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://localhost/",
    "http://localhost./",
    "//127.0.0.1/",
    "http:\\\\127.0.0.1\\",
    "https://127.0.0.1:6379/",
    "http://pictures.test:6379/",
    "http://pictures.test@127.0.0.1/",
    "http://user:pass@other.test/",
    "file:///etc/passwd",
    "ftp://pictures.test/",
    "gopher://pictures.test:80/x",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "http://denied.test/",
    "http://sub.denied.test/",
    "http://own.test/img/unsafe/original/aHR0cDovL2E",
    "http://shared.test/media/img/unsafe/original/aHR0cDovL2E",
]


@pytest.mark.parametrize("location", INWARD)
async def test_a_redirect_is_checked_as_the_first_url_was(origin: Origin, location: str) -> None:
    origin.on(
        "/a", Reply(status=302, headers=[("location", location)]) if location.isascii() else _utf8(location)
    )
    policy = FetchPolicy(
        connect_to=sends_here(origin).connect_to,
        denied_hosts=("*.denied.test", "denied.test"),
        own_hosts=frozenset({"own.test"}),
        own_prefixes=("http://shared.test/media/img/",),
    )

    async with fetcher(policy, ONCE) as it:
        with pytest.raises(SourceRefused):
            await it.fetch(normalise("http://pictures.test/a"), Kept())

    assert origin.hits() == 1


def _utf8(location: str) -> Reply:
    return Reply(raw=f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


async def test_allowed_hosts_hold_on_every_hop_label_by_label(origin: Origin) -> None:
    origin.on("a.example.com/a", Reply(status=302, headers={"location": "http://evilexample.com/a"}))
    origin.on(
        "a.example.com/b", Reply(status=302, headers={"location": "http://b.example.com/pictures/a.jpg"})
    )
    policy = FetchPolicy(connect_to=sends_here(origin).connect_to, allowed_hosts=("*.example.com",))

    async with fetcher(policy, ONCE) as it:
        with pytest.raises(SourceRefused):
            await it.fetch(normalise("http://a.example.com/a"), Kept())
        fetched = await it.fetch(normalise("http://a.example.com/b"), Kept())

    assert fetched.status == 200
    assert origin.hits() == 3


async def test_a_host_that_was_fetched_from_is_trusted_for_its_own_url_alone(origin: Origin) -> None:
    policy = FetchPolicy(connect_to=sends_here(origin).connect_to, denied_hosts=("denied.test",))

    async with fetcher(policy, ONCE) as it:
        await it.fetch(normalise("http://pictures.test/pictures/a.jpg"), Kept())
        for other in (
            "http://user:pass@pictures.test/pictures/a.jpg",
            "http://pictures.test:6379/pictures/a.jpg",
            "ftp://pictures.test/pictures/a.jpg",
            "http://pictures.test@denied.test/pictures/a.jpg",
            "http://denied.test/pictures/a.jpg",
            "http://127.0.0.1",
        ):
            for _ in range(2):
                with pytest.raises(SourceRefused):
                    await it.fetch(SourceUrl(other), Kept())

    assert origin.hits() == 1


async def test_a_redirect_is_not_unwrapped(origin: Origin) -> None:
    """Only what an article says is unwrapped: a redirect to a wrapper is fetched from the wrapper."""
    there = "http://x.workers.dev/?http://127.0.0.1/"
    origin.on("/a", Reply(status=302, headers={"location": there}))
    origin.on("x.workers.dev/?http://127.0.0.1/", Reply(body=b"from the wrapper"))
    sink = Kept()

    async with fetcher(sends_here(origin), ONCE) as it:
        fetched = await it.fetch(normalise("http://pictures.test/a"), sink)

    assert (sink.data, fetched.final_url) == (b"from the wrapper", there)


async def test_a_target_is_trusted_for_the_name_that_it_was_given_for_and_for_no_other(
    inside: Origin, dns: Dns
) -> None:
    dns.on("evil.test", Answer("127.0.0.2"))
    policy = FetchPolicy(
        allowed_ports=frozenset({80, inside.port}),
        connect_to=(ConnectTo("intranet.test", 80, "127.0.0.2", inside.port),),
    )
    rules = ONCE

    async with fetcher(policy, rules, names=DnsNames(dns)) as it:
        fetched = await it.fetch(normalise("http://intranet.test/pictures/a.jpg"), Kept())
        refused: list[SourceUrl] = [
            normalise(f"http://evil.test:{inside.port}/pictures/a.jpg"),
            normalise(f"http://127.0.0.2:{inside.port}/pictures/a.jpg"),
        ]
        for url in refused:
            with pytest.raises(SourceRefused):
                await it.fetch(url, Kept())

    assert fetched.status == 200
    assert inside.hits() == 1
    assert inside.requests()[0].host == "intranet.test"


async def test_a_connection_that_was_trusted_is_not_used_for_another_name(inside: Origin, dns: Dns) -> None:
    """The very same address and port, now as a literal: a pooled connection must not answer for it."""
    policy = FetchPolicy(
        allowed_ports=frozenset({80, inside.port}),
        connect_to=(ConnectTo("intranet.test", 80, "127.0.0.2", inside.port),),
        allowed_cidrs=(ip_network("127.0.0.2/32"),),
    )

    async with fetcher(policy, ONCE, names=DnsNames(dns)) as it:
        await it.fetch(normalise("http://intranet.test/pictures/a.jpg"), Kept())
        await it.fetch(normalise(f"http://127.0.0.2:{inside.port}/pictures/a.jpg"), Kept())

    assert inside.connections == 2
