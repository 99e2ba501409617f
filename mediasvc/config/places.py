"""Where a user's files belong: the folders of the XDG Base Directory Specification."""

import os
from collections.abc import Mapping
from pathlib import Path

_JOURNAL = "journal.sqlite"


def default_data_dir() -> Path:
    """Where originals, thumbnails and the index are kept unless a setting says otherwise."""
    return _base("XDG_CACHE_HOME", ".cache") / "mediasvc"


def journal_path(data_dir: Path) -> Path:
    """Where finished articles and their undo records are kept.

    With the default data_dir, which is a cache folder that people empty, a folder for state; else data_dir. A
    journal that an earlier version kept in the cache folder stays in use.
    """
    beside = data_dir / _JOURNAL
    if data_dir != default_data_dir() or beside.exists():
        return beside
    return _base("XDG_STATE_HOME", ".local/state") / "mediasvc" / _JOURNAL


def user_settings_file(environ: Mapping[str, str]) -> Path | None:
    """The settings file of the user, where there is one."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not base.startswith("/"):
        home = environ.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.config"
    path = Path(base) / "mediasvc" / "config.toml"
    return path if path.is_file() else None


def _base(variable: str, otherwise: str) -> Path:
    """The folder that a variable names. The specification has relative ones ignored."""
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path("~").expanduser() / otherwise
