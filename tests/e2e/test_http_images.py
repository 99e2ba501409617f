"""Images over HTTP: both forms, conditions, ranges, negotiation, caching, failures."""

import hashlib
import io
import random
import re
import time
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime

import pytest
from PIL import Image

from mediasvc.core.addresses import signing
from tests.support import pictures
from tests.support.origin import LAST_MODIFIED, Origin, Reply, jpeg
from tests.support.service import Service, ask, eventually, image_path, image_query

KEY, OLD_KEY = b"new" * 8, b"old" * 8
URL = "http://news.example/pictures/a.jpg"
PNG = "http://news.example/pictures/a.png"
SETTINGS = {"MAX_SOURCE_BYTES": "8MiB", "MAX_PIXELS": "20M", "FETCH_TIMEOUT": "5s", "FETCH_RETRIES": "0"}


def size_of(data: bytes) -> tuple[str, int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.format or "", image.width, image.height


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ("original", {}),
        ("600x400", {"size": "600,400"}),
        (
            "600x400,cover,webp,q50,dpr2",
            {"size": "600x400", "fit": "cover", "format": "webp", "quality": "50", "dpr": "2"},
        ),
        ("300x300,keep", {"size": "300*300", "format": "keep"}),
    ],
)
def test_path_and_query_give_the_same_bytes_and_the_same_etag(
    service: Service, options: str, query: dict[str, str]
) -> None:
    by_path = service.get(image_path(URL, options))
    by_query = service.get(image_query(URL, **query))
    with_signature = service.get(image_query(URL, sig="unsafe", **query))

    assert by_path.status == by_query.status == with_signature.status == 200
    assert by_path.body == by_query.body == with_signature.body
    assert by_path.headers["etag"] == by_query.headers["etag"] == with_signature.headers["etag"]


def test_no_size_gives_the_original_unchanged(service: Service) -> None:
    reply = service.get(image_query(URL), accept="image/avif,image/webp")

    assert reply.body == jpeg("a")
    assert reply.headers["content-type"] == "image/jpeg"
    assert reply.headers["etag"] == f'"{hashlib.sha256(reply.body).hexdigest()}"'
    assert "vary" not in reply.headers


def test_a_thumbnail_fits_its_box(service: Service) -> None:
    reply = service.get(image_path(URL, "600x300"))

    assert size_of(reply.body) == ("JPEG", 450, 300)


def test_a_wrapped_address_is_the_same_image(service: Service) -> None:
    plain = service.get(image_path(URL))
    wrapped = service.get(image_path(f"https://cors.example.workers.dev/?{URL}"))

    assert (wrapped.status, wrapped.headers["etag"]) == (200, plain.headers["etag"])


@pytest.fixture(scope="module")
def signed(world: Origin) -> Iterator[Service]:
    with Service(
        world, HOST="0.0.0.0", SIGNING_KEYS=f"{KEY.hex()},{OLD_KEY.hex()}", ALLOW_UNSIGNED="false"
    ) as running:
        yield running


@pytest.mark.parametrize("key", [KEY, OLD_KEY])
def test_every_key_verifies(signed: Service, key: bytes) -> None:
    path = image_path(URL, "600x400").removeprefix("/img/unsafe")
    by_path = signed.get(f"/img/{signing.sign([key], path)}{path}")
    by_query = signed.get(image_query(URL, size="600,400", sig=signing.sign([key], path)))

    assert (by_path.status, by_query.status) == (200, 200)


def test_a_missing_or_wrong_signature_is_refused_before_anything_is_fetched(
    signed: Service, world: Origin
) -> None:
    url = "http://news.example/pictures/unsigned.jpg"
    path = image_path(url, "600x400").removeprefix("/img/unsafe")
    right = signing.sign([KEY], path)
    wrong = [
        f"/img/unsafe{path}",
        f"/img/{signing.sign([b'x'], path)}{path}",
        f"/img/{right}{path.replace('600x400', '601x400')}",
        f"/img/{right}={path}",
        image_query(url, size="600,400"),
        image_query(url, size="600,401", sig=right),
        image_query(url, size="600,400", fit="fit", sig=right),
    ]

    replies = [signed.get(one) for one in wrong]

    assert [(reply.status, reply.code) for reply in replies] == [(403, "bad_signature")] * len(wrong)
    assert world.hits("/pictures/unsigned.jpg") == 0


def test_an_image_carries_the_headers_of_the_contract_from_origin_and_from_memory(service: Service) -> None:
    path = image_path("http://news.example/pictures/headers.jpg", "600x400")

    replies = [service.get(path) for _ in range(3)]

    assert [reply.headers["x-cache"] for reply in replies] == ["MISS", "HIT", "HIT"]
    for reply in replies:
        fields = dict(reply.headers)
        assert fields.pop("cache-control").startswith("public, max-age=86")
        assert fields.pop("x-request-id")
        assert fields.pop("date")
        assert fields.pop("etag")
        assert fields.pop("content-disposition").startswith('inline; filename="')
        assert fields.pop("content-length") == str(len(reply.body))
        fields.pop("x-cache")
        assert fields == {
            "accept-ranges": "bytes",
            "access-control-allow-origin": "*",
            "access-control-expose-headers": "ETag, X-Cache, X-Request-ID, Retry-After, Content-Range",
            "content-security-policy": "default-src 'none'; sandbox",
            "content-type": "image/jpeg",
            "cross-origin-resource-policy": "cross-origin",
            "last-modified": LAST_MODIFIED,
            "server": "mediasvc",
            "timing-allow-origin": "*",
            "vary": "Accept",
            "x-content-type-options": "nosniff",
        }


def test_head_says_what_get_says_and_sends_nothing(service: Service) -> None:
    for path in (image_path("http://news.example/pictures/head.jpg", "600x400"), image_query(URL)):
        first, got, second = service.ask("HEAD", path), service.get(path), service.ask("HEAD", path)

        assert first.status == second.status == 200
        assert first.body == second.body == b""
        for name in ("content-length", "content-type", "etag", "last-modified", "content-disposition"):
            assert first.headers[name] == got.headers[name] == second.headers[name]


def test_what_the_origin_forbids_to_keep_is_kept_by_nobody(service: Service, world: Origin) -> None:
    url = world.on("/secret.jpg", Reply(body=jpeg("s"), headers={"cache-control": "private, no-store"}))
    path = image_path(url.replace(f"127.0.0.1:{world.port}", "news.example"), "600x400")

    replies = [service.get(path) for _ in range(2)]

    assert [reply.headers["cache-control"] for reply in replies] == ["no-store"] * 2
    assert [reply.headers["x-cache"] for reply in replies] == ["MISS"] * 2
    assert world.hits("/secret.jpg") == 2


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/webp,*/*", "image/webp"),
        ("image/webp;q=0,*/*", "image/jpeg"),
    ],
)
def test_the_format_is_what_the_client_names(service: Service, accept: str | None, media_type: str) -> None:
    headers = {} if accept is None else {"accept": accept}

    replies = [service.get(image_path(URL, "640x480"), **headers) for _ in range(2)]

    assert [reply.headers["content-type"] for reply in replies] == [media_type] * 2
    assert [reply.headers["vary"] for reply in replies] == ["Accept"] * 2


def test_negotiated_formats_have_etags_of_their_own(service: Service) -> None:
    path = image_path(URL, "500x500")

    etags = {
        service.get(path, accept=accept).headers["etag"] for accept in ("image/webp", "image/avif", "*/*")
    }

    assert len(etags) == 3


def test_a_format_by_name_is_the_same_for_everyone(service: Service) -> None:
    reply = service.get(image_path(PNG, "500x500,jpeg"), accept="image/webp")

    assert reply.headers["content-type"] == "image/jpeg"
    assert "vary" not in reply.headers


@pytest.mark.parametrize("options", ["original", "600x400"])
@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("{etag}", 304), ("W/{etag}", 304), ("*", 304), ('"x", {etag}', 304), ('"x",W/{etag} , "y"', 304),
        ('"x"', 200), ("", 200), ('"x,y"', 200), ("nonsense", 200),
    ],
)  # fmt: skip
def test_entity_tags_decide(service: Service, options: str, form: str, status: int) -> None:
    path = image_path(URL, options)
    etag = service.get(path).headers["etag"]

    for _ in range(2):
        reply = service.get(path, if_none_match=form.format(etag=etag), if_modified_since=LAST_MODIFIED)

        assert reply.status == status
        assert reply.headers["etag"] == etag
        assert (reply.body == b"") == (status == 304)
        assert ("content-type" in reply.headers) == (status == 200)
        assert reply.headers["cache-control"].startswith("public")
        assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("since", "status"),
    [
        (LAST_MODIFIED, 304),
        ("Tue, 07 Jan 2025 08:00:00 GMT", 304),
        ("Sun, 05 Jan 2025 08:00:00 GMT", 200),
        ("x", 200),
    ],
)
def test_dates_decide_where_there_is_no_tag(service: Service, since: str, status: int) -> None:
    assert service.get(image_path(URL), if_modified_since=since).status == status


def test_a_client_that_holds_the_image_costs_no_image_work(service: Service, world: Origin) -> None:
    url = "http://news.example/pictures/nowork.png"
    original = service.get(image_path(url))
    rendered = service.get("/metrics").body.count(b"mediasvc_image_duration_seconds_count")
    before = _image_work(service)

    reply = service.get(image_path(url, "333x222,webp"), if_none_match="*")

    assert reply.status == 304
    assert reply.headers["etag"] != original.headers["etag"]
    assert _image_work(service) == before
    assert rendered


def _image_work(service: Service) -> float:
    lines = service.get("/metrics").body.decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("mediasvc_image_duration_seconds_count")
    )


@pytest.mark.parametrize(
    ("field", "form", "status"),
    [
        ("if_match", "{etag}", 200), ("if_match", "*", 200), ("if_match", '"x", {etag}', 200), ("if_match", '"x"', 412),  # noqa: E501
        ("if_match", "W/{etag}", 412), ("if_unmodified_since", LAST_MODIFIED, 200),
        ("if_unmodified_since", "Sun, 05 Jan 2025 08:00:00 GMT", 412), ("if_unmodified_since", "x", 200),
    ],
)  # fmt: skip
def test_preconditions_that_do_not_hold_are_told(
    service: Service, field: str, form: str, status: int
) -> None:
    path = image_path(URL)
    etag = service.get(path).headers["etag"]

    reply = service.get(path, **{field: form.format(etag=etag)})

    assert reply.status == status
    if status == 412:
        assert reply.code == "precondition_failed"


LARGE = "http://news.example/large.png"


@pytest.fixture(scope="module")
def large(world: Origin) -> bytes:
    """Too large for the memory cache, so that it is sent from its file."""
    out = io.BytesIO()
    Image.frombytes("RGB", (1200, 1000), random.Random(1).randbytes(3_600_000)).save(
        out, "PNG", compress_level=1
    )
    data = out.getvalue()
    assert len(data) > 3_000_000
    world.on("/large.png", Reply(body=data, etag='"large"', last_modified=LAST_MODIFIED))
    return data


@pytest.mark.parametrize("url", [URL, LARGE])
@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=500-", 500, None), ("bytes=-10", -10, None),
     ("bytes=5-99999999", 5, None), ("BYTES=1-2", 1, 2), ("bytes=-99999999", 0, None)],
)  # fmt: skip
def test_one_range_is_answered(
    service: Service, large: bytes, url: str, wanted: str, first: int, last: int | None
) -> None:
    whole = jpeg("a") if url == URL else large
    part = whole[first : None if last is None else last + 1]
    start = whole.index(part) if first >= 0 else len(whole) + first

    for _ in range(2):
        reply = service.get(image_path(url), range=wanted)

        assert reply.status == 206
        assert reply.body == part
        assert reply.headers["content-range"] == f"bytes {start}-{start + len(part) - 1}/{len(whole)}"
        assert reply.headers["content-length"] == str(len(part))
        assert reply.headers["content-type"].startswith("image/")


@pytest.mark.parametrize("url", [URL, LARGE])
@pytest.mark.parametrize("wanted", ["bytes=0-1,3-4", "lines=1-2", "bytes=5-2", "bytes=x", "bytes", "bytes=-"])
def test_a_range_that_cannot_be_heard_gets_the_whole(
    service: Service, large: bytes, url: str, wanted: str
) -> None:
    reply = service.get(image_path(url), range=wanted)

    assert (reply.status, reply.body) == (200, jpeg("a") if url == URL else large)


@pytest.mark.parametrize("url", [URL, LARGE])
@pytest.mark.parametrize("wanted", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_told(service: Service, large: bytes, url: str, wanted: str) -> None:
    reply = service.get(image_path(url), range=wanted)

    assert (reply.status, reply.code) == (416, "range_not_satisfiable")
    assert reply.headers["content-range"] == f"bytes */{len(jpeg('a') if url == URL else large)}"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ("{etag}", 206),
        ("W/{etag}", 200),
        ('"x"', 200),
        (LAST_MODIFIED, 206),
        ("Sun, 05 Jan 2025 08:00:00 GMT", 200),
    ],
)
@pytest.mark.parametrize("url", [URL, LARGE])
def test_if_range_decides_between_part_and_whole(
    service: Service, large: bytes, url: str, form: str, status: int
) -> None:
    etag = service.get(image_path(url)).headers["etag"]

    reply = service.get(image_path(url), range="bytes=0-9", if_range=form.format(etag=etag))

    assert reply.status == status
    assert len(reply.body) == (10 if status == 206 else len(jpeg("a") if url == URL else large))


def test_head_knows_no_range(service: Service) -> None:
    reply = service.ask("HEAD", image_path(URL), range="bytes=0-9")

    assert (reply.status, reply.headers["content-length"]) == (200, str(len(jpeg("a"))))


def test_a_large_original_arrives_whole_and_the_connection_goes_on(service: Service, large: bytes) -> None:
    connection = service.connect()
    for path in (image_path(LARGE), image_path(URL), image_path(LARGE)):
        reply = ask(connection, "GET", path)

        assert reply.body == (jpeg("a") if path == image_path(URL) else large)
    assert ask(connection, "HEAD", image_path(LARGE)).headers["content-length"] == str(len(large))
    connection.close()


def test_an_asset_is_kept_for_ever_by_its_name(service: Service) -> None:
    original = service.get(image_path(URL)).body
    name = hashlib.sha256(original).hexdigest()

    replies = [service.get(f"/assets/{name}.jpg") for _ in range(2)]
    unchanged = service.get(f"/assets/{name}.jpg", if_none_match=f'"{name}"')
    part = service.get(f"/assets/{name}.jpg", range="bytes=1-4")

    for reply in replies:
        assert reply.body == original
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["etag"] == f'"{name}"'
        assert reply.headers["content-type"] == "image/jpeg"
    assert unchanged.status == 304
    assert (part.status, part.body) == (206, original[1:5])


@pytest.mark.parametrize("url", [URL, LARGE])
@pytest.mark.parametrize("ending", ["svg", "gif", "avif"])
def test_an_asset_has_no_other_type_than_its_bytes(service: Service, url: str, ending: str) -> None:
    name = hashlib.sha256(service.get(image_path(url)).body).hexdigest()

    replies = [service.ask(method, f"/assets/{name}.{ending}") for method in ("GET", "GET", "HEAD")]

    assert [reply.status for reply in replies] == [404, 404, 404]
    assert replies[0].code == "source_missing"


@pytest.mark.parametrize(
    "name",
    [
        "x",
        f"{'0' * 64}.jpg",
        f"{'0' * 64}",
        f"{'0' * 63}g.jpg",
        f"{'0' * 64}.exe",
        "..%2f..%2fetc%2fpasswd",
        "%00.jpg",
    ],
)
def test_an_asset_that_is_not_kept_is_missing(service: Service, name: str) -> None:
    reply = service.get(f"/assets/{name}")

    assert reply.status == 404
    assert reply.code in ("source_missing", "not_found")


@pytest.mark.parametrize(
    ("path", "reply", "status", "code"),
    [
        ("/gone.jpg", Reply(status=404), 404, "source_missing"),
        ("/gone-for-good.jpg", Reply(status=410), 404, "source_missing"),
        ("/teapot.jpg", Reply(status=418), 502, "source_failed"),
        ("/down.jpg", Reply(status=500), 502, "source_failed"),
        ("/page.jpg", Reply(body=b"<html><p>not an image"), 415, "unsupported_media"),
        ("/cut.jpg", Reply(body=jpeg("cut")[:5000]), 422, "undecodable"),
        ("/wide.png", Reply(body=pictures.bomb_png(9000, 9000)), 422, "too_many_pixels"),
        ("/heavy.jpg", Reply(body=bytes(9_000_000)), 413, "source_too_large"),
        ("/slow.jpg", Reply(hang="head"), 504, "source_timeout"),
    ],
)
def test_each_failure_has_its_status_and_code(
    service: Service, world: Origin, path: str, reply: Reply, status: int, code: str
) -> None:
    world.on(path, reply)

    answer = service.get(image_path(f"http://news.example{path}", "600x400"))

    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["cache-control"] == "no-store"
    assert b"127.0.0.1" not in answer.body


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.jpg", "http://[::1]/a.jpg", "http://169.254.169.254/latest", "http://2130706433/",
        "http://0x7f.1/", "http://10.0.0.1/a.jpg", "http://news.example:22/", "ftp://news.example/a.jpg",
        "http://user:secret@news.example/a.jpg",
    ],
)  # fmt: skip
def test_sources_that_policy_forbids_are_refused_in_one_and_the_same_way(service: Service, url: str) -> None:
    reply = service.get(image_path(url))

    assert (reply.status, reply.code) == (403, "source_refused")


@pytest.mark.parametrize(
    "path",
    [
        "/img/unsafe/600x400/!!", "/img/unsafe/banana/aHR0cDovL2EuZXhhbXBsZS8", "/img/unsafe/600x400/_w",
        "/v1/image", "/v1/image?url=", "/v1/image?url=nonsense", "/v1/image?url=http://&size=5,5",
        "/v1/image?url=http://a.example/&size=9999,1", "/v1/image?url=http://a.example/&colour=red",
        "/v1/image?url=%FF%FE", "/v1/image?" + "a=b&" * 40,
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused(service: Service, path: str) -> None:
    reply = service.get(path)

    assert (reply.status, reply.code) == (400, "invalid_request")


def test_no_failure_is_kept_in_memory(service: Service, world: Origin) -> None:
    path = image_path("http://news.example/later.jpg")
    world.on("/later.jpg", Reply(status=200, body=jpeg("l")[:3000]), Reply(body=jpeg("l")))

    first, second = service.get(path), service.get(path)

    assert (first.status, second.status) == (422, 422)
    assert service.ask("DELETE", "/v1/cache?url=http://news.example/later.jpg").status == 204
    assert service.get(path).status == 200


def test_memory_forgets_what_has_expired_and_the_origin_is_asked_again(world: Origin) -> None:
    world.on("/brief.jpg", Reply(body=jpeg("b"), headers={"cache-control": "max-age=1"}, etag='"b"'))
    path = image_path("http://news.example/brief.jpg", "100x100")
    with Service(world, MIN_TTL="1s") as service:
        first, second = service.get(path), service.get(path)
        eventually(lambda: service.get(path).headers["x-cache"] == "REVALIDATED")

        assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
        assert int(second.headers["cache-control"].split("max-age=")[1].split(",")[0]) <= 1
        assert world.requests("/brief.jpg")[-1].headers["if-none-match"] == '"b"'


def test_the_etag_is_that_of_the_bytes_even_where_the_store_had_lost_them(world: Origin) -> None:
    world.on("/lost.jpg", Reply(body=jpeg("before")), Reply(body=jpeg("after")))
    path = image_path("http://news.example/lost.jpg")
    with Service(world, MEMORY_CACHE_BYTES="0") as service:
        assert service.get(path).body == jpeg("before")
        for blob in (service.folder / "data" / "blobs").rglob("*"):
            if blob.is_file():
                blob.unlink()

        reply = service.get(path)

        assert reply.body == jpeg("after")
        assert reply.headers["etag"] == f'"{hashlib.sha256(reply.body).hexdigest()}"'


def test_last_modified_is_never_later_than_the_fetch(service: Service, world: Origin) -> None:
    world.on("/future.jpg", Reply(body=jpeg("f"), last_modified=formatdate(time.time() + 86400, usegmt=True)))

    reply = service.get(image_path("http://news.example/future.jpg"))

    assert parsedate_to_datetime(reply.headers["last-modified"]).timestamp() <= time.time()


def test_a_query_behind_a_path_is_refused(service: Service) -> None:
    replies = [service.get(image_path(URL) + query) for query in ("?", "?1", "?size=600,400")]

    assert [(reply.status, reply.code) for reply in replies] == [(400, "invalid_request")] * 3


def test_a_path_that_expires_is_answered_until_then_and_kept_by_nobody_for_longer(
    signed: Service, service: Service
) -> None:
    def at(moment: float) -> str:
        text = image_path("http://news.example/pictures/expires.jpg", f"600x400,exp{moment:.0f}")
        text = text.removeprefix("/img/unsafe")
        return f"/img/{signing.sign([KEY], text)}{text}"

    soon = time.time() + 3
    fresh = [signed.get(at(time.time() + 600)) for _ in range(3)]
    brief = [signed.get(at(soon)) for _ in range(2)]
    over = signed.get(at(time.time() - 1))
    unsigned = service.get(image_path(URL, "original,exp1000000000"))

    ages = [int(re.findall(r"max-age=([0-9]+)", reply.headers["cache-control"])[0]) for reply in fresh]
    assert all(590 <= age <= 600 for age in ages)
    assert all("stale" not in reply.headers["cache-control"] for reply in fresh)
    assert [reply.status for reply in brief] == [200, 200]
    assert (over.status, over.code, over.headers["cache-control"]) == (410, "link_expired", "no-store")
    assert unsigned.code == "link_expired"
    eventually(lambda: signed.get(at(soon)).status == 410)


@pytest.mark.parametrize(
    ("options", "query", "size"),
    [
        ("60x", {"size": "60x"}, (60, 40)),
        ("x20,jpg", {"size": ",20", "format": "jpg"}, (30, 20)),
        ("40x,dpr1.5", {"size": "40,", "dpr": "1.5"}, (60, 40)),
    ],
)
def test_open_sides_decimal_dprs_and_jpg_are_known_in_path_and_query(
    service: Service, world: Origin, options: str, query: dict[str, str], size: tuple[int, int]
) -> None:
    world.on("/three-by-two.jpg", Reply(body=jpeg("three by two", 300, 200)))
    url = "http://news.example/three-by-two.jpg"

    by_path, by_query = service.get(image_path(url, options)), service.get(image_query(url, **query))

    assert by_path.status == 200, by_path
    assert size_of(by_path.body) == ("JPEG", *size)
    assert by_query.body == by_path.body


def test_all_spellings_of_a_picture_take_one_place_in_memory(signed: Service) -> None:
    url = "http://news.example/pictures/spelled.jpg"
    text = image_path(url, "600x400,webp,q80").removeprefix("/img/unsafe")
    by_path = f"/img/{signing.sign([KEY], text)}{text}"
    sig = signing.sign([KEY], image_path(url, "600x400,webp,q80").removeprefix("/img/unsafe"))
    query = f"url={url}&size=600,400&format=webp&quality=80&sig={sig}"
    by_query = [
        f"/v1/image?{query}",
        f"/v1/image?{query.replace('600,400', '600x400')}",
        f"/v1/image?{query.replace('news', 'n%65ws')}",
        f"/v1/image?sig={sig}&{query.removesuffix(f'&sig={sig}')}",
        f"/v1/image?{query}&fit=&dpr=",
    ]
    by_paths = [by_path, by_path.replace("600x400", "60%30x400"), by_path.replace("webp", "%77ebp")]
    before = signed.get("/v1/stats").json["memory_entries"]

    replies = [signed.get(path) for path in [*by_query, *by_paths] * 3]

    assert {(reply.status, reply.headers["etag"]) for reply in replies} == {(200, replies[0].headers["etag"])}
    assert signed.get("/v1/stats").json["memory_entries"] == before + 2


def test_a_request_that_we_sent_ourselves_is_not_answered(world: Origin, service: Service) -> None:
    world.on("/loop/a.jpg", Reply(body=jpeg("loop")))
    service.get(image_path("http://news.example/loop/a.jpg", "original"))
    (request,) = world.requests("/loop/a.jpg")

    back = service.get(image_path("http://news.example/loop/b.jpg", "original"), Via=request.headers["via"])

    assert (back.status, back.code) == (403, "source_refused")
    assert world.hits("/loop/b.jpg") == 0


def test_our_own_addresses_are_no_sources_though_others_share_their_host(world: Origin) -> None:
    with Service(world, PUBLIC_URL="http://News.example/media/") as service:
        inner = image_path("http://news.example/pictures/a.jpg")
        own = service.get(image_path(f"http://news.example/media{inner}"))
        looped = service.get(image_path(f"{service.address}{inner}"))
        neighbour = service.get(image_path("http://news.example/pictures/a.jpg"))

    assert (own.code, looped.code, neighbour.status) == ("source_refused", "source_refused", 200)


def test_nothing_of_the_client_reaches_the_origin_and_nothing_of_the_origin_the_client(
    service: Service, world: Origin
) -> None:
    foreign = {
        "Set-Cookie": "id=1",
        "Content-Type": "text/html",
        "Content-Disposition": 'attachment; filename="a.exe"',
        "Link": "<https://evil.example>; rel=preload",
        "Access-Control-Allow-Credentials": "true",
        "Refresh": "0",
        "X-Origin": "1",
        "Server": "origin",
    }
    world.on("/foreign.jpg", Reply(body=jpeg("foreign"), headers=foreign))
    ours = service.get(image_path("http://news.example/pictures/a.jpg"))

    reply = service.get(
        image_path("http://news.example/foreign.jpg"),
        Cookie="secret=1",
        Authorization="Bearer secret",
        Referer="https://reader.example/secret",
        User_Agent="Secret/1",
        X_Forwarded_For="192.0.2.77",
        Accept_Language="tlh",
        Range="bytes=0-9999999",
    )

    (asked,) = world.requests("/foreign.jpg")
    assert set(asked.headers) == {"host", "user-agent", "accept", "accept-encoding", "via"}
    assert not any(
        word in value for value in asked.headers.values() for word in ("ecret", "192.0.2.77", "tlh")
    )
    assert reply.body == jpeg("foreign")
    assert set(reply.headers) - {"content-range"} == set(ours.headers)
    assert (reply.headers["content-type"], reply.headers["server"]) == ("image/jpeg", "mediasvc")
    assert ".exe" not in reply.headers["content-disposition"]
