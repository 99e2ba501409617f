"""Turns settings into the values that the core uses: what may be fetched, how, for how long, up to which
size.
"""

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from importlib.resources import files as package_files
from pathlib import Path
from urllib.parse import urlsplit

from mediasvc.config.settings import READ_FURTHER, Settings
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.addresses.policy import FetchPolicy, parse_connect_to
from mediasvc.core.addresses.wrappers.rules import Rule
from mediasvc.core.http.caching import CacheRules
from mediasvc.core.http.host_headers import HostHeaders, HostRule
from mediasvc.core.http.host_headers import parse_rules as parse_host_rules
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.core.picture import Limits
from mediasvc.errors import InvalidSettings, MediaError


def make_addresses(settings: Settings) -> Addresses:
    """The parts that resolve and check addresses; they need no open files. Raises InvalidSettings."""
    rules = urls.parse_rules(_packaged("addresses/wrappers", "wrappers.toml"), "built-in wrappers.toml")
    return Addresses(urls.Resolver(_own_wrappers(settings) + rules), _policy(settings))


def _policy(settings: Settings) -> FetchPolicy:
    own = {f"{settings.host.strip('[]')}:{settings.port}"} if settings.port else set()
    public = urlsplit(settings.public_url)
    prefixes: tuple[str, ...] = ()
    if public.netloc and public.path in {"", "/"}:
        own.add(public.netloc.rpartition("@")[2])
    elif public.netloc:  # below a path of another site, whose own images may be fetched
        prefix = _public_prefix(settings)
        prefixes = tuple(f"{prefix}/{route}/" for route in ("img", "v1"))
    return FetchPolicy(
        allowed_ports=settings.allowed_ports,
        allowed_hosts=settings.allowed_hosts,
        denied_hosts=settings.denied_hosts,
        allowed_cidrs=settings.allowed_cidrs,
        connect_to=parse_connect_to(settings.connect_to),
        own_hosts=frozenset(own),
        own_prefixes=prefixes,
    )


def _public_prefix(settings: Settings) -> str:
    """PUBLIC_URL normalised, without user and final slash; "" where it is not set. Raises InvalidSettings."""
    if not settings.public_url:
        return ""
    public = urlsplit(settings.public_url)
    try:
        prefix = urls.normalise(f"{public.scheme}://{public.netloc.rpartition('@')[2]}{public.path}")
    except MediaError as error:
        raise InvalidSettings(f"PUBLIC_URL: {error}") from error
    return prefix.rstrip("/")


def find_problems(settings: Settings) -> Iterator[str]:
    """The problems of settings that need a parser: rules, tables, certificates, addresses."""
    read: Mapping[str, Callable[[], object]] = {
        "public_url": lambda: _public_prefix(settings),
        "connect_to": lambda: parse_connect_to(settings.connect_to),
        "allowed_hosts": lambda: FetchPolicy(allowed_hosts=settings.allowed_hosts),
        "denied_hosts": lambda: FetchPolicy(denied_hosts=settings.denied_hosts),
        "leave_hosts": lambda: [parse_host_pattern(text) for text in settings.leave_hosts],
        "wrappers_file": lambda: _own_wrappers(settings),
        "headers_file": lambda: _own_headers(settings),
        "ca_file": lambda: _own_authorities(settings),
    }
    for setting in READ_FURTHER:
        try:
            read[setting]()
        except InvalidSettings as error:
            name = setting.upper()
            for line in str(error).splitlines():
                yield (
                    line
                    if line.startswith("MEDIASVC_")
                    else f"MEDIASVC_{name}: {line.removeprefix(name + ': ')}"
                )


def _own_wrappers(settings: Settings) -> tuple[Rule, ...]:
    path = settings.wrappers_file
    return urls.parse_rules(_text_of(path), str(path)) if path is not None and path.is_file() else ()


def _own_headers(settings: Settings) -> tuple[HostRule, ...]:
    path = settings.headers_file
    return parse_host_rules(_text_of(path), str(path)) if path is not None and path.is_file() else ()


def _own_authorities(settings: Settings) -> None:
    path = settings.ca_file
    if path is not None and path.is_file():
        try:
            ssl.create_default_context(cafile=path)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSettings(f"{path} holds no certificates (PEM)") from error


def _packaged(folder: str, name: str) -> str:
    return package_files("mediasvc.core").joinpath(folder, name).read_text(encoding="utf-8")


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path}: cannot be read as text") from error


def host_headers(settings: Settings) -> HostHeaders:
    """The request headers of each host. Raises InvalidSettings."""
    rules = parse_host_rules(_packaged("http", "hotlink.toml"), "hotlink.toml")
    return HostHeaders(_own_headers(settings) + rules)


def fetch_rules(settings: Settings) -> FetchRules:
    """Limits and deadlines of a fetch."""
    return FetchRules(
        timeout_s=settings.fetch_timeout,
        connect_timeout_s=settings.fetch_connect_timeout,
        min_speed=settings.fetch_min_speed,
        retries=settings.fetch_retries,
        concurrency=settings.fetch_concurrency,
        per_host=settings.fetch_per_host,
        max_redirects=settings.max_redirects,
        max_bytes=settings.max_source_bytes,
    )


def cache_rules(settings: Settings) -> CacheRules:
    """How long originals and failures are kept."""
    return CacheRules(
        min_ttl=timedelta(seconds=settings.min_ttl),
        default_ttl=timedelta(seconds=settings.default_ttl),
        stale_if_error=timedelta(seconds=settings.stale_if_error),
        error_ttl=timedelta(seconds=settings.error_ttl),
        missing_ttl=timedelta(seconds=settings.missing_ttl),
    )


def limits(settings: Settings) -> Limits:
    """Limits of the pictures that are processed."""
    return Limits(
        max_pixels=settings.max_pixels,
        max_frames_pixels=settings.max_frames_pixels,
        allow_svg=settings.allow_svg,
    )


def via_name(settings: Settings) -> str:
    """Our name in Via: equal in all replicas of a deployment, different in another deployment."""
    keys = b"".join(settings.signing_keys)
    own = keys or (settings.public_url or f"{socket.gethostname()}:{settings.data_dir}").encode()
    return f"mediasvc-{hashlib.sha256(b'via ' + own).hexdigest()[:12]}"
