"""`mediasvc prune` removes assets that no article names, and nothing else."""

import hashlib
from pathlib import Path

import pytest

from tests.support.programs import environment, mediasvc


def asset(folder: Path, text: str, name: str = "{digest}.jpg") -> Path:
    digest = hashlib.sha256(text.encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name.format(digest=digest, short=digest[:12])
    path.write_text(text)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


def test_only_assets_that_no_article_names_are_removed(tmp_path: Path, site: Path) -> None:
    assets = site / "assets"
    named, wide, readable = (
        asset(assets, "named"),
        asset(assets, "wide"),
        asset(assets, "r", "lake-{short}.png"),
    )
    unnamed, unnamed_readable = asset(assets, "unnamed"), asset(assets, "u", "lake-{short}.png")
    others = [
        asset(assets, "photo", "photo.jpg"),
        asset(assets, "changed", "{digest}.png"),
        asset(assets / "deeper", "deep"),
    ]
    others[1].write_text("other bytes than the name says")
    (site / "a.md").write_text(f"![x](assets/{named.name}) ![y](/media/{readable.name})\n")
    (site / "b.html").write_bytes(f'<img src="assets/{wide.name}">'.encode("utf-16"))
    command: list[str | Path] = ["prune", "--assets", "site/assets", "site"]

    listed = mediasvc([*command, "--dry-run"], environment(tmp_path / "data"), cwd=tmp_path)
    there = sorted(assets.rglob("*"))
    pruned = mediasvc(command, environment(tmp_path / "data"), cwd=tmp_path)

    gone = sorted([unnamed.name, unnamed_readable.name])
    assert (listed.code, pruned.code) == (0, 0), listed.err + pruned.err
    assert listed.out.decode().splitlines() == pruned.out.decode().splitlines() == gone
    assert "2 assets would be removed" in listed.err
    assert unnamed in there
    assert not unnamed.exists()
    assert not unnamed_readable.exists()
    assert all(path.exists() for path in (named, wide, readable, *others))


def test_an_article_that_cannot_be_read_stops_everything(tmp_path: Path, site: Path) -> None:
    unnamed = asset(site / "assets", "unnamed")

    empty = mediasvc(["prune", "--assets", "site/assets", "site"], environment(tmp_path), cwd=tmp_path)
    (site / "a.md").mkdir()
    (site / "b.md").write_text("no pictures\n")
    missing = mediasvc(["prune", "--assets", "site/none", "site"], environment(tmp_path), cwd=tmp_path)

    assert (empty.code, missing.code) == (2, 2), empty.err + missing.err
    assert "no articles" in empty.err
    assert unnamed.exists()
