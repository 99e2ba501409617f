"""Settings, read once from flags, environment and file, checked together and frozen."""

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from mediasvc.errors import InvalidSettings
from mediasvc.units import parse_bytes, parse_count, parse_duration, parse_speed

PREFIX = "MEDIASVC_"
# Of which only their readers in rules.py can tell whether they are well written.
READ_FURTHER = ("connect_to", "allowed_hosts", "denied_hosts", "wrappers_file", "headers_file", "ca_file")


def _parts(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: object) -> object:
    parts = _parts(value)
    if isinstance(parts, tuple | list):
        return tuple(ip_network(part, strict=False) if isinstance(part, str) else part for part in parts)
    return parts


def _hex_keys(value: object) -> object:
    parts = _parts(value)
    if not isinstance(parts, tuple | list):
        return parts
    try:
        keys = tuple(bytes.fromhex(part) if isinstance(part, str) else part for part in parts)
    except ValueError:
        raise ValueError(
            "write keys in hexadecimal, comma separated, such as the output of openssl rand -hex 32"
        ) from None
    return keys


def _public_url(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("write an address such as https://media.example.org, without query")
    return value.rstrip("/")


def _scheme(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if value and not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(
                "write a URL that begins with " + " or ".join(f"{scheme}://" for scheme in schemes)
            )
        return value

    return AfterValidator(check)


Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(ge=0)]
Speed = Annotated[int, BeforeValidator(parse_speed), Field(ge=0)]
Count = Annotated[int, BeforeValidator(parse_count), Field(ge=1)]
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=10 * 365 * 86400)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Keys = Annotated[tuple[bytes, ...], NoDecode, BeforeValidator(_hex_keys)]
Ports = Annotated[
    frozenset[Annotated[int, Field(ge=1, le=65535)]], NoDecode, BeforeValidator(_parts), Field(min_length=1)
]
RedisUrl = Annotated[str, _scheme("redis", "rediss", "unix")]


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(base) if base.startswith("/") else Path("~/.cache").expanduser()) / "mediasvc"


class Settings(BaseSettings):
    """What one run of mediasvc goes by. Sizes in bytes, durations in seconds, all addresses as text."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    workers: int = Field(0, ge=0, le=256, description="Server processes; 0 is one for each core")
    public_url: Annotated[str, AfterValidator(_public_url)] = Field(
        "", description="Address by which readers reach the service; stands before /img paths"
    )
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default_factory=_default_data_dir, description="Folder for originals, thumbnails and the index"
    )
    store_url: Annotated[str, _scheme("s3", "s3a", "gs", "az")] = Field(
        "",
        description="Object store for originals and thumbnails, such as s3://bucket/prefix; empty: DATA_DIR",
    )
    index_url: RedisUrl = Field("", description="Redis for index and locks; empty: SQLite in DATA_DIR")
    queue_url: RedisUrl = Field("", description="Redis for batch work on many machines; empty: in process")
    cache_max_bytes: Annotated[Bytes, Field(ge=1024 * 1024)] = Field(
        10 * 1024**3, description="Most bytes kept in DATA_DIR"
    )
    memory_cache_bytes: Bytes = Field(
        128 * 1024**2, description="Most bytes of ready replies kept in memory, per process"
    )
    signing_keys: Keys = Field(
        (), description="Hexadecimal keys, comma separated; the first signs, all verify"
    )
    allow_unsigned: bool | None = Field(
        None, description="Whether unsigned image requests are answered; default: on loopback only"
    )
    api_token: SecretStr = Field(
        SecretStr(""), description="Bearer token for rewrite, info, warm and purge; empty: open"
    )
    wrappers_file: Path | None = Field(None, description="TOML file with further wrapper rules, tried first")
    headers_file: Path | None = Field(
        None, description="TOML file with request headers per host, tried first"
    )
    allowed_hosts: Names = Field(
        (), description="Hosts that may be fetched (label-wise, *.example.com); empty: all"
    )
    denied_hosts: Names = Field((), description="Hosts that may not be fetched")
    allowed_ports: Ports = Field(frozenset({80, 443}), description="Ports that may be fetched from")
    allowed_cidrs: Networks = Field((), description="Private address ranges that may be fetched from")
    connect_to: str = Field(
        "", description="host:port=addr:port, comma separated: connect there instead; trusted"
    )
    ca_file: Path | None = Field(None, description="PEM file with further certificate authorities")
    fetch_proxy: Annotated[str, _scheme("http", "https")] = Field(
        "", description="HTTP proxy for all fetches"
    )
    fetch_timeout: Annotated[Seconds, Field(gt=0)] = Field(
        20.0, description="Deadline of a fetch, retries included"
    )
    fetch_connect_timeout: Annotated[Seconds, Field(gt=0)] = Field(5.0, description="Deadline of one connect")
    fetch_min_speed: Speed = Field(1024, description="Slowest transfer allowed over 10 s, a second; 0: any")
    fetch_retries: int = Field(2, ge=0, le=20, description="Further tries for failures that may pass")
    fetch_concurrency: int = Field(64, ge=1, le=4096, description="Fetches at once, per process")
    fetch_per_host: int = Field(8, ge=1, le=4096, description="Fetches at once from one host, per process")
    max_redirects: int = Field(5, ge=0, le=20, description="Redirects followed")
    max_source_bytes: Annotated[Bytes, Field(ge=1)] = Field(32 * 1024**2, description="Largest original")
    max_pixels: Count = Field(64_000_000, description="Most pixels of a picture")
    max_frames_pixels: Count = Field(
        256_000_000, description="Most pixels of all frames of an animation together"
    )
    max_article_bytes: Annotated[Bytes, Field(ge=1)] = Field(8 * 1024**2, description="Largest article")
    image_timeout: Annotated[Seconds, Field(gt=0)] = Field(
        20.0, description="Deadline of the work on one picture"
    )
    queue_depth: int = Field(
        256, ge=1, le=1_000_000, description="Requests waiting for image work, per process"
    )
    min_ttl: Seconds = Field(
        3600.0, description="Shortest time that an original is served without asking again"
    )
    default_ttl: Seconds = Field(86400.0, description="The same where the origin says nothing")
    stale_if_error: Seconds = Field(
        7 * 86400.0, description="How long a stale original serves while its origin fails"
    )
    error_ttl: Seconds = Field(60.0, description="How long a failure that may pass is remembered")
    missing_ttl: Seconds = Field(600.0, description="How long a missing or unusable image is remembered")
    allow_svg: bool = Field(False, description="Pass SVG through, sanitised")
    redirect_assets: bool = Field(False, description="Answer /assets with a redirect into the object store")
    log_format: Literal["text", "json"] = Field("text", description="Form of log lines")
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v),
    ] = Field("info", description="Least grave line that is logged")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, then the environment; read_settings gives the files' values below them. No .env file."""
        return init_settings, env_settings

    @property
    def listens_on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def unsigned_allowed(self) -> bool:
        """allow_unsigned with its default filled in."""
        return self.listens_on_loopback if self.allow_unsigned is None else self.allow_unsigned

    @property
    def token(self) -> str:
        """The bearer token; empty: none is asked for."""
        return self.api_token.get_secret_value()


def read_settings(
    environ: Mapping[str, str],
    config: Path | None = None,
    flags: Mapping[str, object] | None = None,
    *,
    checks: Sequence[Callable[[Settings], Iterable[str]]] = (),
) -> Settings:
    """Flags beat environment beats `*_FILE` twins beats the TOML file beats defaults.

    environ: the process's own environment (pydantic-settings reads the very same).
    config: a TOML file; None: MEDIASVC_CONFIG, else mediasvc.toml in the current folder if it is there.
    flags: values given on the command line, by setting name; None values count as not given.
    checks: what else can be wrong with settings; each gives its problems, with the variable first.
    InvalidSettings names every problem at once, one a line, each with its variable.
    """
    problems: list[str] = []
    known = set(Settings.model_fields)
    values = _from_toml(environ, config, known, problems)
    twins: dict[str, object] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable == f"{PREFIX}CONFIG":
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in known:
            continue
        target = name.removesuffix("_file")
        if name.endswith("_file") and target in known:
            if environ.get(f"{PREFIX}{target.upper()}"):
                problems.append(f"{variable}: {PREFIX}{target.upper()} is set too; keep one of them")
                continue
            try:
                twins[target] = Path(environ[variable]).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                problems.append(f"{variable}: cannot read the file {environ[variable]}")
        else:
            problems.append(f"{variable}: no such setting{_nearest(name, known)}")
    values.update(twins)
    given = {name for name in known if environ.get(PREFIX + name.upper())}
    merged = {name: value for name, value in values.items() if name not in given}
    merged.update({name: value for name, value in (flags or {}).items() if value is not None})
    wrong: set[str] = set()
    try:
        settings = Settings(**merged)  # type: ignore[arg-type]  # values are checked by the model
    except ValidationError as error:
        problems.extend(_explain(problem) for problem in error.errors())
        wrong = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
        # The rest is looked at all the same, so that everything is told at once.
        defaults = {
            name: Settings.model_fields[name].get_default(call_default_factory=True) for name in wrong
        }
        settings = Settings(**(merged | defaults))  # type: ignore[arg-type]  # values are checked by the model
    for check in (_find_problems, *checks):
        problems.extend(line for line in check(settings) if not _is_about(line, wrong))
    if problems:
        raise InvalidSettings("\n".join(problems))
    return settings


def _is_about(line: str, names: set[str]) -> bool:
    return line.partition(":")[0].removeprefix(PREFIX).lower() in names


def _from_toml(
    environ: Mapping[str, str], config: Path | None, known: set[str], problems: list[str]
) -> dict[str, object]:
    path = config or (Path(environ[f"{PREFIX}CONFIG"]) if environ.get(f"{PREFIX}CONFIG") else None)
    if path is None:
        path = Path("mediasvc.toml")
        if not path.is_file():
            return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        problems.append(f"{path}: cannot read this settings file")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: not valid TOML: {error}")
        return {}
    values: dict[str, object] = {}
    for key, value in table.items():
        name = key.lower().removeprefix(PREFIX.lower())
        if name in known:
            values[name] = value
        else:
            problems.append(f"{path}: {key}: no such setting{_nearest(name, known)}")
    return values


def _nearest(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"; did you mean {PREFIX}{close[0].upper()}?" if close else ""


def _explain(problem: Any) -> str:
    # Any: pydantic's ErrorDetails, whose ctx is untyped
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    message = problem["msg"].removeprefix("Value error, ")
    shown = "" if name in {"api_token", "signing_keys"} else f" (got {str(problem.get('input'))[:80]!r})"
    return f"{PREFIX}{name.upper()}: {message[:1].lower()}{message[1:]}{shown}"


def _find_problems(settings: Settings) -> Iterator[str]:
    if settings.redirect_assets and not settings.store_url:
        yield f"{PREFIX}REDIRECT_ASSETS: needs an object store; set {PREFIX}STORE_URL"
    for name in ("wrappers_file", "headers_file", "ca_file"):
        path = getattr(settings, name)
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            yield f"{PREFIX}{name.upper()}: cannot read the file {path}"


def find_exposure(settings: Settings) -> Iterator[str]:
    """A problem where the service would answer strangers without any protection."""
    if not settings.listens_on_loopback and not settings.signing_keys and settings.allow_unsigned is not True:
        yield (
            f"{PREFIX}HOST: {settings.host} can be reached from outside, and no signing key is set; "
            f"set {PREFIX}SIGNING_KEYS (openssl rand -hex 32), or {PREFIX}ALLOW_UNSIGNED=true to serve anyone"
        )


def check_serving(settings: Settings) -> None:
    """InvalidSettings where the service would answer strangers without any protection."""
    for problem in find_exposure(settings):
        raise InvalidSettings(problem)


def pack(settings: Settings) -> dict[str, object]:
    """Every value in a form that JSON holds, secrets included; unpack brings them back."""
    packed: dict[str, object] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        elif isinstance(value, tuple | frozenset):
            value = [
                one.hex() if isinstance(one, bytes) else one if isinstance(one, int) else str(one)
                for one in value
            ]
        elif isinstance(value, Path):
            value = str(value)
        packed[name] = value
    return packed


def unpack(packed: Mapping[str, object]) -> Settings:
    """What pack made; nothing is read from the environment or from files. ValidationError on anything else."""
    return Settings(**{name: value for name, value in packed.items() if value is not None})  # type: ignore[arg-type]  # by name


def describe(settings: Settings) -> dict[str, object]:
    """Every effective value by variable name, secrets masked, for people and programs."""
    shown: dict[str, object] = {}
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if name == "signing_keys":
            value = [f"{len(key)} bytes, hidden" for key in value]
        elif isinstance(value, SecretStr):
            value = "hidden" if value.get_secret_value() else ""
        elif isinstance(value, str) and "://" in value:
            value = _without_password(value)
        elif name == "allow_unsigned":
            value = settings.unsigned_allowed
        elif isinstance(value, tuple | frozenset):
            value = (
                sorted(str(part) for part in value)
                if isinstance(value, frozenset)
                else [str(part) for part in value]
            )
        elif isinstance(value, Path):
            value = str(value)
        shown[PREFIX + name.upper()] = value
    return shown


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if "@" in parts.netloc:
        parts = parts._replace(netloc="hidden@" + parts.netloc.rpartition("@")[2])
    if parts.query:
        parts = parts._replace(query="hidden")
    return urlunsplit(parts)
