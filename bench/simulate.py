"""How many machines: Zipf-like traffic through every cache, priced with measured costs.

.venv/bin/python -m bench.simulate [--exponent 0.8] [--views 2] [--no-cdn] [--check | --verify]

Reads the costs that bench/costs.py measured, and writes what follows into docs/scaling.md. Assumptions, each
a flag or a constant of bench/traffic.py:
- requests are independent, the image of rank r is asked for in proportion to r ** -exponent (published traces
  of web
  proxies lie between 0.64 and 0.83), at all sizes of the collection `views` requests an image a day, three times that
  at the peak;
- every cache is LRU. Its hit ratio is Che's approximation: an object is in it if it was asked for within the
  last T
  seconds, T being the time in which as many bytes pass as the cache holds; what misses one cache asks the next.
  `--check` holds that against a real LRU fed with drawn requests;
- the front asks a replica again about what it has kept for a minute (a 304), as deploy/nginx.conf says;
- 0.3 % of the collection is new each day; what is kept is asked about again at its origin once a day if it is
  wanted;
- a machine has 8 cores of the kind that was measured, used to 60 % at the peak; there are never fewer than
  two. Those of
  the object store are not counted: the price of its GB holds them.
"""  # noqa: E501

import argparse
from pathlib import Path
from typing import Any

from bench import results
from bench.traffic import (
    DAY_S,
    FRONT_BYTES,
    MEMORY_BYTES,
    REDIS_BYTES,
    SIZES,
    USED,
    Costs,
    Plan,
    check,
    load_costs,
    plan,
)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"


def main() -> None:
    """Print the table, keep the figures."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--exponent", type=float, default=0.8)
    options.add_argument("--views", type=float, default=2.0, help="requests an image a day")
    options.add_argument("--no-cdn", action="store_true")
    options.add_argument("--check", action="store_true", help="hold the approximation against a real LRU")
    options.add_argument("--verify", action="store_true", help="fail where docs/scaling.md is not up to date")
    chosen = options.parse_args()
    if chosen.check:
        for share, real, reckoned in check(chosen.exponent):
            print(f"cache of {share:.1%} of the images: LRU {real:.4f}, reckoned {reckoned:.4f}")
        return
    costs = load_costs()
    plans = {
        has_cdn: [
            plan(size, costs, exponent=chosen.exponent, views=chosen.views, has_cdn=has_cdn) for size in SIZES
        ]
        for has_cdn in ((False,) if chosen.no_cdn else (False, True))
    }
    for has_cdn, made in plans.items():
        print(
            f"\n{'with' if has_cdn else 'without'} a CDN, exponent {chosen.exponent}, {chosen.views} views a day"  # noqa: E501
        )
        for title, cells in lines(made):
            print(f"{title:34}" + "".join(f"{cell:>16}" for cell in cells))
    if chosen.verify:
        if PAGE.read_text(encoding="utf-8") != filled_page(plans, costs):
            raise SystemExit("docs/scaling.md is not up to date; run: python -m bench.simulate")
    elif chosen.exponent == 0.8 and chosen.views == 2.0 and not chosen.no_cdn:
        print("\nkept in", results.save("simulate", "python -m bench.simulate", rows(plans)))
        PAGE.write_text(filled_page(plans, costs), encoding="utf-8")


def lines(made: list[Plan]) -> list[tuple[str, list[str]]]:
    """The table: a title, and a cell for each size of the collection."""
    return [
        ("images", [f"{p.images:,}" for p in made]),
        ("requests a second at the peak", [f"{p.requests_a_second:,.0f}" for p in made]),
        ("answered by the CDN", [f"{p.cdn_share:.1%}" for p in made]),
        ("answered by the front", [f"{p.front_share:.1%}" for p in made]),
        ("of those, after a 304", [f"{p.asked_again_share:.1%}" for p in made]),
        ("answered from memory", [f"{p.memory_share:.1%}" for p in made]),
        ("answered from a replica's disk", [f"{p.disk_share:.1%}" for p in made]),
        ("answered from the object store", [f"{p.store_share:.1%}" for p in made]),
        ("new images a second", [f"{p.cold_a_second:,.1f}" for p in made]),
        ("asked again at origins, a second", [f"{p.revalidations_a_second:,.1f}" for p in made]),
        ("cores busy in replicas", [f"{p.replica_cores:,.2f}" for p in made]),
        ("cores busy in fronts", [f"{p.front_cores:,.2f}" for p in made]),
        ("cores busy in the object store", [f"{p.store_cores:,.2f}" for p in made]),
        ("replicas of 8 cores", [f"{p.replicas:,}" for p in made]),
        ("fronts of 8 cores", [f"{p.fronts:,}" for p in made]),
        ("Redis shards of 24 GiB", [f"{p.redis_shards:,}" for p in made]),
        ("object store, TB", [f"{p.store_bytes / 1e12:,.2f}" for p in made]),
        ("out of the fronts, Gbit/s", [f"{p.out_bytes_a_second * 8 / 1e9:,.2f}" for p in made]),
        ("cost a month, units", [f"{p.month:,.0f}" for p in made]),
    ]


def filled_page(plans: dict[bool, list[Plan]], costs: Costs) -> str:
    """docs/scaling.md with the arithmetic and the table of these costs in their places."""
    text = PAGE.read_text(encoding="utf-8")
    for name, lines_of_it in (("arithmetic", arithmetic(costs)), ("plans", table(plans))):
        begin, end = f"<!-- {name}: written by bench/simulate.py -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + "\n".join(lines_of_it) + "\n" + end + after
    return text


def arithmetic(costs: Costs) -> list[str]:
    """What the measured costs come to, in sentences."""
    image = costs.thumbnail_bytes + costs.original_bytes
    day = DAY_S * USED

    def a_core(seconds: float) -> str:
        return f"{USED / seconds:,.0f} a second for each core at {USED:.0%}"

    return [
        f"- A **new image** costs {costs.cold_s * 1000:.1f} ms in a replica: {a_core(costs.cold_s)}, "
        f"{day / costs.cold_s / 1e6:.1f} M a day. The object store spends {costs.object_store_write_s * 1000:.1f} ms on it.",  # noqa: E501
        f"- A thumbnail **from a replica's memory** costs {costs.memory_hit_s * 1000:.3f} ms: {a_core(costs.memory_hit_s)}.",  # noqa: E501
        f"- **From its disk** {costs.disk_hit_s * 1000:.2f} ms: {a_core(costs.disk_hit_s)}; "
        f"**from the object store** {costs.store_hit_s * 1000:.2f} ms and {costs.object_store_s * 1000:.2f} ms there.",  # noqa: E501
        f"- **Not modified** (304, not in memory) costs {costs.not_modified_s * 1000:.2f} ms; asking an **origin again** "  # noqa: E501
        f"{costs.revalidation_s * 1000:.2f} ms.",
        f"- The **front** answers by itself in {costs.front_hit_s * 1000:.3f} ms of CPU: {a_core(costs.front_hit_s)}.",  # noqa: E501
        f"- **Valkey** spends {costs.redis_s * 1000:.3f} ms on a request that is not in memory, and keeps "
        f"{costs.redis_bytes:,.0f} bytes an image: {REDIS_BYTES / costs.redis_bytes / 1e6:,.0f} M images in 24 GiB.",  # noqa: E501
        f"- An image is {costs.original_bytes / 1000:.0f} kB and its thumbnail {costs.thumbnail_bytes / 1000:.0f} kB: "  # noqa: E501
        f"{image * 1e6 / 1e12:.2f} TB a million. 10 GiB of front cache hold "
        f"{FRONT_BYTES / costs.thumbnail_bytes / 1e3:,.0f} thousand thumbnails, 128 MiB of memory "
        f"{MEMORY_BYTES / costs.thumbnail_bytes / 1e3:.1f} thousand.",
        f"- A replica on two cores is {costs.replica_memory_bytes / 2**20:.0f} MiB resident, memory cache included.",  # noqa: E501
    ]


def table(plans: dict[bool, list[Plan]]) -> list[str]:
    """Both plans side by side, in Markdown."""
    made = [p for several in plans.values() for p in several]
    heads = [
        f"{p.images / 1e6:,.0f} M{', CDN' if has_cdn else ''}"
        for has_cdn, several in plans.items()
        for p in several
    ]
    found = ["| | " + " | ".join(heads) + " |", "|---|" + "--:|" * len(heads)]
    return found + [f"| {title} | " + " | ".join(cells) + " |" for title, cells in lines(made)[1:]]


def rows(plans: dict[bool, list[Plan]]) -> list[dict[str, Any]]:
    """In the common form of bench/results.py."""
    found: list[dict[str, Any]] = []
    for title, unit, field, factor in (
        ("not answered by CDN or front", "% of requests", "inner", 100.0),
        ("replicas of 8 cores", "machines", "replicas", 1.0),
        ("fronts of 8 cores", "machines", "fronts", 1.0),
        ("Redis shards of 24 GiB", "shards", "redis_shards", 1.0),
    ):
        for has_cdn, made in plans.items():
            for p in made:
                inner = 1 - p.cdn_share - p.front_share
                value = inner if field == "inner" else float(getattr(p, field))
                name = f"{title}, {p.images:.0e} images, {'CDN' if has_cdn else 'no CDN'}".replace("e+", "e")
                found.append(
                    {
                        "name": name,
                        "unit": unit,
                        "ours": round(value * factor, 2),
                        "peers": {},
                        "target": None,
                    }
                )
    return found


if __name__ == "__main__":
    main()
