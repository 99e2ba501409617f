"""A batch of 100,000 articles beside one of 1,000: what it takes of memory and time, cold and known.

    python -m bench.growth # the rows that are kept: a quarter of an hour, 6 GB in the temporary folder
    python -m bench.growth 1000 20000 --no-save

The posts are those of bench/batch.py; their images are of the same size in pixels, but of 14 kB, so that
140,000 of them find room twice, as originals and as assets. The first count is what the others are compared
with.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.batch import Case, Run, origin, place_of
from bench.results import save

COUNTS = (1000, 100_000)
QUALITY = 18
MOST_MEMORY = 1.3


def measure(case: Case) -> dict[str, Run]:
    """One run with nothing known, and the same command again."""
    with (
        tempfile.TemporaryDirectory(prefix="mediasvc-bench-") as folder,
        origin(quality=QUALITY) as host,
    ):
        place = place_of(case, host, Path(folder))
        return {kind: place.ours("a") for kind in ("cold", "known")}


def rows_of(measured: Sequence[tuple[Case, dict[str, Run]]]) -> Iterator[dict[str, object]]:
    """What is kept."""
    (_, few), *_ = measured
    for case, runs in measured:
        for kind, run in runs.items():
            yield _row(f"{case.name}, {kind}", "articles/s", case.count / run.wall_s)
            yield _row(f"{case.name}, peak memory {kind}", "MiB", run.peak_mib)
    for case, runs in measured[1:]:
        for kind, run in runs.items():
            grown = run.peak_mib / few[kind].peak_mib
            yield _row(
                f"{case.name} to {measured[0][0].count:,}, peak memory {kind}", "x", grown, MOST_MEMORY
            )


def _row(name: str, unit: str, ours: float, target: float | None = None) -> dict[str, object]:
    return {"name": name, "unit": unit, "ours": round(ours, 3), "peers": {}, "target": target}


def main() -> None:
    """Prints the rows and keeps them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, help="articles; default: 1000 and 100000")
    parser.add_argument("--no-save", action="store_true", help="leave bench/results alone")
    options = parser.parse_args()
    cases = [Case(count) for count in options.counts or COUNTS]
    rows = list(rows_of([(case, measure(case)) for case in cases]))
    for row in rows:
        target = "" if row["target"] is None else f" (at most {row['target']})"
        print(f"{row['name']}: {row['ours']:,} {row['unit']}{target}")
    if not options.no_save and not options.counts:
        save("growth", "python -m bench.growth", rows)


if __name__ == "__main__":
    main()
