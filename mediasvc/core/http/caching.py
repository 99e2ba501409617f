"""HTTP caching rules: how long a reply may be served, when its origin is asked again, and how long a failure
counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mediasvc.core.http.origin_reply import Headers
from mediasvc.core.http.retry import CIRCUIT, parse_date
from mediasvc.core.records.index_entry import Entry
from mediasvc.errors import MediaError, Remembered

_LONGEST: Final = timedelta(days=365)
_NONE: Final = timedelta(0)
_MAX_FIELD_CHARS: Final = 8192
_MAX_VALIDATOR_CHARS: Final = 1024
_GRANTING: Final = ("cache-control", "expires", "pragma", "vary")
_MAX_GRANT_CHARS: Final = 1024
_GAP = re.compile(r"[\s,]*")
_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]++) [ \t]*+
        (?: = [ \t]*+ (?: "((?:[^"\\]|\\.)*+)" | ([^\s,"]*+) ) )?  [^,]*+ (?:,|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]*"\Z')


@dataclass(frozen=True, slots=True)
class CacheRules:
    """How long replies and failures count.

    min_ttl: shortest lifetime we grant, whatever the origin says.
    default_ttl: lifetime of a reply that states none.
    stale_if_error: how long after its lifetime a reply may be served while its origin fails.
    error_ttl: how long a temporary failure is remembered.
    missing_ttl: how long a permanent failure is remembered.
    """

    min_ttl: timedelta = timedelta(hours=1)
    default_ttl: timedelta = timedelta(hours=24)
    stale_if_error: timedelta = timedelta(days=7)
    error_ttl: timedelta = timedelta(seconds=60)
    missing_ttl: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Serve:
    """The entry is fresh: serve it."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class ServeStale:
    """Serve the entry although it is stale (RFC 5861 section 3).

    asks_origin: revalidate it in the background; False: its origin failed a moment ago and is left alone.
    """

    entry: Entry
    asks_origin: bool = True


@dataclass(frozen=True, slots=True)
class Revalidate:
    """Ask the origin whether the entry has changed; a plain fetch where the entry has no validators.

    Until its stale_until the entry may be served if the origin fails (stale-if-error, RFC 5861 section 4).
    """

    entry: Entry


@dataclass(frozen=True, slots=True)
class Fetch:
    """Fetch the original: nothing that is stored is of use."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The source failed a moment ago and is not asked again yet.

    code: of the MediaError.
    retry_after_s: until the source is tried again, at least 1.
    """

    code: str
    retry_after_s: int


Decision = Serve | ServeStale | Revalidate | Fetch | Refuse


def decide(entry: Entry | None, now: datetime, *, is_kept: bool = True, in_flight: bool = False) -> Decision:
    """What to do about one source.

    entry: what the index has; None: nothing.
    is_kept: whether the store has the entry's blob, as far as the caller has asked.
    in_flight: the caller is the one that asks the origin for all who wait, so it cannot leave that to the
    background. Source: RFC 9111 section 4, RFC 5861.
    """
    if entry is None:
        return Fetch()
    if entry.failure is not None:
        if now < entry.expires_at:
            return Refuse(entry.failure, max(1, int((entry.expires_at - now).total_seconds() + 0.5)))
        return Fetch()
    if entry.digest is None or not is_kept:
        return Fetch()
    if now < entry.expires_at:
        return Serve(entry)
    if entry.paused_until is not None and now < min(entry.paused_until, entry.stale_until):
        return ServeStale(entry, asks_origin=False)
    if now < entry.revalidate_until and not in_flight:
        return ServeStale(entry)
    return Revalidate(entry)


@dataclass(frozen=True, slots=True)
class Storage:
    """What a reply allows.

    storable: False: it answers the requests that wait for it, and is not stored.
    expires_at: end of freshness.
    stale_until: until then it may be served if the origin fails; never before expires_at.
    revalidate_until: until then it may be served while it is being revalidated; never before expires_at.
    etag, last_modified: as sent; None where absent or unreadable.
    """

    storable: bool
    expires_at: datetime
    stale_until: datetime
    revalidate_until: datetime
    etag: str | None
    last_modified: str | None


def parse_cache_control(value: str | None) -> dict[str, str | None]:
    """Directives by lower-case name, with their arguments unquoted; None: no argument.

    The first of several counts.

    Never raises; unreadable parts are skipped. Source: RFC 9111 section 5.2.
    """
    directives: dict[str, str | None] = {}
    text = (value or "")[:_MAX_FIELD_CHARS]
    position = 0
    while position < len(text):
        gap = _GAP.match(text, position)
        position = gap.end() if gap else position
        match = _DIRECTIVE.match(text, position)
        if match is None:
            comma = text.find(",", position)
            position = comma + 1 if comma >= 0 else len(text)
            continue
        name, quoted, bare = match.groups()
        argument = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else bare
        directives.setdefault(name.lower(), argument)
        position = match.end()
    return directives


def _seconds(directives: Mapping[str, str | None], name: str) -> timedelta | None:
    """A delta-seconds argument, at most a year; None: absent or unreadable."""
    text = (directives.get(name) or "").strip()
    if not (text.isascii() and text.isdigit()):
        return None
    return min(timedelta(seconds=int(text[:12])), _LONGEST)


def freshness_lifetime(
    headers: Headers, directives: Mapping[str, str | None], now: datetime, default: timedelta
) -> timedelta:
    """The lifetime that the origin grants, from when it made the reply. Never negative.

    now: when the reply arrived, in position of a missing Date.
    default: where the origin states no lifetime.
    This is a shared cache, so s-maxage comes first; an unreadable Expires has passed.
    Source: RFC 9111 sections 4.2.1 and 5.3.
    """
    if "no-cache" in directives or headers.get("vary", "").strip() == "*":
        return _NONE
    for name in ("s-maxage", "max-age"):
        seconds = _seconds(directives, name)
        if seconds is not None:
            return seconds
    if "expires" in headers:
        expires, made = parse_date(headers["expires"]), parse_date(headers.get("date")) or now
        return min(max(expires - made, _NONE), _LONGEST) if expires is not None else _NONE
    return default


def current_age(headers: Headers, now: datetime) -> timedelta:
    """How old the reply was when it arrived. Never negative. Source: RFC 9111 section 4.2.3."""
    made = parse_date(headers.get("date"))
    apparent = max(now - made, _NONE) if made is not None else _NONE
    text = headers.get("age", "").partition(",")[0].strip()
    stated = min(timedelta(seconds=int(text[:12])), _LONGEST) if text.isascii() and text.isdigit() else _NONE
    return max(apparent, stated)


def assess(headers: Headers, now: datetime, rules: CacheRules) -> Storage:
    """What a 200 or 304 allows. now: when it came, aware UTC. Never raises.

    Our requests to one URL are all alike, so Vary matters only as "*". `private` with field names counts as
    bare. Directives that forbid stale replies (must-revalidate, proxy-revalidate, no-cache) forbid them here
    too; s-maxage does so unless the origin itself names a stale window. The floor holds against all of them.
    Source: RFC 9111 sections 3, 4.2 and 5.2.2; RFC 5861.
    """
    directives = parse_cache_control(headers.get("cache-control"))
    if "cache-control" not in headers and "no-cache" in headers.get("pragma", "").lower():
        directives["no-cache"] = None
    # must-understand: a cache that knows the status code ignores no-store (RFC 9111 section 5.2.2.3).
    no_store = "no-store" in directives and "must-understand" not in directives
    storable = not no_store and "private" not in directives
    lifetime = freshness_lifetime(headers, directives, now, rules.default_ttl) - current_age(headers, now)
    expires_at = now + max(lifetime, rules.min_ttl, _NONE)
    while_revalidating = _seconds(directives, "stale-while-revalidate")
    if_error = _seconds(directives, "stale-if-error")
    forbidden = not directives.keys().isdisjoint({"must-revalidate", "proxy-revalidate", "no-cache"})
    shared_only = "s-maxage" in directives and while_revalidating is None and if_error is None
    if forbidden or shared_only or not storable:
        revalidate_until = stale_until = expires_at
    else:
        revalidate_until = expires_at + (while_revalidating or _NONE)
        stale_until = max(revalidate_until, expires_at + max(if_error or _NONE, rules.stale_if_error))
    etag, last_modified = headers.get("etag", "").strip(), headers.get("last-modified", "").strip()
    return Storage(
        storable=storable,
        expires_at=expires_at,
        stale_until=stale_until,
        revalidate_until=revalidate_until,
        etag=etag if len(etag) <= _MAX_VALIDATOR_CHARS and _ETAG.match(etag) else None,
        last_modified=last_modified if parse_date(last_modified) is not None else None,
    )


def renewed(entry: Entry, headers: Headers, now: datetime, rules: CacheRules) -> Entry:
    """The entry after a 304: the same bytes with new times.

    Validators and grants that the 304 leaves out stay.

    A 304 that forbids storing ends the freshness of the entry at once. Source: RFC 9111 sections 3.2 and
    4.3.4.
    """
    headers = {**entry.grants, **headers}
    storage = assess(headers, now, rules)
    return replace(
        entry,
        fetched_at=now,
        expires_at=storage.expires_at if storage.storable else now,
        stale_until=storage.stale_until if storage.storable else now,
        revalidate_until=storage.revalidate_until if storage.storable else now,
        etag=storage.etag or entry.etag,
        last_modified=storage.last_modified or entry.last_modified,
        grants=grants(headers),
        paused_until=None,
    )


def grants(headers: Headers) -> dict[str, str]:
    """The fields of a reply that say how long it may be served, as an entry keeps them."""
    return {name: headers[name][:_MAX_GRANT_CHARS] for name in _GRANTING if name in headers}


def negative_until(error: MediaError, now: datetime, rules: CacheRules) -> datetime | None:
    """Until when a failure is answered without another try; None: it is not kept.

    What may pass is kept for error_ttl, or as long as the origin asks within missing_ttl; what the origin or
    the bytes say for good, for missing_ttl; a picture that killed its process, for default_ttl. A host that
    is left alone is not kept: its circuit answers as fast, and knows when it is over.
    """
    match error.remembered:
        case Remembered.NOT:
            return None
        case Remembered.LONGEST:
            return now + max(rules.default_ttl, rules.missing_ttl)
        case Remembered.LONG:
            return now + rules.missing_ttl
        case Remembered.BRIEFLY:
            if error.reason == CIRCUIT:
                return None
            asked = min(timedelta(seconds=error.retry_after_s or 0), rules.missing_ttl)
            return now + max(rules.error_ttl, asked)


def after_failure(
    url: str, entry: Entry | None, error: MediaError, now: datetime, rules: CacheRules
) -> Entry | None:
    """What the index keeps after a fetch that failed; None: no change.

    entry: what the index had before.
    An entry that may be served stale stays, and its origin is left alone for as long as a failure would be
    remembered.
    """
    if entry is None or entry.digest is None or not error.is_temporary or now >= entry.stale_until:
        return failed_entry(url, error, now, rules)
    until = negative_until(error, now, rules)
    return None if until is None else replace(entry, paused_until=until)


def failed_entry(url: str, error: MediaError, now: datetime, rules: CacheRules) -> Entry | None:
    """The entry of a failure; None: the failure is not remembered."""
    until = negative_until(error, now, rules)
    if until is None:
        return None
    return Entry(
        url=url,
        digest=None,
        picture=None,
        fetched_at=now,
        expires_at=until,
        stale_until=until,
        revalidate_until=until,
        etag=None,
        last_modified=None,
        failure=error.code,
    )
