"""Signatures of our own image paths, and the address inside them.

The scheme is imgproxy's with an empty salt: HMAC-SHA256 over `/{options}/{source}`, in base64url without padding.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

from mediasvc.errors import InvalidRequest

UNSAFE = "unsafe"
_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def sign(keys: Sequence[bytes], path: str) -> str:
    """Signature of path (`/{options}/{source}`) by the first key; ValueError when there is no key."""
    if not keys:
        raise ValueError("no signing key")
    return _signature(keys[0], path)


def verify(keys: Sequence[bytes], path: str, signature: str) -> bool:
    """Whether any of the keys signed path. Takes as long for a wrong signature as for a right one."""
    given = signature.encode("utf-8", "surrogatepass")
    is_ours = False
    for key in keys:
        is_ours |= hmac.compare_digest(_signature(key, path).encode("ascii"), given)
    return is_ours


def encode_source(url: str) -> str:
    """Address as a path segment: base64url of UTF-8 without padding; InvalidRequest when it is not Unicode."""
    try:
        return urlsafe_b64encode(url.encode("utf-8")).rstrip(b"=").decode("ascii")
    except UnicodeEncodeError as error:
        raise InvalidRequest("the address is not valid Unicode", reason="unreadable") from error


def decode_source(text: str) -> str:
    """Address from a path segment; padding is tolerated. InvalidRequest when it is no base64url of UTF-8."""
    bare = text.rstrip("=")
    if not bare or len(text) - len(bare) > 2 or not _ALPHABET.issuperset(bare):
        raise InvalidRequest("the source is not base64url", reason="unreadable")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidRequest("the source is not base64url of UTF-8", reason="unreadable") from error


def options_path(
    source: str,
    *,
    size: tuple[int, int] | None = None,
    fit: str | None = None,
    format: str | None = None,
    quality: int | None = None,
    dpr: int | None = None,
) -> str:
    """What is signed for an image given by its query: `/{options}/{source}`, each option only if given.

    size: width and height of the box; None: `original`. source: the address as it was given, not yet encoded.
    """
    options = ["original" if size is None else f"{size[0]}x{size[1]}"]
    options += [word for word in (fit, format) if word is not None]
    options += [f"q{quality}"] if quality is not None else []
    options += [f"dpr{dpr}"] if dpr is not None else []
    return f"/{','.join(options)}/{encode_source(source)}"


def _signature(key: bytes, path: str) -> str:
    digest = hmac.digest(key, path.encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
