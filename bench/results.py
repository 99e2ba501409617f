"""Keeps the last figures of each bench as one small JSON file that bench/report.py draws."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"
ROW_KEYS = frozenset({"name", "unit", "ours", "peers", "target"})


def save(bench: str, command: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write bench/results/{bench}.json and return its path; the file before it is replaced whole.

    rows: each {"name", "unit", "ours", "peers": {name: value}, "target"}, in the order in which they are to
    be drawn; "target" is None, or a number in the row's unit, or a sentence; "ours" may be None (a floor, a
    peer's own row). ValueError: a row that report.py could not draw.
    """
    if re.fullmatch(r"[a-z0-9_]+", bench) is None:
        raise ValueError(f"bench name {bench!r}: lower case letters, digits and _ only")
    for row in rows:
        check_row(row)
    report = {
        "bench": bench,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "command": command,
        "rows": [dict(row) for row in rows],
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{bench}.json"
    fresh = path.with_suffix(".json.new")
    fresh.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)
    return path


def check_row(row: Mapping[str, Any]) -> None:
    """ValueError if report.py could not draw this row."""
    if set(row) != ROW_KEYS:
        raise ValueError(f"row {row.get('name')!r}: keys {sorted(row)}, not {sorted(ROW_KEYS)}")
    if not isinstance(row["name"], str) or not isinstance(row["unit"], str):
        raise TypeError(f"row {row['name']!r}: name and unit are texts")
    figures = [row["ours"], *row["peers"].values()]
    if any(figure is not None and not isinstance(figure, int | float) for figure in figures):
        raise ValueError(f"row {row['name']!r}: ours and peers are numbers or null")
    if row["target"] is not None and not isinstance(row["target"], int | float | str):
        raise ValueError(f"row {row['name']!r}: target is a number, a sentence or null")


def machine() -> str:
    """One line that says what the figures were measured on: processor, usable cores, system, Python."""
    model = platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
