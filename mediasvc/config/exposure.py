"""What settings leave open to strangers: what is refused at start, and what is only warned of."""

from collections.abc import Iterator

from mediasvc.config.settings import LEAST_SECRET_BYTES, PREFIX, Settings
from mediasvc.errors import InvalidSettings


def find_exposure(settings: Settings) -> Iterator[str]:
    """A problem where the service would answer strangers without protection."""
    if not settings.listens_on_loopback and not settings.signing_keys and settings.allow_unsigned is not True:
        yield (
            f"{PREFIX}HOST: {settings.host} can be reached from outside, and no signing key is set; "
            f"set {PREFIX}SIGNING_KEYS (openssl rand -hex 32), or {PREFIX}ALLOW_UNSIGNED=true to serve anyone"
        )


def find_open_doors(settings: Settings) -> Iterator[str]:
    """Warnings about settings that are allowed, but let strangers get past signatures or guess a secret."""
    yield from find_short_secrets(settings)
    if settings.signing_keys and not settings.unsigned_allowed and not settings.api_token:
        yield (
            f"{PREFIX}API_TOKEN: none is set, so everyone who reaches /v1/rewrite gets signed paths for any address; "  # noqa: E501
            "set one, or keep strangers away from that route"
        )


def find_short_secrets(settings: Settings) -> Iterator[str]:
    """A warning for each key or token that is short enough to be guessed."""
    for position, key in enumerate(settings.signing_keys, 1):
        if len(key) < LEAST_SECRET_BYTES:
            yield (
                f"{PREFIX}SIGNING_KEYS: key {position} has {_bytes(len(key))}, which can be guessed; "
                f"use at least {LEAST_SECRET_BYTES} (openssl rand -hex 32)"
            )
    length = len(settings.api_token.encode())
    if 0 < length < LEAST_SECRET_BYTES:
        yield (
            f"{PREFIX}API_TOKEN: the token has {_bytes(length)}, which can be guessed; "
            f"use at least {LEAST_SECRET_BYTES} (openssl rand -hex 24)"
        )


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count} bytes"


def check_serving(settings: Settings) -> None:
    """Raises InvalidSettings where the service would answer strangers without protection."""
    for problem in find_exposure(settings):
        raise InvalidSettings(problem)
