"""Seeded damage to sample articles, and the laws that a rewrite of any article keeps.

Each article is a sample of tests/samples/articles (or a hostile seed) after one to six mutations: bytes
flipped, cut, doubled, moved between articles, runs of markup put in. Checked of each, as HTML and as Markdown
by turns: an answer, spans in order, an edit at every reference, the bytes between edits, restore, and time.
"""

import random
import re
import time
from pathlib import Path

from mediasvc.core.text.reference import is_fetchable
from mediasvc.core.text.references import ArticleType, find_references, restorable, restore, splice, write
from mediasvc.errors import InvalidRequest

SAMPLES = Path(__file__).parents[1] / "samples" / "articles"
TOKENS = [
    b"<img src='", b"<img srcset=\"a 1x, ", b"<!--", b"-->", b"<style>", b"</style>", b"<p style=\"background:url(", b"<svg>",  # noqa: E501
    b"<template>", b"<noscript>", b"<textarea>", b"<a href=http://a/b>", b"</a>", b"<table><tr>", b"<select>", b"<frameset>",  # noqa: E501
    b"![", b"](", b"![a](http://a/b)", b"[a]: http://a/c\n", b"![a]", b"`", b"```\n", b"    ", b"> ", b"- ", b"|", b"\\",  # noqa: E501
    b"---\n", b"cover: ", b"thumbnail: '", b"x: [", b"x: {", b"&a ", b"*a", b"? ", b"\xef\xbb\xbf", b"\0", b"\r", b"\r\n", b"\n\n",  # noqa: E501
    b"\xff", b"\x81\x5c", b"\xa4\x7c", b"\x1b$B", b"&", b"&amp;", b"&#x", b"<", b">", b"\"", b"'", b"(", b")", b"=",  # noqa: E501
    b"<meta charset=gbk>", b"<meta charset=big5>", b"<meta charset=iso-2022-jp>", b"<base href=x>", b"<body style='a:url(x)'>",  # noqa: E501
]  # fmt: skip


def seeds() -> list[bytes]:
    found = [b"", b"<", b"---\n"]
    for path in sorted(SAMPLES.glob("*.txt")):
        text = path.read_bytes().decode()
        head, given, _ = re.split(r"^==== (?:input|expected)\n", text, flags=re.MULTILINE)
        encoding = re.search(r"^encoding: (\S+)$", head, re.MULTILINE)
        found.append(given.encode(encoding[1] if encoding else "utf-8"))
    return found


def mutated(articles: list[bytes], choice: random.Random) -> bytes:
    article = bytearray(choice.choice(articles))
    for _ in range(choice.randint(1, 6)):
        at = choice.randint(0, len(article))
        match choice.randint(0, 5):
            case 0:
                article[at:at] = choice.choice(TOKENS) * choice.choice([1, 1, 1, 3, 200])
            case 1:
                del article[at : at + choice.choice([1, 2, 9, 99])]
            case 2:
                other = choice.choice(articles)
                start = choice.randint(0, len(other))
                article[at:at] = other[start : start + choice.randint(0, 400)]
            case 3 if article:
                article[min(at, len(article) - 1)] = choice.randint(0, 255)
            case 4:
                article[at:at] = article[at : at + choice.randint(0, 200)] * choice.choice([1, 2, 20])
            case _:
                article[at : at + 1] = choice.choice(TOKENS)
    return bytes(article)


def check(article: bytes, kind: ArticleType) -> int:
    """How many references there were; AssertionError where a law is broken."""
    try:
        found = find_references(article, kind)
    except InvalidRequest:
        return 0
    edits = [write(one, f"assets/{number}.jpg") for number, one in enumerate(found.references)]
    rewritten = splice(article, edits)
    done = 0
    for one in found.references:
        assert done <= one.start <= one.end <= len(article)
        assert is_fetchable(one.address)
        done = one.end
    assert restore(rewritten, restorable(edits, article)) == article
    position = start = 0
    for edit in edits:
        between = article[start : edit.start]
        assert rewritten.startswith(between + edit.new, position)
        position += len(between) + len(edit.new)
        start = edit.end
    assert rewritten[position:] == article[start:]
    return len(edits)


def run(count: int, seed: int) -> tuple[int, float]:
    """References found in all, and the slowest article in CPU seconds."""
    choice = random.Random(seed)
    articles = seeds()
    references, slowest = 0, 0.0
    for number in range(count):
        article = mutated(articles, choice)
        kind = ArticleType.HTML if number % 2 else ArticleType.MARKDOWN
        started = time.process_time()
        try:
            references += check(article, kind)
        except Exception as error:
            error.add_note(f"article {number} of seed {seed}, {kind}: {article!r}")
            raise
        slowest = max(slowest, time.process_time() - started)
    return references, slowest
