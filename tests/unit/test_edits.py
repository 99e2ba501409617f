"""Splicing and the way back."""

import json

import pytest

from mediasvc.core.edits import Edit, restorable, restore, splice

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
