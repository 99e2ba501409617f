"""Splicing and the way back."""

import json
import random

import pytest

from mediasvc.core.text.edits import Edit, join, restorable, restore, splice

ARTICLE = b"one two three"
EDITS = [Edit(8, 13, b"3"), Edit(0, 3, b"first"), Edit(4, 4, b"[\xff\x00]")]


def test_nothing_to_change_returns_the_same_object() -> None:
    assert splice(ARTICLE, []) is ARTICLE
    assert splice(ARTICLE, [Edit(0, 3, b"one"), Edit(5, 5, b"")]) is ARTICLE


def test_edits_are_made_in_any_order_and_may_insert() -> None:
    assert splice(ARTICLE, EDITS) == b"first [\xff\x00]two 3"


def test_restore_brings_the_article_back_from_json() -> None:
    steps = json.loads(json.dumps(restorable(EDITS, ARTICLE)))

    assert restore(splice(ARTICLE, EDITS), steps) == ARTICLE


def test_edits_that_change_nothing_are_not_recorded() -> None:
    assert restorable([Edit(0, 3, b"one")], ARTICLE) == []
    assert restore(ARTICLE, []) is ARTICLE


@pytest.mark.parametrize(
    "edits",
    [
        [Edit(0, 5, b""), Edit(4, 6, b"")],
        [Edit(0, 14, b"")],
        [Edit(-1, 3, b"")],
        [Edit(5, 3, b"")],
        [Edit(0, 3, b""), Edit(2, 2, b"x")],
    ],
)
def test_edits_that_overlap_or_leave_the_article_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError):
        splice(ARTICLE, edits)


@pytest.mark.parametrize(
    "steps",
    [
        [[0, "first!", "one"]],
        [[99, "", "x"]],
        [[0, "first", "one"], [2, "r", "x"]],
        [["0", "first", "one"]],
        [[0, "first"]],
        [[True, "", ""]],
        [[0, "first", "\u4e00"]],
        [[0, 5, "one"]],
        [[-3, "first", "one"]],
    ],
)
def test_a_text_that_was_changed_since_is_not_restored(steps: list[list[int | str]]) -> None:
    with pytest.raises(ValueError):
        restore(b"first two", steps)


def _some_edits(chance: random.Random, article: bytes) -> list[Edit]:
    places = sorted(chance.choices(range(len(article) + 1), k=2 * chance.randrange(5)))
    return [
        Edit(start, end, bytes(chance.choices(b"abc", k=chance.randrange(4))))
        for start, end in zip(places[::2], places[1::2], strict=True)
    ]


def test_two_ways_back_become_one() -> None:
    chance = random.Random(7)
    for _ in range(2000):
        article = bytes(chance.choices(b"abc", k=chance.randrange(12)))
        first = _some_edits(chance, article)
        between = splice(article, first)
        second = _some_edits(chance, between)
        last = splice(between, second)

        joined = join(restorable(first, article), restorable(second, between), between)

        assert restore(last, joined) == article, (article, first, second)


def test_ways_back_that_do_not_meet_are_not_joined() -> None:
    with pytest.raises(ValueError):
        join([[0, "first", "one"]], [], b"one two")
