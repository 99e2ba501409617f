"""The same batch in process and through the queue with 1 and 2 workers, over Redis and S3: `python bench/queued.py`."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.batch import run
from bench.batch_origin import article
from bench.results import save
from tests.programs import environment
from tests.servers import SeaweedS3, Valkey, wait_for

COUNT = 600
ROUNDS = 3


def main() -> None:
    """Prints the table and keeps the figures: medians of the rounds, each with images that nobody has seen."""
    origin = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("batch_origin.py"))], stdout=subprocess.PIPE, text=True
    )
    walls: dict[str, list[float]] = {"in process": [], "1 worker": [], "2 workers": []}
    try:
        assert origin.stdout is not None
        host = origin.stdout.readline().strip()
        with SeaweedS3() as s3, tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as name:
            first = 0
            for round_number in range(ROUNDS):
                for what in walls:
                    folder = Path(name) / f"{round_number} {what}"
                    walls[what].append(_once(what, folder, host, s3, first))
                    first += COUNT
    finally:
        origin.kill()
        origin.wait()
        if origin.stdout is not None:
            origin.stdout.close()
    alone = sorted(walls["in process"])[ROUNDS // 2]
    rows = []
    for what, times in walls.items():
        median = sorted(times)[ROUNDS // 2]
        print(
            f"{what:<11} {COUNT / median:6.1f} articles a second, {median / alone:.2f} x the time in process"
        )
        rows.append(
            {
                "name": what,
                "unit": "articles/s",
                "ours": round(COUNT / median, 1),
                "peers": {},
                "target": "at most 1.15 x the time in process" if what == "1 worker" else None,
            }
        )
    save("queued", "python bench/queued.py", rows)


def _once(what: str, folder: Path, host: str, s3: SeaweedS3, first: int) -> float:
    """Seconds of one run over articles whose images are new, with a store, an index and a queue that are empty."""
    posts = folder / "posts"
    posts.mkdir(parents=True)
    for number in range(first, first + COUNT):
        (posts / f"{number}.html").write_text(article(number, host))
    with Valkey() as valkey:
        env = environment(
            folder / "data",
            ALLOWED_PORTS=host.rpartition(":")[2],
            ALLOWED_CIDRS="127.0.0.0/8",
            FETCH_PER_HOST="16",
            STORE_URL=s3.url(f"bench-{first}"),
            INDEX_URL=valkey.url,
        )
        env |= s3.environment
        workers = []
        if what != "in process":
            env["MEDIASVC_QUEUE_URL"] = valkey.url
            for number in range(int(what[0])):
                log = (folder / f"worker{number}").open("wb")
                own = env | {"MEDIASVC_DATA_DIR": str(folder / f"data{number}")}
                command = [sys.executable, "-m", "mediasvc", "worker"]
                workers.append((subprocess.Popen(command, env=own, stderr=log), Path(log.name), log))
        try:
            for _, path, _ in workers:
                wait_for(lambda path=path: "worker.ready" in path.read_text(), 60, "a worker did not start")
            began = time.perf_counter()
            command = [sys.executable, "-m", "mediasvc", "rewrite", str(posts), "--out", str(folder / "out")]
            run(command, env, folder, folder / "log")
            return time.perf_counter() - began
        finally:
            for process, _, log in workers:
                process.terminate()
                process.wait()
                log.close()


if __name__ == "__main__":
    main()
