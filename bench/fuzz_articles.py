"""Rewrites mutated articles, seeded, and ends with an error at the first exception or broken law.

    python -m bench.fuzz_articles [--count 20000] [--seed 1]

tests/support/article_mutations.py has the mutations and the laws; 400 articles run with every test.
"""

import argparse
import time

from tests.support.article_mutations import run

SLOWEST_S = 2.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()

    started, cpu = time.monotonic(), time.process_time()
    references, slowest = run(wanted.count, wanted.seed)
    print(
        f"{wanted.count} articles of seed {wanted.seed}, {references} references rewritten and restored, "
        f"0 exceptions, slowest {slowest * 1000:.0f} ms; {time.process_time() - cpu:.1f} s CPU, "
        f"{time.monotonic() - started:.1f} s"
    )
    if slowest > SLOWEST_S:
        raise SystemExit(f"slower than {SLOWEST_S} s")


if __name__ == "__main__":
    main()
