"""A real Chromium for tests of the pages, found on the machine or installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """A browser without a window.

    Fails the test, with what to type, where there is none and none can be had.
    """
    with sync_playwright() as playwright:
        path = _found(playwright.chromium.executable_path) or _installed()
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def _found(bundled: str) -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None) or (
        bundled if Path(bundled).exists() else None
    )


def _installed() -> str:
    command = "apt-get install -y --no-install-recommends chromium"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "check": False, "timeout": 600}
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], env=environment, **quiet)  # type: ignore[call-overload]
        subprocess.run(command.split(), env=environment, **quiet)  # type: ignore[call-overload]
        path = shutil.which("chromium")
        if path:
            return path
    pytest.fail(f"the pages are tested in a real Chromium, and there is none; type: sudo {command}")
