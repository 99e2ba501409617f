"""How fast addresses are resolved, and that 100 kB of malice in one takes no longer than its length."""

import html
import time
from pathlib import Path
from statistics import median

from bench.results import save
from mediasvc.core.addresses.urls import Resolver, parse_rules
from mediasvc.errors import MediaError

ROOT = Path(__file__).resolve().parent.parent
RULES = parse_rules(
    (ROOT / "mediasvc/core/addresses/wrappers/wrappers.toml").read_text(encoding="utf-8"), "wrappers.toml"
)
RESOLVER = Resolver(RULES)
HOSTILE_LENGTH = 100_000
ROUNDS = 15

STARTS = (
    "http://ex.com/",
    "http://ex.com/?",
    "http://",
    "https://cors.zfour.workers.dev/?",
    "https://a.workers.dev/",
    "https://wsrv.nl/?url=",
    "https://cors-anywhere.herokuapp.com/",
    "https://i0.wp.com/",
    "https://i0.wp.com/ex.com/a?q=",
    "https://proxy.example.com/",
    "https://proxy.example.com/?url=",
    "https://s.yimg.com/api/res/1.2/",
    "https://cdn.statically.io/img/",
    "https://res.cloudinary.com/x/image/fetch/",
    "https://gimg2.baidu.com/image_search/src=",
    "https://images-ext-1.discordapp.net/external/a/",
    "https://ex.com/unsafe/",
    "https://ex.com/unsafe/http",
    "https://ex.com/insecure/plain/http:",
    "https://ex.com/insecure/aHR0c",
    "https://ex.com/x/http",
    "https://ex.com/_next/image?url=",
    "https://ex.com/cdn-cgi/image/w=1/",
    "https://ex.com/resizer/v2/",
    "https://ex.com/resize?w=1&url=http",
    "https://ex.com/0f6def1cb147b0e84f39cbddc5ea10c80253a6f3/68747470",
    "https://nitter.ex.com/pic/",
    "https://image.thum.io/",
)
TOKENS = (
    *(
        "/",
        "/a",
        "a",
        "1",
        "1x",
        "1x1/",
        ".",
        "../",
        "/../",
        "\\",
        "@",
        ":",
        "?",
        "&",
        "=",
        "%",
        "%41",
        "%2541",
        "%252541",
    ),
    *(
        "http://",
        "/http:/",
        "/https://",
        "http%3A%2F%2F",
        "proxy",
        "proxy.",
        "/proxy",
        "cors-",
        "/x/http:",
        ".jpg",
    ),
    *(
        "&url=",
        "&url=http://",
        "?url=http://",
        "api/res/1.2/",
        "/image/fetch/",
        "/unsafe/",
        "filters:a(b)",
        "filters:a(",
    ),
    *(
        "a(b)/",
        "a:b/",
        "plain/",
        "b64:",
        "aHR0cDovL",
        "/aHR0cDovL",
        "68747470",
        "x,",
        "s",
        "é",
        "例え.",
        "[",
        "{",
        "^",
        " ",
        "\t",
    ),
    *(
        "/_next/image",
        "https://cors.zfour.workers.dev/?",
        "/resizer/v2/",
        "/_image/",
        "image_proxy",
        "image_proxy/",
    ),
)


def vectors() -> tuple[list[str], list[str]]:
    """(every wrapped address, every origin) of the project's own vectors."""
    lines = (ROOT / "tests/samples/wrappers.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    wrapped = [html.unescape(row[1]) if row[3] == "html" else row[1] for row in rows]
    return wrapped, [row[2] for row in rows if row[2].startswith("http")]


def cpu_us(addresses: list[str], repeats: int) -> float:
    """CPU microseconds a resolution, refused ones included."""
    started = time.process_time_ns()
    for _ in range(repeats):
        for address in addresses:
            try:
                RESOLVER.resolve(address)
            except MediaError:
                pass
    return (time.process_time_ns() - started) / 1000 / repeats / len(addresses)


def main() -> None:
    wrapped, origins = vectors()
    mix, plain = [], []
    for _ in range(ROUNDS):
        mix.append(cpu_us(wrapped, 50))
        plain.append(cpu_us(origins, 50))
    hostile = sorted(
        (min(cpu_us([address], 1) for _ in range(2)) / 1000, start, token)
        for start in STARTS
        for token in TOKENS
        for address in [start + token * ((HOSTILE_LENGTH - len(start)) // len(token.encode()))]
    )
    slowest = hostile[-1]
    print(
        f"vectors, wrapped      {1e6 / median(mix):>9,.0f} resolutions a second a core ({median(mix):.1f} µs)"
    )
    print(
        f"vectors, plain URLs   {1e6 / median(plain):>9,.0f} resolutions a second a core ({median(plain):.1f} µs)"  # noqa: E501
    )
    print(
        f"100 kB, {len(hostile)} kinds: median {hostile[len(hostile) // 2][0]:.2f} ms, slowest {slowest[0]:.2f} ms"  # noqa: E501
    )
    for milliseconds, start, token in hostile[-5:]:
        print(f"  {milliseconds:6.2f} ms  {start}{token}{token}…")
    save(
        "resolve",
        "python -m bench.resolve",
        [
            row("wrapped addresses", "resolutions/s a core", round(1e6 / median(mix)), 50_000),
            row("plain URLs", "resolutions/s a core", round(1e6 / median(plain)), 50_000),
            row("100 kB hostile address, slowest", "ms CPU", round(slowest[0], 2), 10),
        ],
    )


def row(name: str, unit: str, ours: float, target: float) -> dict[str, object]:
    return {"name": name, "unit": unit, "ours": ours, "peers": {}, "target": target}


if __name__ == "__main__":
    main()
