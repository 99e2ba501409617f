"""Rewriting by parsing and writing the whole document again, as is usual, beside splicing: speed and needless
changes.

    pip install lxml beautifulsoup4
    python -m bench.peers_rewrite

Same HTML page, same new value for every img[src]. Bytes changed needlessly: those that differ from the page
in which only these values are replaced (by a difference of lines, of the shorter side or the longer one,
whichever is more).
"""

import difflib
import gc
import re
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import bs4
import lxml.html

from bench.results import save
from bench.rewrite import ASSET, image, page, rewrite
from mediasvc.core.text.references import ArticleType

ROOT = Path(__file__).resolve().parent.parent

ROUNDS = 5
IMAGE = re.compile(rb"(<img[^>]*?src=\")[^\"]*", re.IGNORECASE)  # enough for these pages
QUIRKS = f"""
<p>Half an hour &mdash; or more &amp; less &nbsp; 5 > 3, caf&#233;, a & b<br/><IMG alt='x'src="http://pics.example/q.jpg">
<table><tr><td width=100%>No <b><i>closed</b> tags<td nowrap>at all</table>
<p class='lead'  id=first>Line one\r
line two<br>{image(7)}
<ul><li>one<li>two</ul>
"""


def ours(article: bytes) -> bytes:
    return rewrite(article, ArticleType.HTML)


def with_lxml(article: bytes) -> bytes:
    document = lxml.html.document_fromstring(article, parser=lxml.html.HTMLParser(encoding="utf-8"))
    for tag in document.iter("img"):
        if tag.get("src"):
            tag.set("src", ASSET)
    return bytes(lxml.html.tostring(document, encoding="utf-8", doctype="<!DOCTYPE html>"))


def with_soup(parser: str) -> Callable[[bytes], bytes]:
    def rewritten(article: bytes) -> bytes:
        soup = bs4.BeautifulSoup(article, parser, from_encoding="utf-8")
        for tag in soup.find_all("img", src=True):
            tag["src"] = ASSET
        return bytes(soup.encode("utf-8"))

    return rewritten


def needless(article: bytes, made: bytes) -> int:
    """Bytes in which `made` differs from the article with only the values replaced."""
    wanted = IMAGE.sub(lambda match: match[1] + ASSET.encode(), article).split(b"\n")
    got = made.split(b"\n")
    changed = 0
    for tag, i, j, k, m in difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        one, other = b"\n".join(wanted[i:j]), b"\n".join(got[k:m])
        if max(len(one), len(other)) > 4000:
            changed += max(len(one), len(other))
            continue
        same = sum(
            b.size for b in difflib.SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
        )
        changed += max(len(one), len(other)) - same
    return changed


def main() -> None:
    tools = {
        "mediasvc": ours,
        "lxml": with_lxml,
        "BeautifulSoup, lxml": with_soup("lxml"),
        "BeautifulSoup, html.parser": with_soup("html.parser"),
    }
    small = page(0.03).replace(b"</body>", QUIRKS.encode() + b"</body>")
    large = page(1)
    speeds: dict[str, list[float]] = {name: [] for name in tools}
    for _ in range(ROUNDS):
        for name, tool in tools.items():
            gc.collect()
            started = time.process_time()
            tool(large)
            speeds[name].append(len(large) / (time.process_time() - started) / 1e6)
    changed = {name: needless(small, tool(small)) for name, tool in tools.items()}
    for name in tools:
        print(
            f"{name:28} {median(speeds[name]):7.1f} MB/s   {changed[name]:6,} bytes of {len(small):,} changed needlessly"  # noqa: E501
        )
    peers = [name for name in tools if name != "mediasvc"]
    save(
        "peers_rewrite",
        "python -m bench.peers_rewrite",
        [
            {"name": "HTML page of 1 MB", "unit": "MB/s a core", "ours": round(median(speeds["mediasvc"]), 1),
             "peers": {name: round(median(speeds[name]), 1) for name in peers}, "target": 50},
            {"name": f"changed needlessly of {len(small):,} bytes", "unit": "bytes", "ours": changed["mediasvc"],  # noqa: E501
             "peers": {name: changed[name] for name in peers}, "target": 0},
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
