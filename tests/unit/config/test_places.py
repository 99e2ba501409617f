"""A user's files are where the XDG Base Directory Specification has them."""

from pathlib import Path

import pytest

from mediasvc.config import places
from mediasvc.config.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path / "home"


def test_caches_and_state_have_their_folders_at_home(home: Path) -> None:
    assert Settings().data_dir == home / ".cache/mediasvc"
    assert places.journal_path(Settings().data_dir) == home / ".local/state/mediasvc/journal.sqlite"


def test_the_variables_move_them_and_relative_ones_are_ignored(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/me")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state/me")

    assert Settings().data_dir == Path("/var/cache/me/mediasvc")
    assert places.journal_path(Settings().data_dir) == Path("/var/state/me/mediasvc/journal.sqlite")

    monkeypatch.setenv("XDG_STATE_HOME", "state")
    assert places.journal_path(Settings().data_dir) == home / ".local/state/mediasvc/journal.sqlite"


def test_a_data_dir_that_was_chosen_keeps_the_journal(tmp_path: Path) -> None:
    assert places.journal_path(tmp_path / "data") == tmp_path / "data/journal.sqlite"


def test_a_journal_in_the_old_place_stays_in_use(home: Path) -> None:
    old = home / ".cache/mediasvc/journal.sqlite"
    old.parent.mkdir(parents=True)
    old.touch()

    assert places.journal_path(Settings().data_dir) == old


def test_the_settings_file_of_the_user_is_read_where_no_other_is(home: Path, tmp_path: Path) -> None:
    config = home / ".config/mediasvc/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("port = 8123\n")
    environ = {"HOME": str(home)}

    assert read_settings(environ).port == 8123
    assert read_settings(environ, looks_around=False).port == 8080
    assert read_settings(environ | {"XDG_CONFIG_HOME": "/nowhere"}).port == 8080
    assert read_settings(environ | {"XDG_CONFIG_HOME": str(home / ".config")}).port == 8123

    (tmp_path / "mediasvc.toml").write_text("workers = 3\n")
    assert (read_settings(environ).port, read_settings(environ).workers) == (8080, 3)
