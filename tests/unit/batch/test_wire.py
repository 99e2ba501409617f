"""What travels through the queue arrives as it was sent, or is refused."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mediasvc.articles.rows import Asset, ImageRow, Status
from mediasvc.batch.chunks import Chunk, Done, Task
from mediasvc.batch.json_lines import from_image
from mediasvc.batch.rewriting import fit_message
from mediasvc.batch.wire import chunk_from_bytes, chunk_to_bytes, results_from_bytes, results_to_bytes
from mediasvc.core.formats import Format, OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.records.compression import compress, decompress
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import Failure, StoreFailed

DATA = b"\xff\xd8\xff\0of a picture"
CARRIED = Asset(hashlib.sha256(DATA).hexdigest(), Format.JPEG, DATA, len(DATA), "https://news.example/a.jpg")
STORED = Asset("0" * 64, Format.PNG, None, 4_000_000, "https://news.example/b.png")
IMAGE = ImageRow(
    "https://news.example/a.jpg", None, "img[src]", Size(600, 400), Status.LEFT, why="a template"
)
DONE = Done(
    content="秋\r\n".encode("gb18030"),
    images=(IMAGE,),
    undo=[[0, 3, "aGVhZA=="]],
    assets=(CARRIED, STORED),
    failure=None,
    warnings=("data-size",),
    seconds=0.25,
    settings="0f",
)
FAILED = Done(None, (), [], (), Failure("invalid_request", "UTF-16"), (), 0.0)


def with_head(told: object) -> bytes:
    head = compress(json.dumps(told).encode())
    return len(head).to_bytes(4, "big") + head


def test_results_arrive_as_they_were_sent() -> None:
    results = (DONE, FAILED, replace(DONE, content=None))

    assert results_from_bytes(results_to_bytes(results)) == results
    assert results_from_bytes(results_to_bytes(())) == ()


def test_folders_whose_names_are_not_utf_8_arrive_as_they_were_sent() -> None:
    chunk = Chunk(
        tasks=(
            Task(b"\xff", ArticleType.HTML, "as\udcff/"),
            Task(b"", None, ""),
        ),
        front_matter={"cover": "original"},
        format=OutputFormat.WEBP,
        default_size=Size(600, 400),
        report_prefix="as\udcff/",
        placeholder=True,
        store="files",
        began=datetime(2026, 11, 26, 12, 0, 0, 5, tzinfo=UTC),
        base_url="http://news.example/",
    )
    done = replace(DONE, images=(IMAGE._replace(original="as\udcff/a.jpg"),))

    assert chunk_from_bytes(chunk_to_bytes(chunk)) == chunk
    assert results_from_bytes(results_to_bytes((done, FAILED))) == (done, FAILED)


def test_an_image_of_several_articles_travels_once() -> None:
    large = bytes(range(256)) * 400
    asset = Asset(hashlib.sha256(large).hexdigest(), Format.JPEG, large, len(large), "https://news.example/")
    results = (replace(DONE, assets=(asset,)),) * 3

    message = results_to_bytes(results)

    assert len(message) < len(large) + 2000
    assert results_from_bytes(message) == results


def test_articles_whose_images_do_not_fit_into_a_message_fail_by_themselves() -> None:
    def with_assets(*sizes: tuple[str, int]) -> Done:
        assets = (Asset(name * 64, Format.JPEG, None, size, "https://news.example/") for name, size in sizes)
        return replace(DONE, assets=tuple(assets))

    results = (
        with_assets(("a", 60)),
        with_assets(("b", 41), ("c", 0)),
        with_assets(("a", 60), ("d", 40)),
        FAILED,
        with_assets(("e", 1)),
    )

    fitting = fit_message(results, 100)

    assert [fitting[place] for place in (0, 2, 3)] == [results[place] for place in (0, 2, 3)]
    for place in (1, 4):
        failure = fitting[place].failure
        assert failure is not None
        assert failure.kind is StoreFailed
        assert (fitting[place].content, fitting[place].assets) == (None, ())
    assert fit_message(results, 142) == results


@pytest.mark.parametrize(
    "harm",
    [
        lambda sent: b"",
        lambda sent: b"[]",
        lambda sent: sent[:-1],
        lambda sent: sent[:40],
        lambda sent: sent[:-1] + b"X",
        lambda sent: b"\xff\xff\xff\xff" + sent[4:],
        lambda sent: sent[:4] + b"\0" + sent[5:],
        lambda sent: with_head({"results": [], "data": [1]}),
        lambda sent: with_head({"results": [], "data": {"0": "1"}}),
        lambda sent: with_head({"results": [1], "data": {}}),
        lambda sent: with_head([]),
    ],
)
def test_what_came_to_harm_is_refused(harm: Callable[[bytes], bytes]) -> None:
    sent = results_to_bytes((DONE,))

    with pytest.raises((ValueError, KeyError, TypeError)):
        results_from_bytes(harm(sent))


@pytest.mark.parametrize(
    "harm",
    [
        {"images": [1]},
        {"images": None},
        {"images": [{"source": "https://news.example/a.jpg"}]},
        {"images": [from_image(IMAGE) | {"bytes": "many"}]},
        {"images": [from_image(IMAGE) | {"status": "lost"}]},
        {"images": [from_image(IMAGE) | {"declared_size": 600}]},
        {"undo": 5},
        {"warnings": None},
        {"seconds": "x"},
        {"failure": ("overloaded",)},
        {"failure": ("overloaded", "later", "4")},
        {"failure": ("overloaded", 4)},
    ],
    ids=str,
)
def test_what_is_of_another_shape_is_refused(harm: dict[str, Any]) -> None:
    sent = results_to_bytes((DONE,))
    members = json.loads(decompress(sent[4 : 4 + int.from_bytes(sent[:4], "big")]))

    harmed = with_head(members | {"results": [members["results"][0] | harm]}) + DATA
    with pytest.raises((ValueError, KeyError, TypeError)):
        results_from_bytes(harmed)
