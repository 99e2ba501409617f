"""The same image again and again: our service, nginx with the same file, and thumbor from its result storage.

    python -m bench.hot            # needs wrk and nginx; installs thumbor into a temporary folder

All three run at the same time and are loaded in turn, several rounds each, the client on the same cores.
"""

import argparse
import io
import random
import statistics
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image

from bench import peers, results, serving
from bench.serving import Run
from tests.support.origin import Origin, Reply
from tests.support.service import image_path

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


def median(runs: list[Run]) -> Run:
    """Each figure's median."""
    return Run(
        statistics.median(run.per_s for run in runs),
        statistics.median(run.p99_ms for run in runs),
        sum(run.requests for run in runs),
        statistics.median(run.per_cpu_s for run in runs),
    )


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
        ours, ours_pid = stack.enter_context(serving.mediasvc(origin.connect_to))
        thumbnail_url = ours + image_path(f"http://news.example{_PICTURE}", "600x400,jpeg,q80")
        original_url = ours + image_path("http://news.example/large.jpg")
        thumbnail = get(thumbnail_url)
        if get(original_url) != original:
            raise SystemExit("the original came back changed")
        static, static_pid = stack.enter_context(
            serving.nginx({"thumbnail.jpg": thumbnail, "original.jpg": original}, 2)
        )
        targets = {
            "ours, thumbnail": (thumbnail_url, ours_pid),
            "nginx, thumbnail": (f"{static}/thumbnail.jpg", static_pid),
            "ours, original": (original_url, ours_pid),
            "nginx, original": (f"{static}/original.jpg", static_pid),
        }
        if not options.without_thumbor:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mediasvc-bench-")))
            address, pid, service = stack.enter_context(_thumbor(folder))
            targets[_THUMBOR] = (address + service.path(origin.url(_PICTURE)), pid)
        for url, _ in targets.values():
            warm(url)
        runs: dict[str, list[Run]] = {name: [] for name in targets}
        for number in range(options.rounds):
            for name, (url, pid) in targets.items():
                run = serving.wrk(url, pid, seconds=options.seconds, connections=options.connections)
                runs[name].append(run)
                print(f"round {number + 1}  {_line(name, run)}", flush=True)
    medians = {name: median(some) for name, some in runs.items()}
    _tell(medians, len(thumbnail), len(original))
    if not options.no_save:
        _save(medians, len(thumbnail), len(original), "python -m bench.hot")


@contextmanager
def _thumbor(folder: Path) -> Iterator[tuple[str, int, peers.Service]]:
    """(address, process id, what it is) of thumbor, which keeps its results in files."""
    service = peers.thumbor(folder)
    with (service.folder / "thumbor.conf").open("a", encoding="utf-8") as settings:
        settings.write(
            "RESULT_STORAGE = 'thumbor.result_storages.file_storage'\nRESULT_STORAGE_STORES_UNSAFE = True\n"
            f"RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = {str(service.folder / 'results')!r}\n"
        )
    port = serving.free_port()
    with serving.running(service.command(port), service.environment) as process:
        serving.wait_for(f"http://127.0.0.1:{port}{service.ready}")
        yield f"http://127.0.0.1:{port}", process.pid, service


def _line(name: str, run: Run) -> str:
    return (
        f"{name:<20} {run.per_s:>8.0f} a second  {run.per_cpu_s:>8.0f} a CPU second  p99 {run.p99_ms:6.2f} ms"
    )


def _tell(medians: dict[str, Run], thumbnail_bytes: int, original_bytes: int) -> None:
    print(f"\nthumbnail of {thumbnail_bytes} bytes, original of {original_bytes} bytes; medians")
    for name, run in medians.items():
        print(_line(name, run))
    ours, static = medians["ours, thumbnail"], medians["nginx, thumbnail"]
    print(f"thumbnail: {ours.per_s / static.per_s:.2f} of nginx (at least 0.4)")
    if _THUMBOR in medians:
        print(f"thumbnail: {ours.per_s / medians[_THUMBOR].per_s:.1f} times thumbor (at least 8)")
    print(f"thumbnail: p99 {ours.p99_ms:.2f} ms (under 15)")
    originals = medians["ours, original"].per_s / medians["nginx, original"].per_s
    print(f"original: {originals:.2f} of nginx (at least 0.5)")


def _save(medians: dict[str, Run], thumbnail_bytes: int, original_bytes: int, command: str) -> None:
    def row(
        name: str, unit: str, figure: Callable[[Run], float], kind: str, target: object
    ) -> dict[str, object]:
        others = {"nginx static": f"nginx, {kind}", "thumbor": f"thumbor, {kind}"}
        found = {peer: round(figure(medians[key]), 2) for peer, key in others.items() if key in medians}
        ours = round(figure(medians[f"ours, {kind}"]), 2)
        return {"name": name, "unit": unit, "ours": ours, "peers": found, "target": target}

    small, large = (
        f"thumbnail of {thumbnail_bytes / 1000:.0f} kB",
        f"original of {original_bytes / 1000:.0f} kB",
    )
    least_small = "at least 0.4 × nginx and 8 × thumbor"
    rows = [
        row(f"{small}, 64 connections", "requests/s", lambda run: run.per_s, "thumbnail", least_small),
        row(
            f"{large}, 64 connections",
            "requests/s",
            lambda run: run.per_s,
            "original",
            "at least 0.5 × nginx",
        ),
        row(small, "requests/CPU s", lambda run: run.per_cpu_s, "thumbnail", None),
        row(large, "requests/CPU s", lambda run: run.per_cpu_s, "original", None),
        row(f"{small}, p99", "ms", lambda run: run.p99_ms, "thumbnail", 15),
        row(f"{large}, p99", "ms", lambda run: run.p99_ms, "original", None),
    ]
    print(results.save("hot", command, rows))


_THUMBOR = "thumbor, thumbnail"

if __name__ == "__main__":
    main()
