"""Folders of articles, cold and known, beside wget on the same pages: `python bench/batch.py [count ...]`."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.batch_origin import article
from bench.results import save

COUNTS = (1000, 20_000)


@dataclass(frozen=True)
class Run:
    """One command. wall_s, cpu_s: of it and all that it started. peak_mib: of its largest process."""

    wall_s: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], env: dict[str, str], cwd: Path, log: Path) -> Run:
    """Runs to the end. RuntimeError, with what it said, where it fails (wget's 8 is a page that was not changed)."""
    with log.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=env, cwd=cwd, stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[:4]} ended with {process.returncode}: {log.read_text()[-2000:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def measure(count: int, host: str, folder: Path) -> dict[str, Run]:
    """Ours and wget's, cold and known, on articles of one count."""
    posts = folder / "posts"
    for number in range(count):
        path = posts / f"{number // 500:03}" / f"{number}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(article(number, host))
    (folder / "urls").write_text("".join(f"http://{host}/p/{number}.html\n" for number in range(count)))
    env = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASVC_")}
    port = host.rpartition(":")[2]
    env |= {
        "MEDIASVC_DATA_DIR": str(folder / "data"),
        "MEDIASVC_ALLOWED_PORTS": port,
        "MEDIASVC_ALLOWED_CIDRS": "127.0.0.0/8",
        "MEDIASVC_FETCH_PER_HOST": "16",
        "MEDIASVC_CACHE_MAX_BYTES": "200GiB",
    }
    ours = [sys.executable, "-m", "mediasvc", "rewrite", str(posts)]
    wget = ["wget", "-q", "-N", "--page-requisites", "--convert-links", "-i", str(folder / "urls")]
    runs: dict[str, Run] = {}
    (folder / "wget").mkdir()
    runs["wget cold"] = run([*wget, "-P", str(folder / "wget")], env, folder, folder / "log")
    runs["ours cold"] = run([*ours, "--out", str(folder / "a")], env, folder, folder / "log")
    runs["wget known"] = run([*wget, "-P", str(folder / "wget")], env, folder, folder / "log")
    shutil.rmtree(folder / "wget")
    runs["ours known"] = run([*ours, "--out", str(folder / "b")], env, folder, folder / "log")
    runs["ours done"] = run([*ours, "--out", str(folder / "b")], env, folder, folder / "log")
    written = sum(1 for _ in (folder / "b").rglob("*.html"))
    if written != count:
        raise RuntimeError(f"{written} of {count} articles were written")
    return runs


def main() -> None:
    """Prints the table and keeps the figures."""
    if shutil.which("wget") is None:
        sys.exit("wget is missing: apt-get install wget")
    counts = [int(text) for text in sys.argv[1:]] or list(COUNTS)
    origin = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("batch_origin.py"))], stdout=subprocess.PIPE, text=True
    )
    rows: list[dict[str, object]] = []
    costs: dict[str, list[float]] = {}
    try:
        assert origin.stdout is not None
        host = origin.stdout.readline().strip()
        for count in counts:
            with tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name:
                runs = measure(count, host, Path(name))
            for what, one in runs.items():
                costs.setdefault(what, []).append(one.cpu_s / count)
                print(
                    f"{count:>6} articles  {what:<11} {count / one.wall_s:8.0f} a second"
                    f"  {1000 * one.cpu_s / count:6.2f} ms CPU each  peak {one.peak_mib:5.0f} MiB"
                )
            for kind, target in (("cold", 1), ("known", 5)):
                mine, theirs = runs[f"ours {kind}"], runs[f"wget {kind}"]
                rows.append(
                    {
                        "name": f"{count} articles, {kind}",
                        "unit": "articles/s",
                        "ours": round(count / mine.wall_s, 1),
                        "peers": {"wget": round(count / theirs.wall_s, 1)},
                        "target": f"at least {target} x wget",
                    }
                )
            rows.append(_row(f"{count} articles, run again", "articles/s", count / runs["ours done"].wall_s))
            rows.append(_row(f"{count} articles, peak memory cold", "MiB", runs["ours cold"].peak_mib))
            for kind in ("cold", "known"):
                cost = 1000 * runs[f"ours {kind}"].cpu_s / count
                rows.append(_row(f"{count} articles, CPU an article {kind}", "ms", cost))
    finally:
        origin.kill()
        origin.wait()
        if origin.stdout is not None:
            origin.stdout.close()
    for what in ("ours cold", "ours known"):
        first, last = costs[what][0], costs[what][-1]
        print(f"{what}: CPU an article at {counts[-1]} is {last / first:.2f} x that at {counts[0]}")
    if counts == list(COUNTS):
        save("batch", "python bench/batch.py", rows)


def _row(name: str, unit: str, ours: float) -> dict[str, object]:
    return {"name": name, "unit": unit, "ours": round(ours, 2), "peers": {}, "target": None}


if __name__ == "__main__":
    main()
