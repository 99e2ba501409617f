"""The description of the routes and the running service, compared by schemathesis."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.origin import Origin
from tests.support.service import Service

# A service in front of other servers says of them what they are: bad (502), slow (504).
SETTINGS = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "502", "504"]
"""


@pytest.mark.timeout(600)
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    with Origin() as origin, Service(origin, FETCH_TIMEOUT="2s", FETCH_RETRIES="0") as service:
        done = subprocess.run(
            [
                Path(sys.executable).with_name("schemathesis"),
                *("--config-file", settings, "run", f"{service.address}/openapi.json", "--no-color"),
                *("--max-examples", "25", "--seed", "1", "--generation-database", "none"),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )

        assert done.returncode == 0, done.stdout[-8000:] + done.stderr
        assert "Selected: 30/30" in done.stdout
        assert not [line for line in service.lines if "[error" in line or "Traceback" in line]
