"""Every expected failure and what each door says about it."""

from collections.abc import Iterable
from typing import ClassVar


class MediaError(Exception):
    """An expected failure. str(error) is safe to show to a stranger: it names no inner address.

    status: HTTP status. code: stable word for programs. exit_code: of the command line.
    retryable: the same request may succeed later.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: int | None = None, reason: str = "") -> None:
        """reason: one stable word for metrics (which rule refused, which limit); never shown to strangers."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class InvalidRequest(MediaError):
    """We cannot read what was asked."""

    status, code, exit_code = 400, "invalid_request", 2


class Unauthorized(MediaError):
    """The bearer token is missing or wrong."""

    status, code, exit_code = 401, "unauthorized", 2


class BadSignature(MediaError):
    """Not signed by us."""

    status, code, exit_code = 403, "bad_signature", 2


class SourceRefused(MediaError):
    """Policy forbids this source: its scheme, host, port or address."""

    status, code, exit_code = 403, "source_refused", 3


class SourceMissing(MediaError):
    """The origin says 404 or 410."""

    status, code, exit_code = 404, "source_missing", 3


class SourceTooLarge(MediaError):
    """The origin sends more bytes than allowed."""

    status, code, exit_code = 413, "source_too_large", 3


class BodyTooLarge(MediaError):
    """The article or request body is larger than allowed."""

    status, code, exit_code = 413, "body_too_large", 2


class UnsupportedMedia(MediaError):
    """Not an image of an allowed format, by its bytes."""

    status, code, exit_code = 415, "unsupported_media", 3


class Undecodable(MediaError):
    """Truncated or corrupt image bytes."""

    status, code, exit_code = 422, "undecodable", 3


class Poisonous(Undecodable):
    """The image ended the process that worked on it; worth remembering for longer than other failures."""


class TooManyPixels(MediaError):
    """More pixels than allowed, by the image's header."""

    status, code, exit_code = 422, "too_many_pixels", 3


class ProcessingTimeout(MediaError):
    """Image work took longer than allowed and was ended."""

    status, code, exit_code = 422, "processing_timeout", 3


class Overloaded(MediaError):
    """A queue of ours is full, or we are going away."""

    status, code, exit_code, retryable = 503, "overloaded", 4, True


class StoreFailed(MediaError):
    """Disk, Redis or the object store did not answer."""

    status, code, exit_code, retryable = 503, "store_failed", 4, True


class SourceFailed(MediaError):
    """The origin answered with an error, broke the connection, or could not be reached."""

    status, code, exit_code, retryable = 502, "source_failed", 4, True


class SourceTimeout(MediaError):
    """The origin missed its deadline or the minimum speed."""

    status, code, exit_code, retryable = 504, "source_timeout", 4, True


class InvalidSettings(MediaError):
    """Settings that are refused at start."""

    status, code, exit_code = 500, "invalid_settings", 2


BY_CODE: dict[str, type[MediaError]] = {
    kind.code: kind
    for kind in (
        InvalidRequest,
        Unauthorized,
        BadSignature,
        SourceRefused,
        SourceMissing,
        SourceTooLarge,
        BodyTooLarge,
        UnsupportedMedia,
        Undecodable,
        TooManyPixels,
        ProcessingTimeout,
        Overloaded,
        StoreFailed,
        SourceFailed,
        SourceTimeout,
        InvalidSettings,
    )
}


def worst_exit_code(codes: Iterable[int]) -> int:
    """The exit code that stands for several: a bug, then usage, then what may pass, then what will not."""
    return min(codes, key=(1, 2, 4, 3, 0).index, default=0)
