"""The same image again and again: our service, nginx with the same file, and thumbor from its result storage.

    python bench/hot.py            # needs wrk and nginx; installs thumbor into a temporary folder

All three run at the same time and are loaded in turn, several rounds each, the client on the same cores.
"""

import argparse
import io
import random
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from PIL import Image

from bench import peers, results, serving
from bench.serving import Run
from tests.origin import Origin, Reply
from tests.service import image_path

_LARGE_BYTES = 256 * 1024
_PICTURE = "/pictures/hot.jpg"


def picture_of(least_bytes: int) -> bytes:
    """A JPEG of about so many bytes."""
    grain = Image.frombytes("RGB", (300, 200), random.Random(1).randbytes(180_000))
    large = grain.resize((1500, 1000), Image.Resampling.BICUBIC)
    for quality in range(30, 100):
        out = io.BytesIO()
        large.save(out, "JPEG", quality=quality)
        if out.tell() >= least_bytes:
            return out.getvalue()
    raise SystemExit("no quality gives so many bytes")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as reply:
        data: bytes = reply.read()
    return data


def warm(url: str) -> None:
    """Every process behind a port comes to hold the image; connections are shared out by chance."""
    for _ in range(64):
        get(url)


def median(runs: list[Run]) -> tuple[float, float]:
    """(requests a second, 99th percentile in ms)."""
    return statistics.median(run.per_s for run in runs), statistics.median(run.p99_ms for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=8, help="of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--without-thumbor", action="store_true", help="needs no package registry")
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    original = picture_of(_LARGE_BYTES)
    with ExitStack() as stack:
        origin = stack.enter_context(Origin())
        origin.on("/large.jpg", Reply(body=original, headers={"cache-control": "max-age=86400"}))
        ours, _ = stack.enter_context(serving.mediasvc(origin.connect_to))
        thumbnail_url = ours + image_path(f"http://news.example{_PICTURE}", "600x400,jpeg,q80")
        original_url = ours + image_path("http://news.example/large.jpg")
        thumbnail = get(thumbnail_url)
        if get(original_url) != original:
            raise SystemExit("the original came back changed")
        static = stack.enter_context(serving.nginx({"thumbnail.jpg": thumbnail, "original.jpg": original}, 2))
        targets = {
            "ours, thumbnail": thumbnail_url,
            "nginx, thumbnail": f"{static}/thumbnail.jpg",
            "ours, original": original_url,
            "nginx, original": f"{static}/original.jpg",
        }
        if not options.without_thumbor:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mediasvc-bench-")))
            address, service = stack.enter_context(_thumbor(folder))
            targets[_THUMBOR] = address + service.path(origin.url(_PICTURE))
        for url in targets.values():
            warm(url)
        runs: dict[str, list[Run]] = {name: [] for name in targets}
        for number in range(options.rounds):
            for name, url in targets.items():
                run = serving.wrk(url, seconds=options.seconds, connections=options.connections)
                runs[name].append(run)
                print(
                    f"round {number + 1}  {name:<20} {run.per_s:>9.0f} a second  p99 {run.p99_ms:6.2f} ms",
                    flush=True,
                )
    medians = {name: median(some) for name, some in runs.items()}
    _tell(medians, len(thumbnail), len(original))
    if not options.no_save:
        _save(medians, len(thumbnail), len(original), "python bench/hot.py")


@contextmanager
def _thumbor(folder: Path) -> Iterator[tuple[str, peers.Service]]:
    """(address, what it is) of thumbor, which keeps its results in files."""
    service = peers.thumbor(folder)
    with (service.folder / "thumbor.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            "RESULT_STORAGE = 'thumbor.result_storages.file_storage'\nRESULT_STORAGE_STORES_UNSAFE = True\n"
            f"RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = {str(service.folder / 'results')!r}\n"
        )
    port = serving.free_port()
    with serving.running(service.command(port), service.environment):
        serving.wait_for(f"http://127.0.0.1:{port}{service.ready}")
        yield f"http://127.0.0.1:{port}", service


def _tell(medians: dict[str, tuple[float, float]], thumbnail_bytes: int, original_bytes: int) -> None:
    print(f"\nthumbnail of {thumbnail_bytes} bytes, original of {original_bytes} bytes; medians")
    for name, (per_s, p99_ms) in medians.items():
        print(f"{name:<20} {per_s:>9.0f} a second  p99 {p99_ms:6.2f} ms")
    ours, static = medians["ours, thumbnail"][0], medians["nginx, thumbnail"][0]
    print(f"thumbnail: {ours / static:.2f} of nginx (at least 0.4)")
    if _THUMBOR in medians:
        print(f"thumbnail: {ours / medians[_THUMBOR][0]:.1f} times thumbor (at least 8)")
    print(f"thumbnail: p99 {medians['ours, thumbnail'][1]:.2f} ms (under 15)")
    print(
        f"original: {medians['ours, original'][0] / medians['nginx, original'][0]:.2f} of nginx (at least 0.5)"
    )


def _save(
    medians: dict[str, tuple[float, float]], thumbnail_bytes: int, original_bytes: int, command: str
) -> None:
    def row(name: str, unit: str, figure: int, kind: str, target: str) -> dict[str, object]:
        others = {"nginx static": f"nginx, {kind}", "thumbor": f"thumbor, {kind}"}
        found = {peer: round(medians[key][figure], 2) for peer, key in others.items() if key in medians}
        ours = round(medians[f"ours, {kind}"][figure], 2)
        return {"name": name, "unit": unit, "ours": ours, "peers": found, "target": target}

    small, large = (
        f"thumbnail of {thumbnail_bytes / 1000:.0f} kB",
        f"original of {original_bytes / 1000:.0f} kB",
    )
    rows = [
        row(f"{small}, 64 connections", "requests/s", 0, "thumbnail", "at least 0.4 × nginx and 8 × thumbor"),
        row(f"{large}, 64 connections", "requests/s", 0, "original", "at least 0.5 × nginx"),
        row(f"{small}, p99", "ms", 1, "thumbnail", "under 15 ms"),
        row(f"{large}, p99", "ms", 1, "original", "none"),
    ]
    print(results.save("hot", command, rows))


_THUMBOR = "thumbor, thumbnail"

if __name__ == "__main__":
    main()
