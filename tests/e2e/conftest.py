"""Fixtures of the tests that run mediasvc as people do.

A test module with needs of its own overrides them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.origin import Origin
from tests.support.programs import environment
from tests.support.service import Service


@pytest.fixture(scope="module")
def world() -> Iterator[Origin]:
    """An origin that all tests of a module share."""
    with Origin() as running:
        yield running


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest, world: Origin) -> Iterator[Service]:
    """A service that all tests of a module share, run with the SETTINGS of that module."""
    with Service(world, **getattr(request.module, "SETTINGS", {})) as running:
        yield running


@pytest.fixture
def env(tmp_path: Path, origin: Origin) -> dict[str, str]:
    """The environment of a command whose every public host is the origin of this test."""
    return environment(tmp_path / "data", CONNECT_TO=origin.connect_to)
