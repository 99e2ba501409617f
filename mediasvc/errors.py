"""The table of failures: every expected failure, and what each door says about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import ClassVar


class ExitCode(IntEnum):
    """Exit codes of the command line.

    DONE: everything is done.
    BUG: a bug in mediasvc.
    USAGE: the command or a setting is wrong.
    PERMANENT: something failed, and another run will not help.
    TEMPORARY: something failed, and another run may help.
    INTERRUPTED, TERMINATED: ended by SIGINT (Ctrl-C), by SIGTERM.
    """

    DONE = 0
    BUG = 1
    USAGE = 2
    PERMANENT = 3
    TEMPORARY = 4
    INTERRUPTED = 130
    TERMINATED = 143


class Remembered(Enum):
    """How long the index keeps the failure of a fetch, so that the origin is not asked again at once.

    NOT: it is not kept.
    BRIEFLY: for MEDIASVC_ERROR_TTL, or as long as the origin asks for.
    LONG: for MEDIASVC_MISSING_TTL.
    LONGEST: for MEDIASVC_DEFAULT_TTL.
    """

    NOT = auto()
    BRIEFLY = auto()
    LONG = auto()
    LONGEST = auto()


BY_CODE: dict[str, type["MediaError"]] = {}
"""The class of each code. A subclass that states no code of its own shares the code of its base."""


class MediaError(Exception):
    """An expected failure; as itself, a bug. str(error) is safe to show to strangers: it names no inner
    address.

    status: HTTP status.
    code: stable word for programs.
    exit_code: of the command line.
    is_temporary: the same request may succeed later.
    title: short sentence for problem documents, the same for every failure with this code.
    explanation: sentence for people who read a report or the web page.
    remembered: how long the index keeps it.
    default_retry_after_s: what Retry-After says where the failure itself does not know; None: replies have no
    such header.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    is_temporary: ClassVar[bool] = False
    title: ClassVar[str] = "A bug in mediasvc"
    explanation: ClassVar[str] = "This is a bug in mediasvc; its log has the details."
    remembered: ClassVar[Remembered] = Remembered.NOT
    default_retry_after_s: ClassVar[int | None] = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" in vars(cls):
            if cls.code in BY_CODE:
                raise TypeError(f"{cls.__name__} has the code of {BY_CODE[cls.code].__name__}")
            BY_CODE[cls.code] = cls

    def __init__(self, message: str, *, retry_after_s: int | None = None, reason: str = "") -> None:
        """reason: one stable word for metrics (which rule refused, which limit); never shown to strangers."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class InvalidRequest(MediaError):
    """Raised for anything that a caller wrote and that cannot be read."""

    status, code, exit_code = 400, "invalid_request", ExitCode.USAGE
    title = "The request cannot be read"
    explanation = "An address, an option or the body cannot be read."


class HeadersTooLarge(InvalidRequest):
    """Raised for a request line or a header field that is too long to be read."""

    status = 431


class Unauthorized(MediaError):
    """Raised for operations that need the API token."""

    status, code, exit_code = 401, "unauthorized", ExitCode.USAGE
    title = "A bearer token is needed"
    explanation = "The bearer token is missing or wrong."


class BadSignature(MediaError):
    """Raised for image paths that no key of ours has signed."""

    status, code, exit_code = 403, "bad_signature", ExitCode.USAGE
    title = "The signature is missing or wrong"
    explanation = "The path has no signature, or one of another key."


class LinkExpired(MediaError):
    """Raised for image paths whose signed moment is over."""

    status, code, exit_code = 410, "link_expired", ExitCode.USAGE
    title = "The link has expired"
    explanation = "The path was made for a time that is over."


class SourceRefused(MediaError):
    """Raised by the fetch policy, before a connection is opened."""

    status, code, exit_code = 403, "source_refused", ExitCode.PERMANENT
    title = "This source may not be fetched"
    explanation = "The settings forbid this source: its scheme, host, port or network."
    remembered = Remembered.BRIEFLY


class SourceMissing(MediaError):
    """Raised for 404 and 410 from the origin."""

    status, code, exit_code = 404, "source_missing", ExitCode.PERMANENT
    title = "The source has no such image"
    explanation = "The origin does not have the image (404 or 410)."
    remembered = Remembered.LONG


class SourceTooLarge(MediaError):
    """Raised as soon as an origin announces or sends more bytes than MEDIASVC_MAX_SOURCE_BYTES."""

    status, code, exit_code = 413, "source_too_large", ExitCode.PERMANENT
    title = "The image is too large"
    explanation = "The image has more bytes than allowed."
    remembered = Remembered.LONG


class BodyTooLarge(MediaError):
    """Raised for articles over MEDIASVC_MAX_ARTICLE_BYTES and for bodies over the limit of their route."""

    status, code, exit_code = 413, "body_too_large", ExitCode.USAGE
    title = "The request body is too large"
    explanation = "The article or request body is larger than allowed."


class UnsupportedMedia(MediaError):
    """Raised by the bytes of a source, whatever its headers say."""

    status, code, exit_code = 415, "unsupported_media", ExitCode.PERMANENT
    title = "Not an image of an allowed format"
    explanation = "The origin sent something else than an image of an allowed format."
    remembered = Remembered.LONG


class Undecodable(MediaError):
    """Raised for truncated or corrupt image bytes."""

    status, code, exit_code = 422, "undecodable", ExitCode.PERMANENT
    title = "The image is damaged"
    explanation = "The image is damaged or cut short."
    remembered = Remembered.LONG


class Poisonous(Undecodable):
    """Raised for an image that ended the image process that worked on it."""

    remembered = Remembered.LONGEST


class TooManyPixels(MediaError):
    """Raised by the header of an image, before it is decoded."""

    status, code, exit_code = 422, "too_many_pixels", ExitCode.PERMANENT
    title = "The image has too many pixels"
    explanation = "The image has more pixels than allowed."
    remembered = Remembered.LONG


class ProcessingTimeout(MediaError):
    """Raised when an image process has used up its time and was ended."""

    status, code, exit_code = 422, "processing_timeout", ExitCode.PERMANENT
    title = "Work on the image took too long"
    explanation = "Work on the image took longer than allowed."
    remembered = Remembered.LONG


class Overloaded(MediaError):
    """Raised where a queue of ours is full, and while the service ends."""

    status, code, exit_code, is_temporary = 503, "overloaded", ExitCode.TEMPORARY, True
    title = "Too busy"
    explanation = "The service was too busy; it may work later."
    default_retry_after_s = 1


class StoreFailed(MediaError):
    """Raised where the disk, Redis or the object store did not answer, or answered with an error."""

    status, code, exit_code, is_temporary = 503, "store_failed", ExitCode.TEMPORARY, True
    title = "Stored images cannot be reached"
    explanation = "The disk, the index or the object store failed; it may work later."
    default_retry_after_s = 5


class SourceFailed(MediaError):
    """Raised where the origin cannot be reached, breaks the connection or replies with an error."""

    status, code, exit_code, is_temporary = 502, "source_failed", ExitCode.TEMPORARY, True
    title = "The source failed"
    explanation = "The origin could not be reached, or replied with an error; it may work later."
    remembered = Remembered.BRIEFLY


class SourceTimeout(MediaError):
    """Raised where the origin misses its deadline or the minimum speed."""

    status, code, exit_code, is_temporary = 504, "source_timeout", ExitCode.TEMPORARY, True
    title = "The source took too long"
    explanation = "The origin was too slow; it may work later."
    remembered = Remembered.BRIEFLY


class NotFound(MediaError):
    """Raised for routes and page files that do not exist."""

    status, code, exit_code = 404, "not_found", ExitCode.USAGE
    title = "No such route"
    explanation = "The service has no such route or file."


class MethodNotAllowed(MediaError):
    """Raised for a route that exists, asked with another method."""

    status, code, exit_code = 405, "method_not_allowed", ExitCode.USAGE
    title = "This route has no such method"
    explanation = "The route does not answer this method."


class RequestTimeout(MediaError):
    """Raised where a client sends its request too slowly."""

    status, code, exit_code, is_temporary = 408, "request_timeout", ExitCode.TEMPORARY, True
    title = "The request did not arrive in time"
    explanation = "The client sent the request too slowly."


class PreconditionFailed(MediaError):
    """Raised by If-Match and If-Unmodified-Since."""

    status, code, exit_code = 412, "precondition_failed", ExitCode.USAGE
    title = "The precondition does not hold"
    explanation = "The image is another one than the request's condition names."


class RangeNotSatisfiable(MediaError):
    """Raised for a Range of which the image has no byte."""

    status, code, exit_code = 416, "range_not_satisfiable", ExitCode.USAGE
    title = "No byte of the image is in this range"
    explanation = "The image is shorter than the requested range."


class InvalidSettings(MediaError):
    """Raised at start, with every problem at once."""

    status, code, exit_code = 500, "invalid_settings", ExitCode.USAGE
    title = "The settings cannot be used"
    explanation = "A setting is missing or wrong."


@dataclass(frozen=True, slots=True)
class Failure:
    """A MediaError as a value, for rows of a report and for messages between processes."""

    code: str
    message: str

    @staticmethod
    def of(error: MediaError) -> "Failure":
        """The failure that an error states."""
        return Failure(error.code, str(error))

    @property
    def kind(self) -> type[MediaError]:
        """The class of its code."""
        return kind_of(self.code)


def kind_of(code: str | None) -> type[MediaError]:
    """The class of a code; MediaError itself for a code that this version does not know."""
    return BY_CODE.get(code or "", MediaError)


def worst_exit_code(codes: Iterable[int]) -> ExitCode:
    """The exit code for several: a bug, then usage, then temporary, then permanent failures."""
    worst = (ExitCode.BUG, ExitCode.USAGE, ExitCode.TEMPORARY, ExitCode.PERMANENT, ExitCode.DONE)
    return min(map(ExitCode, codes), key=worst.index, default=ExitCode.DONE)
