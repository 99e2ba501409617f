"""How fast whole articles are rewritten where every image is known: CPU figures, nothing fetched.

    python -m bench.rewrite [--hostile]

An article of the usual size and density (6 kB, three images and two front-matter fields), the same kind of
text as one long page, and, with --hostile, 8 MiB of what means harm. "Addresses never seen": each post is
rewritten once, and no post before it named one of its images; only their hosts come again, as they do on a
site. Every address is unwrapped and checked against the policy there. "Seen before": the same post again and
again.
"""

import argparse
import gc
import resource
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.results import save
from mediasvc.articles.options import ArticleOptions
from mediasvc.articles.targets import sort_references
from mediasvc.config.policies import make_addresses
from mediasvc.config.settings import Settings
from mediasvc.core.addresses.lookup import Addresses
from mediasvc.core.text.references import ArticleType, find_references, splice, write

ASSET = "assets/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.jpg"
ROUNDS = 15
POSTS = 200
MIB = 1024 * 1024
PROSE = (
    "清晨的渡口还没有人，雾从河面升起来，慢慢漫过石阶。老船工把缆绳解开，又系上，说今天的水比昨天高了半尺。"
    "我们在岸边等了一个小时，看对岸的灯一盏一盏熄灭。"
)

ROOT = Path(__file__).resolve().parent.parent
WORDS = "The ferry came late, as it does in autumn, and nobody minded; there was tea, and a dog, and time to look. "  # noqa: E501


def image(number: int) -> str:
    origin = f"http://pics.example/ferry/2023/10/{number:08x}{number * 7919:024x}.jpeg"
    return f'<p><img src="https://cors.relay.workers.dev/?{origin}" data-size="600,400" referrerpolicy="no-referrer"></p>'  # noqa: E501


def post(edition: int) -> bytes:
    """One post as the family writes them: Markdown by its name, front matter, one long line of HTML.

    No address of an edition stands in another.
    """
    cover = f"https://cors.relay.workers.dev/?http://pics.example/ferry/2023/10/cover{edition:06d}.jpeg"
    body = "".join(
        f"<p>{PROSE * 5}</p>{image(edition * 3 + number)}<p>{PROSE * 2}</p>" for number in range(3)
    )
    return (
        f"\n---\ntitle: '渡口的早晨'\ncategories: \n - 随笔\n - 河流\nheadimg: '{cover}'\nauthor: 渡口\n"
        f"comments: false\ndate: Fri, 20 Oct 2023 06:14:45 GMT\nthumbnail: '{cover}'\n---\n\n<div>   \n{body}  \n</div>\n            "  # noqa: E501
    ).encode()


def page(megabytes: float) -> bytes:
    """One page of the same density with links, lists and inline tags, some of it English."""
    pieces = ["<!DOCTYPE html>\n<html><head><meta charset=utf-8><title>Ferries</title></head><body>\n"]
    size = number = 0
    while size < megabytes * 1e6:
        pieces.append(
            f'<h2 id="s{number}">{PROSE[:12]}</h2>\n<p class="lead">{WORDS * 2}<a href="https://news.example/{number}">{PROSE[:20]}</a>, <em>{WORDS}</em></p>\n'  # noqa: E501
            f"<p>{PROSE * 4}</p>\n{image(number)}\n<ul><li>{PROSE}</li><li><strong>{WORDS}</strong></li></ul>\n<p>{WORDS * 3}</p>\n"  # noqa: E501
        )
        size += len(pieces[-1].encode())
        number += 1
    return ("".join(pieces) + "</body></html>\n").encode()


def markdown(megabytes: float) -> bytes:
    """The same in Markdown."""
    pieces = ["# Ferries\n\n"]
    size = number = 0
    while size < megabytes * 1e6:
        pieces.append(
            f"## {PROSE[:12]}\n\n{WORDS * 2}[{PROSE[:20]}](https://news.example/{number}), *{WORDS.strip()}*\n\n{PROSE * 4}\n\n"  # noqa: E501
            f"![ferry {number}](http://pics.example/ferry/{number:08x}.jpeg)\n\n- {PROSE}\n- **{WORDS.strip()}** `code`\n\n{WORDS * 3}\n\n"  # noqa: E501
        )
        size += len(pieces[-1].encode())
        number += 1
    return "".join(pieces).encode()


def rewrite(article: bytes, kind: ArticleType) -> bytes:
    found = find_references(article, kind)
    return splice(article, [write(one, ASSET) for one in found.references if one.same_as is None])


def whole(article: bytes, kind: ArticleType, addresses: Addresses) -> bytes:
    """As rewrite, with every address resolved and checked against the policy."""
    options = ArticleOptions(type=kind)
    found = sort_references(article, options, addresses, prefix="assets/", public_url="")
    return splice(article, [write(one.reference, ASSET) for one in found.asking])


def never_seen_us(editions: range, addresses: Addresses) -> float:
    """CPU microseconds for one post, each of other images; addresses: has not been asked for these editions."""  # noqa: E501
    posts = iter([post(edition) for edition in editions])
    return cpu_s(lambda: whole(next(posts), ArticleType.MARKDOWN, addresses), len(editions)) * 1e6


def cpu_s(work: Callable[[], object], repeats: int) -> float:
    gc.collect()
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / repeats


def hostile() -> list[tuple[str, bytes, ArticleType]]:
    n = 100_000
    full = 8 * MIB
    return [
        ("div, 100,000 deep, an image in each", b"<div>" * n + b"<img src=http://a/b>" * n, ArticleType.HTML),
        ("100,000 attributes", b"<img " + b" ".join(b"a%d=b" % i for i in range(n)) + b" src=http://a/b>", ArticleType.HTML),  # noqa: E501
        ("100,000 images", b'<img src="http://a/b.jpg" data-size="6,4">' * n, ArticleType.HTML),
        ("body tags, 8 MiB", (b"".join(b"<body a%d=b>" % i for i in range(n * 7)))[:full], ArticleType.HTML),
        ("<, 8 MiB", b"<" * full, ArticleType.HTML),
        ("links never closed, 8 MiB", (b"<a href=http://a/b>" * (full // 19)), ArticleType.HTML),
        ("srcset of 8 MiB", b'<img srcset="' + b"http://a/b 1x," * (full // 14) + b'">', ArticleType.HTML),
        ("style sheet of 8 MiB", b"<style>" + b"a{b:url(http://a/b)}" * (full // 20), ArticleType.HTML),
        ("references in an attribute, 8 MiB", b'<img src="http://a/' + b"&amp;" * (full // 5) + b'">', ArticleType.HTML),  # noqa: E501
        ("![[[[, 8 MiB", b"![[[" * (full // 4), ArticleType.MARKDOWN),
        ("![a](u), 8 MiB", b"![a](http://a/b)" * (full // 16), ArticleType.MARKDOWN),
        ("runs of `, 8 MiB", b"".join(b"`" * (i % 3000) + b"a" for i in range(full // 1500)), ArticleType.MARKDOWN),  # noqa: E501
        ("<a , 8 MiB", b"<a " * (full // 3), ArticleType.MARKDOWN),
        ("Big5, 8 MiB", "渡口的早晨，許功蓋。".encode("big5") * (full // 20), ArticleType.MARKDOWN),
        ("[ in front matter, 8 MiB", b"---\ncover: " + b"[" * full + b"\n---\n", ArticleType.MARKDOWN),
        ("CR LF before front matter, 8 MiB", b"\r\n" * (full // 2), ArticleType.MARKDOWN),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hostile", action="store_true")
    wanted = parser.parse_args()

    one, long_page, long_text = post(0), page(1), markdown(1)
    addresses, strangers = make_addresses(Settings()), make_addresses(Settings())
    posts, pages, texts, wholes, unseen, whole_pages = [], [], [], [], [], []
    for turn in range(ROUNDS):
        posts.append(cpu_s(lambda: rewrite(one, ArticleType.MARKDOWN), POSTS) * 1e6)
        wholes.append(cpu_s(lambda: whole(one, ArticleType.MARKDOWN, addresses), POSTS) * 1e6)
        unseen.append(never_seen_us(range(turn * POSTS, (turn + 1) * POSTS), strangers))
        took = cpu_s(lambda: whole(long_page, ArticleType.HTML, addresses), 2)
        whole_pages.append(len(long_page) / took / 1e6)
        pages.append(len(long_page) / cpu_s(lambda: rewrite(long_page, ArticleType.HTML), 2) / 1e6)
        texts.append(len(long_text) / cpu_s(lambda: rewrite(long_text, ArticleType.MARKDOWN), 2) / 1e6)
    references = {
        name: len(find_references(article, kind).references)
        for name, article, kind in (
            ("post", one, ArticleType.MARKDOWN),
            ("page", long_page, ArticleType.HTML),
            ("text", long_text, ArticleType.MARKDOWN),
        )
    }
    print(
        f"post of {len(one):,} bytes, {references['post']} references       {median(posts):8.1f} µs (best {min(posts):.1f})"  # noqa: E501
    )
    print(f"  resolved, addresses seen before         {median(wholes):8.1f} µs (best {min(wholes):.1f})")
    print(f"  resolved, addresses never seen          {median(unseen):8.1f} µs (best {min(unseen):.1f})")
    print(
        f"HTML page of 1 MB, {references['page']} references      {median(pages):8.1f} MB/s (best {max(pages):.1f})"  # noqa: E501
    )
    print(
        f"  the same, addresses resolved and checked  {median(whole_pages):8.1f} MB/s (best {max(whole_pages):.1f})"  # noqa: E501
    )
    print(
        f"Markdown of 1 MB, {references['text']} references       {median(texts):8.1f} MB/s (best {max(texts):.1f})"  # noqa: E501
    )

    slowest = 0.0
    if wanted.hostile:
        for name, article, kind in hostile():
            took = cpu_s(lambda article=article, kind=kind: rewrite(article, kind), 1)  # type: ignore[misc]
            slowest = max(slowest, took)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            print(f"  {took:7.2f} s  {peak:6,} MiB at most so far  {name}")
    rows = [
        {
            "name": "post of 6 kB, addresses never seen",
            "unit": "µs CPU",
            "ours": round(median(unseen), 1),
            "peers": {},
            "target": 150,
        },
        {
            "name": "post of 6 kB, addresses seen before",
            "unit": "µs CPU",
            "ours": round(median(wholes), 1),
            "peers": {},
            "target": None,
        },
        {
            "name": "post of 6 kB, found and spliced only",
            "unit": "µs CPU",
            "ours": round(median(posts), 1),
            "peers": {},
            "target": None,
        },
        {
            "name": "HTML page of 1 MB",
            "unit": "MB/s a core",
            "ours": round(median(pages), 1),
            "peers": {},
            "target": 50,
        },
        {
            "name": "HTML page of 1 MB, resolved",
            "unit": "MB/s a core",
            "ours": round(median(whole_pages), 1),
            "peers": {},
            "target": None,
        },
        {
            "name": "Markdown of 1 MB",
            "unit": "MB/s a core",
            "ours": round(median(texts), 1),
            "peers": {},
            "target": 50,
        },
    ]
    if wanted.hostile:
        rows.append(
            {
                "name": "slowest hostile article of 8 MiB",
                "unit": "s CPU",
                "ours": round(slowest, 2),
                "peers": {},
                "target": None,
            }
        )
    save("rewrite", "python -m bench.rewrite" + (" --hostile" if wanted.hostile else ""), rows)


if __name__ == "__main__":
    main()
