"""What docs/scaling.md reckons follows from the figures that are kept in bench/results."""

from pathlib import Path

from bench import simulate
from bench.traffic import SIZES, load_costs, plan

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_arithmetic_and_the_machines_follow_from_the_measured_costs() -> None:
    costs = load_costs()
    plans = {
        has_cdn: [plan(size, costs, exponent=0.8, views=2.0, has_cdn=has_cdn) for size in SIZES]
        for has_cdn in (False, True)
    }

    for line in (*simulate.arithmetic(costs), *simulate.table(plans)):
        assert f"{line}\n" in PAGE, "run: python bench/simulate.py"
