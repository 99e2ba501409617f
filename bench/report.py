"""Draws the last figures of every bench as SVG plots that follow the reader's light or dark theme.

.venv/bin/python -m bench.report

Reads bench/results/*.json (bench/README.md has the form), writes one SVG beside each, and fills in every
place of README.md, bench/README.md and docs/ that stands between `<!-- figures: cold, hot -->` (or `all`) and
`<!-- end of figures -->`: each plot and table with its command, machine and date.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.results import FOLDER

ROOT = FOLDER.parent.parent
_PLACE = re.compile(r"(<!-- figures: ([a-z0-9_, ]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)

WIDTH = 860
LABEL_X, BAR_X, BAR_WIDTH, LABEL_WIDTH = 16, 300, 430, 110
BAR, GAP, BETWEEN_ROWS = 13, 3, 14
# Of the longest bar: a target beyond would leave no room for the bars.
_FARTHEST_TARGET = 2

# In both themes: ours stands out, peers are told apart by shade and by their name beside the bar.
STYLE = """
  .paper { fill: #ffffff; }
  text { font: 12px system-ui, sans-serif; fill: #1f2328; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
  .title { font-size: 15px; font-weight: 600; }
  .unit { font-weight: 600; }
  .faint { fill: #59636e; }
  .ours { fill: #0b6e4f; } .peer0 { fill: #9aa4b1; } .peer1 { fill: #b9c1ca; } .peer2 { fill: #d0d6dc; } .peer3 { fill: #e1e5e9; }
  .target { stroke: #b35900; stroke-width: 2; } .axis { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; }
    text { fill: #e6edf3; stroke: #0d1117; } .faint { fill: #9198a1; }
    .ours { fill: #3fb98a; } .peer0 { fill: #6e7681; } .peer1 { fill: #565d66; } .peer2 { fill: #444b53; } .peer3 { fill: #363c43; }
    .target { stroke: #f0883e; } .axis { stroke: #3d444d; }
  }
"""  # noqa: E501


def main() -> None:
    """Draw every file of results and fill in the pages."""
    reports = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
    }
    for name, report in reports.items():
        (FOLDER / f"{name}.svg").write_text(draw(report), encoding="utf-8")
    for page in (ROOT / "README.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        before = page.read_text(encoding="utf-8")
        after = filled(before, page, reports)
        if after != before:
            page.write_text(after, encoding="utf-8")
    print(f"drew {len(reports)} benches into {FOLDER}")


def filled(text: str, page: Path, reports: Mapping[str, dict[str, Any]]) -> str:
    """The text of a page with its places filled in; a bench without figures yet is left out."""

    def fill(place: re.Match[str]) -> str:
        wanted = list(reports) if place[2] == "all" else [name.strip() for name in place[2].split(",")]
        figures = os.path.relpath(FOLDER, page.parent)
        sections = [section(reports[name], figures) for name in wanted if name in reports]
        return place[1] + "\n".join(sections) + place[3]

    return _PLACE.sub(fill, text)


def draw(report: dict[str, Any]) -> str:
    """One SVG: rows of bars, one axis for each unit, a stroke where a number is the target."""
    parts: list[str] = []
    y = 30.0
    parts.append(f'<text class="title" x="{LABEL_X}" y="{y}">{escape(report["bench"])}</text>')
    y += 18
    parts.append(f'<text class="faint" x="{LABEL_X}" y="{y}">{escape(report["command"])}</text>')
    y += 16
    stand = f"{report['date']} · {report['machine']} · upright stroke: target"
    parts.append(f'<text class="faint" x="{LABEL_X}" y="{y}">{escape(stand)}</text>')
    y += 22
    for unit, rows in groupby(report["rows"], key=lambda row: row["unit"]):
        y = _draw_axis(parts, list(rows), unit, y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}" '  # noqa: E501
        f'role="img" aria-label="Figures of the bench {escape(report["bench"])}">'
    )
    paper = '<rect class="paper" width="100%" height="100%"/>'
    return f"{head}\n<style>{STYLE}</style>\n{paper}\n" + "\n".join(parts) + "\n</svg>\n"


def _draw_axis(parts: list[str], rows: Sequence[dict[str, Any]], unit: str, y: float) -> float:
    most = max((figure for row in rows for _, figure, _ in _bars(row)), default=1.0)
    targets = [row["target"] for row in rows if isinstance(row["target"], int | float)]
    top = _round_up(max([most, *(target for target in targets if target <= _FARTHEST_TARGET * most)]))
    parts.append(f'<text class="unit" x="{BAR_X}" y="{y:.0f}">{escape(unit or "no unit")}</text>')
    y += 8
    for row in rows:
        bars = list(_bars(row))
        height = len(bars) * (BAR + GAP)
        parts.append(f'<line class="axis" x1="{BAR_X}" x2="{BAR_X}" y1="{y:.0f}" y2="{y + height:.0f}"/>')
        for number, line in enumerate(_wrapped(row["name"])):
            parts.append(f'<text x="{LABEL_X}" y="{y + BAR - 2 + 15 * number:.0f}">{escape(line)}</text>')
        stroke = 0.0
        if isinstance(row["target"], int | float) and row["target"] <= top:
            stroke = row["target"] / top * BAR_WIDTH
            x = BAR_X + stroke
            parts.append(
                f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 3:.0f}" y2="{y + height:.0f}">'
                f"<title>target {number_text(row['target'])}</title></line>"
            )
        for kind, figure, name in bars:
            width = max(1.0, figure / top * BAR_WIDTH)
            end = stroke if width < stroke < width + LABEL_WIDTH else width  # no stroke goes through a label
            parts.append(
                f'<rect class="{kind}" x="{BAR_X}" y="{y:.0f}" width="{width:.1f}" height="{BAR}" rx="2"/>'
                f'<text x="{BAR_X + end + 6:.1f}" y="{y + BAR - 2:.0f}">{number_text(figure)} '
                f'<tspan class="faint">{escape(name)}</tspan></text>'
            )
            y += BAR + GAP
        y += BETWEEN_ROWS
    return y + 10


def _bars(row: dict[str, Any]) -> Iterator[tuple[str, float, str]]:
    if row["ours"] is not None:
        yield "ours", row["ours"], "mediasvc"
    for number, (name, figure) in enumerate(row["peers"].items()):
        if figure is not None:
            yield f"peer{number % 4}", figure, name


def _round_up(most: float) -> float:
    if most <= 0:
        return 1.0
    step = 10.0 ** math.floor(math.log10(most))
    return next(
        step * factor for factor in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * factor >= most
    )


def _wrapped(name: str) -> list[str]:
    lines = [""]
    for word in name.split():
        if len(lines[-1]) + len(word) > 42 and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def number_text(figure: float) -> str:
    """Three figures that matter, thousands set apart."""
    if figure == 0 or abs(figure) >= 100:
        return f"{figure:,.0f}"
    if abs(figure) < 1:
        return f"{figure:.3f}"
    return f"{figure:.3g}"


def section(report: dict[str, Any], figures: str) -> str:
    """The Markdown of one bench: its plot, its table, its command. figures: where the plots lie, from the
    page.
    """
    peers = list(dict.fromkeys(name for row in report["rows"] for name in row["peers"]))
    lines = [
        f"### {report['bench']}\n",
        f"`{report['command']}`, {report['date']}, {report['machine']}\n",
        f"![Figures of the bench {report['bench']}]({figures}/{report['bench']}.svg)\n",
        "| " + " | ".join(["what", "unit", "mediasvc", *peers, "target"]) + " |",
        "|" + "---|" * (4 + len(peers)),
    ]
    for row in report["rows"]:
        numbers = [row["ours"], *(row["peers"].get(name) for name in peers)]
        cells = ["–" if figure is None else number_text(figure) for figure in numbers]
        goal = row["target"]
        target = "" if goal is None else goal if isinstance(goal, str) else number_text(goal)
        lines.append("| " + " | ".join([row["name"], row["unit"], *cells, target]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
