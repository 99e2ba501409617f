"""Log lines as programs read them."""

import json
from collections.abc import Callable, Iterator

import pytest

from mediasvc import logs

Lines = Callable[[], list[dict[str, object]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What the test has logged so far, as JSON. Later tests log as those before did."""

    def read() -> list[dict[str, object]]:
        said = capsys.readouterr().err
        assert said.isascii()
        return [json.loads(line) for line in said.splitlines()]

    yield read
    logs.reset()  # else later tests would log to a stderr that is closed


def test_a_line_has_event_level_time_request_and_fields(lines: Lines) -> None:
    logs.configure("json", "info")
    token = logs.request_id.set("r1")

    logs.get().warning("a.happened", host="a.test", bytes=3)
    logs.request_id.reset(token)
    logs.get().info("b.happened", request_id="r2")
    logs.get().info("c.happened")
    logs.get().debug("d.happened")

    first, second, third = lines()
    assert str(first.pop("timestamp")).endswith("Z")
    assert first == {
        "event": "a.happened",
        "level": "warning",
        "request_id": "r1",
        "host": "a.test",
        "bytes": 3,
    }
    assert second["request_id"] == "r2"
    assert "request_id" not in third


@pytest.mark.parametrize(
    "value", ["plain", "\u4f60\u597d", "\udc80", "a\nb", 2**70, None, 1.5, [1, "x"], {"a": True}]
)
def test_every_value_comes_back_from_its_line(lines: Lines, value: object) -> None:
    logs.configure("json", "info")
    logs.get().info("a.happened", value=value)

    assert [line["value"] for line in lines()] == [value]


def test_a_value_of_another_kind_is_shown_and_a_bug_brings_its_traceback(lines: Lines) -> None:
    logs.configure("json", "info")
    logs.get().info("a.happened", value={1, 2})
    try:
        raise KeyError("x")
    except KeyError:
        logs.get().exception("b.failed")

    shown, bug = lines()
    assert shown["value"] == "{1, 2}"
    assert bug["level"] == "error"
    assert "KeyError: 'x'" in str(bug["exception"])


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "", "NO_COLOR": ""}, False),
    ],
)
def test_colours_obey_the_variables(
    variables: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    logs.configure("text", "info")

    logs.get().info("a.happened")
    logs.reset()

    assert ("\x1b[" in capsys.readouterr().err) == coloured
