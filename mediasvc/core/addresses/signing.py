"""Signatures of our own image paths.

The scheme is imgproxy's with an empty salt: HMAC-SHA256 over `/{options}/{source}`, in base64url without
padding.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence

UNSAFE = "unsafe"


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


def _signature(key: bytes, path: str) -> str:
    digest = hmac.digest(key, path.encode("utf-8", "surrogatepass"), "sha256")
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
