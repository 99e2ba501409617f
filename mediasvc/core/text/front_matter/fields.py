"""Names of front-matter fields (`cover.image`, `images[]`, `resources[].src`), and a tree to find them by."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from mediasvc.core.text.reference import Syntax

ITEM = b"[]"
"""The step from a list to its items; no key is called that."""

_STEP = re.compile(r"\.(?:\"([^\"]+)\"|([^\s.\[\]\"'](?:[^.\[\]\"'\r\n]*[^\s.\[\]\"'])?))((?:\[\])*)")


class Scalar(NamedTuple):
    """One value of a field.

    field: the name as the caller wrote it.
    start, end: byte span of the value in the article, without its quotes.
    """

    field: str
    start: int
    end: int
    syntax: Syntax


@dataclass(slots=True)
class FieldTree:
    """What may follow a step of a field's name.

    field: the name that ends here; "" where none does.
    """

    steps: dict[bytes, "FieldTree"] = field(default_factory=dict)
    field: str = ""


def parse_field(name: str) -> tuple[str, ...]:
    """The steps of a field's name; a key that holds a dot or bracket is written in double quotes.

    ValueError where the name cannot be read.
    """
    steps: list[str] = []
    position, written = 0, f".{name}"
    while (match := _STEP.match(written, position)) is not None:
        steps.append(match[1] or match[2])
        steps += ["[]"] * (len(match[3]) // 2)
        position = match.end()
    if position != len(written):
        raise ValueError(f"{name!r} is not a field; write cover, cover.image, images[] or resources[].src")
    return tuple(steps)


@lru_cache(maxsize=64)
def field_tree(names: tuple[str, ...], encoding: str) -> FieldTree:
    """The tree of some fields, its keys in the encoding of an article."""
    root = FieldTree()
    for name in names:
        node = root
        for step in parse_field(name):
            node = node.steps.setdefault(step.encode(encoding, "replace"), FieldTree())
        node.field = name
    return root


def follow(tree: FieldTree | None, steps: Iterable[bytes]) -> FieldTree | None:
    """Where some steps lead; None: to no field."""
    for step in steps:
        if tree is None:
            return None
        tree = tree.steps.get(step)
    return tree


def is_mentioned(tree: FieldTree, raw: bytes) -> bool:
    """Whether a text holds one of the first keys at all."""
    return any(name in raw for name in tree.steps)


def leaves(tree: FieldTree) -> Iterator[str]:
    """Every field of a tree."""
    if tree.field:
        yield tree.field
    for child in tree.steps.values():
        yield from leaves(child)
