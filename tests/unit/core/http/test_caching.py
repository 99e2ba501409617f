"""HTTP caching rules as tables."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediasvc import errors
from mediasvc.core.formats import Format
from mediasvc.core.http import caching, retry
from mediasvc.core.http.caching import (
    CacheRules,
    Fetch,
    Refuse,
    Revalidate,
    Serve,
    ServeStale,
    after_failure,
    assess,
    decide,
    failed_entry,
    grants,
    negative_until,
    parse_cache_control,
    renewed,
)
from mediasvc.core.picture import Picture, Placeholder
from mediasvc.core.records.index_entry import Entry
from mediasvc.core.records.index_thumbnail import (
    IndexedThumbnail,
    ThumbnailFailure,
    ThumbnailRecord,
    placeholder_from_json,
    placeholder_to_json,
    thumbnail_from_json,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NO_FLOOR = CacheRules(min_ttl=timedelta(0), default_ttl=DAY, stale_if_error=7 * DAY)
RULES = CacheRules()
PICTURE = Picture(Format.JPEG, 1200, 800, 63_000, 1, True, False)
ENTRY = Entry(
    url="http://a.test/b.jpg",
    digest="ab" * 32,
    picture=PICTURE,
    fetched_at=NOW,
    expires_at=NOW + HOUR,
    stale_until=NOW + 3 * HOUR,
    revalidate_until=NOW + 2 * HOUR,
    etag='"1"',
    last_modified=None,
    failure=None,
)


def at(**offset: float) -> str:
    return format_datetime(NOW + timedelta(**offset), usegmt=True)


@pytest.mark.parametrize(
    ("after", "decision"),
    [
        (timedelta(0), Serve(ENTRY)),
        (HOUR - timedelta(seconds=1), Serve(ENTRY)),
        (HOUR, ServeStale(ENTRY)),
        (2 * HOUR, Revalidate(ENTRY)),
        (3 * HOUR, Revalidate(ENTRY)),
        (900 * DAY, Revalidate(ENTRY)),
    ],
)
def test_an_entry_is_fresh_then_stale_then_to_be_revalidated(
    after: timedelta, decision: caching.Decision
) -> None:
    assert decide(ENTRY, NOW + after) == decision


@pytest.mark.parametrize(
    ("after", "is_kept", "decision"),
    [
        (timedelta(0), True, Serve(ENTRY)),
        (timedelta(0), False, Fetch()),
        (HOUR, True, Revalidate(ENTRY)),
        (HOUR, False, Fetch()),
        (3 * HOUR, True, Revalidate(ENTRY)),
    ],
)
def test_the_caller_in_flight_asks_the_origin_itself(
    after: timedelta, is_kept: bool, decision: caching.Decision
) -> None:
    assert decide(ENTRY, NOW + after, is_kept=is_kept, in_flight=True) == decision


def test_an_origin_that_failed_is_left_alone_while_the_stale_picture_serves() -> None:
    paused = after_failure(ENTRY.url, ENTRY, errors.SourceFailed("down"), NOW + 2 * HOUR, RULES)

    assert paused is not None
    assert decide(paused, NOW + 2 * HOUR) == ServeStale(paused, asks_origin=False)
    assert decide(paused, NOW + 2 * HOUR + RULES.error_ttl) == Revalidate(paused)
    assert decide(replace(paused, paused_until=NOW + 9 * HOUR), NOW + 3 * HOUR) == Revalidate(
        replace(paused, paused_until=NOW + 9 * HOUR)
    )
    assert renewed(paused, {}, NOW + 3 * HOUR, RULES).paused_until is None


@pytest.mark.parametrize(
    ("error", "after", "code"),
    [
        (errors.SourceMissing("gone"), HOUR, "source_missing"),
        (errors.SourceFailed("down"), 3 * HOUR, "source_failed"),
        (errors.SourceFailed("down", reason=retry.CIRCUIT), HOUR, None),
        (errors.Overloaded("busy"), HOUR, None),
    ],
)
def test_what_may_not_serve_stale_is_replaced_by_its_failure(
    error: errors.MediaError, after: timedelta, code: str | None
) -> None:
    entry = after_failure(ENTRY.url, ENTRY, error, NOW + after, RULES)

    assert (entry.failure if entry else None) == code


def test_nothing_held_is_fetched() -> None:
    assert decide(None, NOW) == Fetch()
    assert decide(replace(ENTRY, digest=None), NOW) == Fetch()


def test_a_failure_is_refused_until_its_time_is_over() -> None:
    entry = failed_entry("http://a.test/b", errors.SourceMissing("gone"), NOW, RULES)

    assert entry is not None
    assert decide(entry, NOW) == Refuse("source_missing", 600)
    assert decide(entry, NOW + timedelta(seconds=599.9)) == Refuse("source_missing", 1)
    assert decide(entry, NOW + timedelta(minutes=10)) == Fetch()


@pytest.mark.parametrize(
    ("headers", "fresh_for"),
    [
        ({}, DAY),
        ({"cache-control": ""}, DAY),
        ({"cache-control": "public"}, DAY),
        ({"cache-control": "max-age=60"}, timedelta(seconds=60)),
        ({"cache-control": "MAX-AGE=60"}, timedelta(seconds=60)),
        ({"cache-control": 'max-age="60"'}, timedelta(seconds=60)),
        ({"cache-control": "max-age = 60"}, timedelta(seconds=60)),
        ({"cache-control": "max-age=60, max-age=3600"}, timedelta(seconds=60)),
        ({"cache-control": "s-maxage=5, max-age=60"}, timedelta(seconds=5)),
        ({"cache-control": "max-age=60, s-maxage=5"}, timedelta(seconds=5)),
        ({"cache-control": "s-maxage=x, max-age=60"}, timedelta(seconds=60)),
        ({"cache-control": "max-age=-1"}, DAY),
        ({"cache-control": "max-age=1.5"}, DAY),
        ({"cache-control": "max-age=٣"}, DAY),
        ({"cache-control": "max-age=0"}, timedelta(0)),
        ({"cache-control": "max-age=99999999999999999999999"}, timedelta(days=365)),
        ({"cache-control": "no-cache"}, timedelta(0)),
        ({"cache-control": 'no-cache="set-cookie"'}, timedelta(0)),
        ({"cache-control": "no-cache, max-age=60"}, timedelta(0)),
        ({"pragma": "no-cache"}, timedelta(0)),
        ({"pragma": "no-cache", "cache-control": "max-age=60"}, timedelta(seconds=60)),
        ({"vary": "*"}, timedelta(0)),
        ({"vary": "Accept, Cookie"}, DAY),
        ({"expires": at(minutes=5)}, timedelta(minutes=5)),
        ({"expires": at(minutes=5), "date": at(minutes=0)}, timedelta(minutes=5)),
        ({"expires": at(minutes=5), "date": at(minutes=-5)}, timedelta(minutes=5)),
        ({"expires": at(minutes=-5), "date": at(minutes=0)}, timedelta(0)),
        ({"expires": "0"}, timedelta(0)),
        ({"expires": "-1"}, timedelta(0)),
        ({"expires": "tomorrow"}, timedelta(0)),
        ({"expires": at(minutes=5), "cache-control": "max-age=60"}, timedelta(seconds=60)),
        ({"cache-control": "max-age=60", "age": "20"}, timedelta(seconds=40)),
        ({"cache-control": "max-age=60", "age": "200"}, timedelta(0)),
        ({"cache-control": "max-age=60", "age": "x"}, timedelta(seconds=60)),
        ({"cache-control": "max-age=60", "age": "9" * 30}, timedelta(0)),
        ({"cache-control": "max-age=60", "age": "10, 20"}, timedelta(seconds=50)),
        ({"cache-control": "max-age=60", "date": at(seconds=-30)}, timedelta(seconds=30)),
        ({"cache-control": "max-age=60", "date": at(seconds=30)}, timedelta(seconds=60)),
        ({"cache-control": "max-age=60", "date": at(seconds=-10), "age": "30"}, timedelta(seconds=30)),
        ({"age": "3600"}, DAY - HOUR),
        ({"date": "yesterday", "cache-control": "max-age=60"}, timedelta(seconds=60)),
        ({"cache-control": ",,, =, max-age=60 ;x, y"}, timedelta(seconds=60)),
        ({"cache-control": "immutable, max-age=60"}, timedelta(seconds=60)),
    ],
)
def test_freshness_is_what_the_origin_grants_to_a_shared_cache(
    headers: dict[str, str], fresh_for: timedelta
) -> None:
    assert assess(headers, NOW, NO_FLOOR).expires_at - NOW == fresh_for


@pytest.mark.parametrize(
    ("headers", "fresh_for"),
    [
        ({"cache-control": "max-age=60"}, HOUR),
        ({"cache-control": "max-age=0, must-revalidate"}, HOUR),
        ({"cache-control": "no-cache"}, HOUR),
        ({"expires": "0"}, HOUR),
        ({"vary": "*"}, HOUR),
        ({"cache-control": "max-age=7200"}, 2 * HOUR),
        ({"cache-control": "max-age=7200", "age": "7000"}, HOUR),
    ],
)
def test_the_floor_holds_whatever_the_origin_says(headers: dict[str, str], fresh_for: timedelta) -> None:
    assert assess(headers, NOW, RULES).expires_at - NOW == fresh_for


@pytest.mark.parametrize(
    ("value", "storable"),
    [
        ("no-store", False),
        ("No-Store, max-age=60", False),
        ("private", False),
        ("private, max-age=60", False),
        ('private="set-cookie"', False),
        ("must-understand, no-store", True),
        ("must-understand, private", False),
        ("max-age=60, foo=no-store", True),
        ('foo="no-store, private", max-age=60', True),
        ("public", True),
    ],
)
def test_private_and_no_store_are_not_kept(value: str, storable: bool) -> None:
    assert assess({"cache-control": value}, NOW, RULES).storable is storable


@pytest.mark.parametrize(
    ("value", "revalidating", "stale"),
    [
        ("max-age=60", timedelta(0), 7 * DAY),
        ("max-age=60, stale-while-revalidate=30", timedelta(seconds=30), 7 * DAY),
        ("max-age=60, stale-if-error=30", timedelta(0), 7 * DAY),
        ("max-age=60, stale-if-error=2592000", timedelta(0), 30 * DAY),
        ("max-age=60, stale-while-revalidate=2592000", 30 * DAY, 30 * DAY),
        ("max-age=60, must-revalidate", timedelta(0), timedelta(0)),
        ("max-age=60, must-revalidate, stale-if-error=60", timedelta(0), timedelta(0)),
        ("max-age=60, proxy-revalidate", timedelta(0), timedelta(0)),
        ("no-cache", timedelta(0), timedelta(0)),
        ("s-maxage=60", timedelta(0), timedelta(0)),
        ("s-maxage=60, stale-while-revalidate=30", timedelta(seconds=30), 7 * DAY),
        ("private, stale-if-error=60", timedelta(0), timedelta(0)),
    ],
)
def test_how_long_a_stale_reply_may_be_served(value: str, revalidating: timedelta, stale: timedelta) -> None:
    storage = assess({"cache-control": value}, NOW, NO_FLOOR)

    assert storage.revalidate_until - storage.expires_at == revalidating
    assert storage.stale_until - storage.expires_at == stale


@pytest.mark.parametrize(
    ("etag", "kept"),
    [
        ('"a"', '"a"'),
        ('W/"a"', 'W/"a"'),
        ('""', '""'),
        (' "a" ', '"a"'),
        ("a", None),
        ('"a', None),
        ('"a"b"', None),
        ('"a b"', None),
        ('"é"', None),
        ('"a"\r\nX: y', None),
        ('"' + "a" * 2000 + '"', None),
        ("", None),
    ],
)
def test_only_readable_tags_are_kept_and_sent_again(etag: str, kept: str | None) -> None:
    assert assess({"etag": etag}, NOW, RULES).etag == kept


def test_only_a_readable_date_is_kept_and_sent_again() -> None:
    assert assess({"last-modified": at(days=-1)}, NOW, RULES).last_modified == at(days=-1)
    assert assess({"last-modified": "lately"}, NOW, RULES).last_modified is None


def test_a_304_renews_the_times_and_keeps_validators_that_it_leaves_out() -> None:
    later = NOW + 5 * HOUR

    entry = renewed(ENTRY, {"cache-control": "max-age=7200"}, later, RULES)

    assert (entry.digest, entry.etag, entry.fetched_at) == (ENTRY.digest, '"1"', later)
    assert entry.expires_at == later + 2 * HOUR
    assert renewed(ENTRY, {"etag": '"2"'}, later, RULES).etag == '"2"'


def test_what_a_304_leaves_out_holds_as_the_origin_said_it_before() -> None:
    said = {"cache-control": "max-age=7200, must-revalidate", "vary": "Accept", "date": at(), "age": "5"}
    held = replace(ENTRY, grants=grants(said))
    later = NOW + 5 * HOUR

    bare = renewed(held, {}, later, RULES)

    assert bare.expires_at == bare.stale_until == later + 2 * HOUR
    assert bare.grants == {"cache-control": said["cache-control"], "vary": "Accept"}
    assert (
        renewed(held, {"cache-control": "max-age=9000"}, later, RULES).grants["cache-control"]
        == "max-age=9000"
    )
    assert renewed(replace(ENTRY, grants={"expires": at(hours=1)}), {}, later, NO_FLOOR).expires_at == later


def test_a_304_that_forbids_keeping_leaves_an_entry_that_is_over() -> None:
    entry = renewed(ENTRY, {"cache-control": "no-store"}, NOW, RULES)

    assert decide(entry, NOW) == Revalidate(entry)
    assert entry.stale_until == NOW


@given(st.text(max_size=300))
def test_no_cache_control_whatever_raises_and_times_keep_their_order(value: str) -> None:
    directives = parse_cache_control(value)
    storage = assess({"cache-control": value, "expires": value, "age": value, "vary": value}, NOW, RULES)

    assert all(name == name.lower() for name in directives)
    assert NOW + RULES.min_ttl <= storage.expires_at <= storage.revalidate_until <= storage.stale_until


@pytest.mark.parametrize("part", [",", " ", "=", '"', "\\", 'a="', 'a="\\"', ",=", "a ", 'a="b",'])
def test_hostile_fields_take_no_longer_than_others(part: str) -> None:
    began = time.process_time()

    parse_cache_control(part * 8000)

    assert time.process_time() - began < 0.05


_TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
_ARGUMENTS = st.one_of(st.none(), st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12))


@given(st.dictionaries(_TOKENS, _ARGUMENTS, max_size=8), st.sampled_from([",", " , ", ",,", ", \t"]))
def test_what_is_written_by_the_grammar_is_read_as_it_was_meant(
    directives: dict[str, str | None], separator: str
) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    written = separator.join(
        name if value is None else f"{name}={quoted(value)}" for name, value in directives.items()
    )

    assert parse_cache_control(written) == directives


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.SourceMissing("x"), 600),
        (errors.SourceTooLarge("x"), 600),
        (errors.UnsupportedMedia("x"), 600),
        (errors.Undecodable("x"), 600),
        (errors.TooManyPixels("x"), 600),
        (errors.ProcessingTimeout("x"), 600),
        (errors.SourceFailed("x"), 60),
        (errors.SourceTimeout("x"), 60),
        (errors.SourceFailed("x", retry_after_s=5), 60),
        (errors.SourceFailed("x", retry_after_s=300), 300),
        (errors.SourceFailed("x", retry_after_s=86400), 600),
        (errors.SourceFailed("x", reason=retry.CIRCUIT, retry_after_s=5), None),
        (errors.SourceRefused("x"), 60),
        (errors.Overloaded("x"), None),
        (errors.StoreFailed("x"), None),
        (errors.InvalidRequest("x"), None),
        (errors.BadSignature("x"), None),
    ],
)
def test_each_class_of_failure_is_remembered_for_its_own_time(
    error: errors.MediaError, seconds: int | None
) -> None:
    until = negative_until(error, NOW, RULES)

    assert until == (None if seconds is None else NOW + timedelta(seconds=seconds))
    assert (failed_entry("http://a.test/", error, NOW, RULES) is None) == (seconds is None)


def test_a_picture_that_killed_its_process_is_remembered_longer() -> None:
    assert negative_until(errors.Poisonous("x"), NOW, RULES) == NOW + DAY


THUMBNAIL = IndexedThumbnail(digest="cd" * 32, format=Format.WEBP, width=600, height=400, bytes=12_345)
THUMBNAIL_FAILURE = ThumbnailFailure("undecodable", NOW)


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY,
        replace(ENTRY, etag=None, last_modified="Mon", final_url="http://b.test/"),
        replace(ENTRY, grants={"cache-control": "max-age=1, \x80"}, paused_until=NOW),
        failed_entry("http://a.test/\u4f60", errors.SourceMissing("x"), NOW, RULES),
    ],
)
def test_an_entry_survives_json(entry: Entry) -> None:
    assert Entry.from_json(entry.to_json()) == entry


@pytest.mark.parametrize("record", [THUMBNAIL, THUMBNAIL_FAILURE])
def test_the_record_of_a_thumbnail_survives_json(record: ThumbnailRecord) -> None:
    assert thumbnail_from_json(record.to_json()) == record


@pytest.mark.parametrize("placeholder", [Placeholder("abc", "#102030"), Placeholder(None, None)])
def test_a_placeholder_survives_json(placeholder: Placeholder) -> None:
    assert placeholder_from_json(placeholder_to_json(placeholder)) == placeholder


def test_a_failure_that_the_last_version_wrote_is_read() -> None:
    written = {
        "form": 1, "digest": None, "format": "jpeg", "width": 0, "height": 0, "bytes": 0, "failure": "undecodable",  # noqa: E501
        "expires_at": NOW.timestamp(), "thumbhash": None, "dominant": None,
    }  # fmt: skip

    assert thumbnail_from_json(json.dumps(written)) == THUMBNAIL_FAILURE


HOSTILE: dict[str, list[object]] = {
    "form": [0, 2, None, "1"],
    "url": [None, 1, "x" * 100_000],
    "digest": [None, 1, "", "../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"],
    "picture": [None, [], {}, "x", {"format": "jpeg"}],
    "fetched_at": [None, "now", True, -1, 1e300, 10**30],
    "etag": [1, '"a"\r\nHost: b', "\x00"],
    "last_modified": [[], "a\nb"],
    "failure": ["internal error", 5, "source_missing"],
    "final_url": [5, "http://a\n"],
    "grants": [None, [], {"expires": 5}, {"expires": "x" * 100_000}, {str(n): "" for n in range(9)}],
    "paused_until": ["soon", -1],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in HOSTILE.items() for value in values]
)
def test_a_hostile_entry_is_no_entry(name: str, value: object) -> None:
    fields = json.loads(ENTRY.to_json()) | {name: value}

    with pytest.raises(ValueError):
        Entry.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "jpg"),
        ("format", "svg\n"),
        ("width", -1),
        ("width", 1.5),
        ("width", True),
        ("height", 2**60),
        ("bytes", None),
        ("upright", 1),
        ("has_alpha", "no"),
    ],
)
def test_a_hostile_picture_is_no_entry(name: str, value: object) -> None:
    fields = json.loads(ENTRY.to_json())
    fields["picture"][name] = value

    with pytest.raises(ValueError):
        Entry.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("digest", None),
        ("digest", "../etc/passwd"),
        ("format", "exe"),
        ("failure", "undecodable"),
        ("width", "600"),
    ],
)
def test_a_hostile_thumbnail_is_no_thumbnail(name: str, value: object) -> None:
    fields = json.loads(THUMBNAIL.to_json()) | {name: value}

    with pytest.raises(ValueError):
        thumbnail_from_json(json.dumps(fields))


@pytest.mark.parametrize(
    ("name", "value"), [("expires_at", None), ("expires_at", "soon"), ("failure", "internal error")]
)
def test_a_hostile_failure_is_no_thumbnail(name: str, value: object) -> None:
    fields = json.loads(THUMBNAIL_FAILURE.to_json()) | {name: value}

    with pytest.raises(ValueError):
        thumbnail_from_json(json.dumps(fields))


@pytest.mark.parametrize(("name", "value"), [("dominant", 5), ("thumbhash", "a\r\nb"), ("form", 2)])
def test_a_hostile_placeholder_is_no_placeholder(name: str, value: object) -> None:
    fields = json.loads(placeholder_to_json(Placeholder("abc", "#102030"))) | {name: value}

    with pytest.raises(ValueError):
        placeholder_from_json(json.dumps(fields))


@given(st.text(max_size=200))
def test_any_other_text_is_no_entry(text: str) -> None:
    for kind in (Entry.from_json, thumbnail_from_json, placeholder_from_json):
        with pytest.raises(ValueError):
            kind(text)


@pytest.mark.parametrize("text", ["", "null", "[]", "1", "[" * 10_000, '{"form":1}'])
def test_other_json_is_no_entry(text: str) -> None:
    with pytest.raises(ValueError):
        Entry.from_json(text)
