"""POST /v1/rewrite, lazy, on the bundled article: requests for each second of CPU that the service spends.

    python -m bench.rewrite_http            # needs wrk

One server process. CPU is of that process alone, so the figure is that of one whole core, whatever else runs.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import orjson
import psutil

from bench import results, serving

_ARTICLE = serving.ROOT / "mediasvc" / "demo" / "article.md"
_SCRIPT = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = {kind}\nwrk.body = {body}\n'


def lua_string(data: bytes) -> str:
    """A Lua literal of any bytes."""
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


def server_process(pid: int) -> psutil.Process:
    """The one server process below the supervisor."""
    for child in psutil.Process(pid).children():
        if "mediasvc.server.process" in child.cmdline():
            return child
    raise SystemExit("the service has no server process")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=6, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    article = _ARTICLE.read_bytes()
    bodies = {
        "JSON": (b"application/json", orjson.dumps({"content": article.decode(), "type": "markdown"})),
        "raw": (b"text/markdown", article),
    }
    figures: dict[str, list[serving.Run]] = {name: [] for name in bodies}
    with (
        tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name,
        serving.mediasvc("", WORKERS="1", SIGNING_KEYS="00" * 32) as (address, pid),
    ):
        process = server_process(pid)
        for number in range(options.rounds):
            for form, (kind, body) in bodies.items():
                script = Path(name) / f"{form}.lua"
                script.write_text(
                    _SCRIPT.format(kind=lua_string(kind), body=lua_string(body)), encoding="ascii"
                )

                one = serving.wrk(
                    f"{address}/v1/rewrite",
                    process.pid,
                    seconds=options.seconds,
                    connections=16,
                    script=script,
                )
                figures[form].append(one)
                print(
                    f"round {number + 1}  {form:<5} {one.per_cpu_s:6.0f} a CPU second  {one.per_s:6.0f} a second",  # noqa: E501
                    flush=True,
                )
    rows = []
    for form, some in figures.items():
        per_cpu_s = statistics.median(one.per_cpu_s for one in some)
        per_s = statistics.median(one.per_s for one in some)
        p99_ms = statistics.median(one.p99_ms for one in some)
        print(
            f"{form}: {len(article)} bytes, {per_cpu_s:.0f} requests a CPU second (at least 2000), "
            f"{per_s:.0f} a second beside the client, p99 {p99_ms:.1f} ms"
        )
        rows.append(
            {
                "name": f"rewrite lazily over HTTP, {form}, article of {len(article) / 1000:.1f} kB",
                "unit": "requests a CPU second",
                "ours": round(per_cpu_s),
                "peers": {},
                "target": 2000,
            }
        )
    if not options.no_save:
        print(results.save("rewrite_http", "python -m bench.rewrite_http", rows))


if __name__ == "__main__":
    main()
