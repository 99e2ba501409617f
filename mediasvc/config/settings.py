"""Settings, read once from flags, environment and file, checked together and frozen."""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

from mediasvc.config import places, values
from mediasvc.errors import InvalidSettings

T = TypeVar("T")


PREFIX = "MEDIASVC_"
# Settings whose syntax is checked in config/policies.py instead of here.
READ_FURTHER = (
    "public_url",
    "connect_to",
    "allowed_hosts",
    "denied_hosts",
    "leave_hosts",
    "wrappers_file",
    "headers_file",
    "ca_file",
)
LEAST_SECRET_BYTES = 16
_OUR_FILES = re.compile(r"(?:blobs(?:-[0-9a-f]{8})?|turns|flights\.lock|(?:index|journal)\.sqlite.*)\Z")
_CREDENTIALS = re.compile(r"(?<=://).*@", re.DOTALL)  # also where no parser would find them
_OPTIONS = re.compile(r"(?<=://)([^?#]*[?#]).*", re.DOTALL)


def _setting(default: T, read: Callable[[object], T], purpose: str, *, is_secret: bool = False) -> T:
    """purpose: for people. is_secret: never shown."""
    return field(default=default, repr=not is_secret, metadata=_about(read, purpose, is_secret=is_secret))


def _about(read: Callable[[object], object], purpose: str, *, is_secret: bool = False) -> dict[str, object]:
    return {"read": read, "purpose": purpose, "is_secret": is_secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of one run. Sizes are in bytes, durations in seconds, addresses are text."""

    host: str = _setting("127.0.0.1", values.text, "Address to listen on")
    port: int = _setting(8080, values.whole(0, 65535), "Port to listen on; 0 takes a free one")
    workers: int = _setting(0, values.whole(0, 256), "Server processes; 0 is one for each core")
    public_url: str = _setting(
        "", values.public_url, "Address by which readers reach the service; prefix of /img paths"
    )
    data_dir: Path = field(
        default_factory=places.default_data_dir,
        metadata=_about(values.path, "Folder for originals, thumbnails and the index"),
    )
    store_url: str = _setting(
        "",
        values.url("s3", "s3a", "gs", "az"),
        "Object store for originals and thumbnails, such as s3://bucket/prefix; empty: DATA_DIR",
    )
    index_url: str = _setting("", values.redis_url, "Redis for index and locks; empty: SQLite in DATA_DIR")
    queue_url: str = _setting(
        "", values.redis_url, "Redis for batch work on many machines; empty: the command does the work itself"
    )
    cache_max_bytes: int = _setting(10 * 1024**3, values.size(1024**2), "Most bytes kept in DATA_DIR")
    memory_cache_bytes: int = _setting(
        128 * 1024**2, values.size(), "Most bytes of replies kept in memory, per server process"
    )
    signing_keys: tuple[bytes, ...] = _setting(
        (), values.keys, "Hexadecimal keys, comma separated; the first signs, all verify", is_secret=True
    )
    allow_unsigned: bool | None = _setting(
        None,
        values.claim,
        "Whether unsigned image requests are answered; default: on loopback, while no key is set",
    )
    api_token: str = _setting(
        "", values.token, "Bearer token for rewrite, info, warm and purge; empty: open", is_secret=True
    )
    wrappers_file: Path | None = _setting(
        None, values.path, "TOML file with further wrapper rules, tried first"
    )
    headers_file: Path | None = _setting(
        None, values.path, "TOML file with request headers per host, tried first"
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), values.names, "Hosts that may be fetched (label-wise, *.example.com); empty: all"
    )
    denied_hosts: tuple[str, ...] = _setting((), values.names, "Hosts that may not be fetched")
    leave_hosts: tuple[str, ...] = _setting(
        (), values.names, "Hosts whose pictures keep their address in articles (label-wise, *.example.com)"
    )
    allowed_ports: frozenset[int] = _setting(
        frozenset({80, 443}), values.ports, "Ports that may be fetched from"
    )
    allowed_cidrs: tuple[values.Network, ...] = _setting(
        (), values.networks, "Private address ranges that may be fetched from"
    )
    connect_to: str = _setting(
        "", values.text, "host:port=addr:port, comma separated: connect there instead; trusted"
    )
    ca_file: Path | None = _setting(None, values.path, "PEM file with further certificate authorities")
    fetch_proxy: str = _setting("", values.url("http", "https"), "HTTP proxy for all fetches")
    fetch_timeout: float = _setting(20.0, values.deadline, "Deadline of a fetch, retries included")
    fetch_connect_timeout: float = _setting(5.0, values.deadline, "Deadline of one connect")
    fetch_min_speed: int = _setting(
        1024, values.speed, "Slowest transfer allowed, bytes per second over 10 s; 0: any"
    )
    fetch_retries: int = _setting(2, values.whole(0, 20), "Further tries after temporary failures")
    fetch_concurrency: int = _setting(64, values.whole(1, 4096), "Fetches at once, per server process")
    fetch_per_host: int = _setting(
        8, values.whole(1, 4096), "Fetches at once from one host, per server process"
    )
    max_redirects: int = _setting(5, values.whole(0, 20), "Redirects followed")
    max_source_bytes: int = _setting(32 * 1024**2, values.size(1), "Largest original")
    max_pixels: int = _setting(64_000_000, values.count, "Most pixels of a picture")
    max_frames_pixels: int = _setting(
        256_000_000, values.count, "Most pixels of all frames of an animation together"
    )
    max_article_bytes: int = _setting(8 * 1024**2, values.size(1), "Largest article")
    image_timeout: float = _setting(20.0, values.deadline, "Deadline of the work on one picture")
    queue_depth: int = _setting(
        256, values.whole(1, 1_000_000), "Requests that wait for image work, per server process"
    )
    min_ttl: float = _setting(
        3600.0, values.seconds, "Shortest time that an original is served without asking its origin again"
    )
    default_ttl: float = _setting(86400.0, values.seconds, "The same, where the origin states no time")
    stale_if_error: float = _setting(
        7 * 86400.0, values.seconds, "How long a stale original is served while its origin fails"
    )
    error_ttl: float = _setting(60.0, values.seconds, "How long a temporary failure is remembered")
    missing_ttl: float = _setting(600.0, values.seconds, "How long a missing or unusable image is remembered")
    allow_svg: bool = _setting(False, values.claim, "Pass SVG through, sanitised")
    redirect_assets: bool = _setting(
        False, values.claim, "Answer /assets with a redirect into the object store"
    )
    log_format: Literal["text", "json"] = _setting(
        "text", values.choice("text", "json"), "Format of log lines"
    )
    log_level: values.Level = _setting("info", values.level, "Lowest level that is logged")

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def unsigned_allowed(self) -> bool:
        """allow_unsigned with its default filled in: a key that is set means that requests must be signed."""
        if self.allow_unsigned is None:
            return self.listens_on_loopback and not self.signing_keys
        return self.allow_unsigned


def read_settings(
    environ: Mapping[str, str],
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
    looks_around: bool = True,
    checks: Sequence[Callable[[Settings], Iterable[str]]] = (),
) -> Settings:
    """Reads all settings: flags beat the environment, which beats `*_FILE` twins, the TOML file and the
    defaults.

    environ: the environment; empty values count as not given.
    config: a TOML file; None: MEDIASVC_CONFIG, else mediasvc.toml in the current folder, else the user's
    file.
    flags: values given on the command line, by setting name; None values count as not given.
    defaults: values that replace a setting's own default, by its name.
    looks_around: whether mediasvc.toml or the user's file is read when `config` is None.
    checks: further checks; each yields its problems, with the variable first.
    Raises InvalidSettings with every problem, one a line, each with its variable.
    """
    problems: list[str] = []
    known = {one.name for one in fields(Settings)}
    given = dict(defaults or {})
    if config is not None or looks_around:
        given.update(_from_toml(environ, config, known, problems))
    given.update(_from_environment(environ, known, problems))
    given.update((name, value) for name, value in (flags or {}).items() if value is not None)
    accepted: dict[str, Any] = {}  # Any: each of its setting's type
    wrong: set[str] = set()
    for one in fields(Settings):
        if one.name in given:
            try:
                accepted[one.name] = one.metadata["read"](given[one.name])
            except ValueError as error:
                # The others are checked too, with the default for this one, so that all problems are reported
                # together.
                wrong.add(one.name)
                shown = _OPTIONS.sub(r"\1hidden", _CREDENTIALS.sub("hidden@", str(given[one.name])))[:80]
                got = "" if one.metadata["is_secret"] else f" (got {shown!r})"
                problems.append(f"{PREFIX}{one.name.upper()}: {error}{got}")
    settings = Settings(**accepted)
    for check in (_find_problems, *checks):
        problems.extend(line for line in check(settings) if not _is_about(line, wrong))
    if problems:
        raise InvalidSettings("\n".join(problems))
    return settings


def _is_about(line: str, names: set[str]) -> bool:
    return line.partition(":")[0].removeprefix(PREFIX).lower() in names


def _from_environment(environ: Mapping[str, str], known: set[str], problems: list[str]) -> dict[str, object]:
    given: dict[str, object] = {}
    twins: dict[str, object] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == f"{PREFIX}CONFIG":
            continue
        name = variable.removeprefix(PREFIX).lower()
        target = name.removesuffix("_file")
        if name in known:
            if environ[variable]:
                given[name] = environ[variable]
        elif name.endswith("_file") and target in known:
            if not environ[variable]:
                continue
            if environ.get(f"{PREFIX}{target.upper()}"):
                problems.append(f"{variable}: {PREFIX}{target.upper()} is set too; keep one of them")
                continue
            try:
                twins[target] = Path(environ[variable]).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                problems.append(f"{variable}: cannot read the file {environ[variable]}")
                continue
            if not twins[target]:
                # An empty secret would leave open what it should protect.
                problems.append(f"{variable}: the file {environ[variable]} is empty")
        else:
            problems.append(f"{variable}: no such setting{_nearest(name, known)}")
    return twins | given


def _from_toml(
    environ: Mapping[str, str], config: Path | None, known: set[str], problems: list[str]
) -> dict[str, object]:
    path = config or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    if path is None:
        here = Path("mediasvc.toml")
        path = here if here.is_file() else places.user_settings_file(environ)
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        problems.append(f"{path}: cannot read this settings file")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: not valid TOML: {error}")
        return {}
    found: dict[str, object] = {}
    for key, value in table.items():
        name = key.lower().removeprefix(PREFIX.lower())
        if name in found:
            problems.append(f"{path}: {key}: is set twice; keep one of them")
        elif name in known:
            found[name] = value
        else:
            problems.append(f"{path}: {key}: no such setting{_nearest(name, known)}")
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""


def _find_problems(settings: Settings) -> Iterator[str]:
    if settings.redirect_assets and not settings.store_url:
        yield f"{PREFIX}REDIRECT_ASSETS: needs an object store; set {PREFIX}STORE_URL"
    for name in ("wrappers_file", "headers_file", "ca_file"):
        path = getattr(settings, name)
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            yield f"{PREFIX}{name.upper()}: cannot read the file {path}"


def make_data_dir(settings: Settings) -> None:
    """Makes the folder, and closes it to other users. InvalidSettings where it cannot be made.

    A folder that was there before is closed only if it is empty or has our files: DATA_DIR=/tmp must not
    close /tmp.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"{PREFIX}DATA_DIR: cannot make the folder {folder}") from error
    try:
        if folder.stat().st_mode & 0o077 and _is_ours_alone(folder):
            folder.chmod(0o700)
    except OSError:
        return  # another user's folder that we may write into, or a file system without modes


def _is_ours_alone(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return all(_OUR_FILES.match(entry.name) for entry in entries)


def pack(settings: Settings) -> dict[str, object]:
    """Every value in a form that JSON can store, secrets included; `unpack` reads it."""
    packed: dict[str, object] = {}
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if isinstance(value, tuple | frozenset):
            value = [
                part.hex() if isinstance(part, bytes) else part if isinstance(part, int) else str(part)
                for part in value
            ]
        elif isinstance(value, Path):
            value = str(value)
        packed[one.name] = value
    return packed


def unpack(packed: Mapping[str, object]) -> Settings:
    """The settings that `pack` wrote; reads no environment and no files.

    ValueError, KeyError for anything else.
    """
    read = {one.name: one.metadata["read"] for one in fields(Settings)}
    accepted: dict[str, Any] = {  # Any: each of its setting's type
        name: read[name](value) for name, value in packed.items() if value is not None
    }
    return Settings(**accepted)


def describe(settings: Settings) -> dict[str, object]:
    """Every effective value by variable name, secrets masked, for people and programs."""
    shown: dict[str, object] = {}
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if one.name == "signing_keys":
            value = [f"{len(key)} bytes, hidden" for key in value]
        elif one.metadata["is_secret"]:
            value = "hidden" if value else ""
        elif isinstance(value, str) and "://" in value:
            value = _without_password(value)
        elif one.name == "allow_unsigned":
            value = settings.unsigned_allowed
        elif isinstance(value, tuple | frozenset):
            value = (
                sorted(str(part) for part in value)
                if isinstance(value, frozenset)
                else [str(part) for part in value]
            )
        elif isinstance(value, Path):
            value = str(value)
        shown[PREFIX + one.name.upper()] = value
    return shown


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        parts = parts._replace(netloc="hidden@" + parts.netloc.rpartition("@")[2])
    if parts.query:
        parts = parts._replace(query="hidden")
    if parts.fragment:
        parts = parts._replace(fragment="hidden")
    return urlunsplit(parts)
