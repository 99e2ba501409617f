"""Which failures of an origin are worth a retry, and how long to wait before it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from mediasvc.errors import MediaError, SourceFailed, SourceTimeout

# Stable words: `reason` of a SourceFailed or SourceTimeout.
CONNECT = "connect"
NAME = "name"
NAME_FOR_NOW = "name_for_now"
TLS = "tls"
CERTIFICATE = "certificate"
RESET = "reset"
TRUNCATED = "truncated"
PROTOCOL = "protocol"
STATUS = "status"
STATUS_FOR_NOW = "status_for_now"
BUSY = "busy"
DEADLINE = "deadline"
HEAD_DEADLINE = "head_deadline"
CONNECT_DEADLINE = "connect_deadline"
SPEED = "speed"
REDIRECTS = "redirects"
CODING = "coding"
STAND_IN = "stand_in"
CIRCUIT = "circuit"

_WORTH_RETRYING = frozenset(
    {CONNECT, NAME_FOR_NOW, RESET, TRUNCATED, STATUS_FOR_NOW, BUSY, CONNECT_DEADLINE, SPEED}
)
_HOST_IS_DOWN = frozenset({CONNECT, NAME, NAME_FOR_NOW, TLS, RESET, BUSY, CONNECT_DEADLINE, HEAD_DEADLINE})
_TEMPORARY_STATUSES = frozenset({408, 425, 429})
_PERMANENT_STATUSES = frozenset({501, 505, 506, 508, 510, 511})
_LONGEST_RETRY_AFTER_S = 86_400


def status_is_temporary(status: int) -> bool:
    """True for 408, 425, 429 and the 5xx that are about the present moment (so not 501)."""
    return status in _TEMPORARY_STATUSES or (500 <= status < 600 and status not in _PERMANENT_STATUSES)


def is_worth_retrying(error: MediaError) -> bool:
    """Whether the same fetch may succeed a moment later."""
    return isinstance(error, SourceFailed | SourceTimeout) and error.reason in _WORTH_RETRYING


def host_is_down(error: MediaError) -> bool:
    """Whether the failure is about the whole host and not about one file on it."""
    return isinstance(error, SourceFailed | SourceTimeout) and error.reason in _HOST_IS_DOWN


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits before the second, third, … try: `first_s`, doubled each time, at most `longest_s`, then
    jittered.
    """

    retries: int = 2
    first_s: float = 0.25
    longest_s: float = 5.0

    def wait_s(
        self, tries_made: int, error: MediaError, *, remaining_s: float, chance: float
    ) -> float | None:
        """Seconds to wait before the next try; None: no next try.

        remaining_s: until the deadline of the whole fetch; a wait that would not end before it is not begun.
        chance: 0 to 1, random: spreads the waits over the upper half, so that many do not come back at once.
        A Retry-After is waited for in full, whatever the backoff says (RFC 9110 section 10.2.3).
        """
        if tries_made > self.retries or not is_worth_retrying(error):
            return None
        wait_s = min(self.longest_s, self.first_s * 2.0 ** (tries_made - 1)) * (0.5 + chance / 2)
        if error.retry_after_s is not None:
            wait_s = max(wait_s, float(error.retry_after_s))
        return wait_s if wait_s < remaining_s else None


def retry_after_s(value: str | None, now: datetime) -> int | None:
    """Whole seconds that a Retry-After field asks for, at most a day; None: absent or unreadable.

    value: seconds or an HTTP date. Source: RFC 9110 section 10.2.3.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]), _LONGEST_RETRY_AFTER_S)
    moment = parse_date(text)
    if moment is None:
        return None
    return min(max(0, int((moment - now).total_seconds() + 0.999)), _LONGEST_RETRY_AFTER_S)


def parse_date(value: str | None) -> datetime | None:
    """An HTTP date in any of its three forms, aware UTC; None: absent or unreadable.

    Source: RFC 9110 section 5.6.7.
    """
    return _parsed(value) if value and len(value) <= 64 and value.isascii() else None


@lru_cache(256)
def _parsed(value: str) -> datetime | None:
    # Replies of one second have one Date, and those of one origin often one Last-Modified.
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return None
