"""Settings: where values come from, what wins, and how problems are told."""

import json
import os
from pathlib import Path

import pytest

from mediasvc.errors import InvalidSettings
from mediasvc.rules import find_problems
from mediasvc.settings import (
    check_serving,
    describe,
    find_exposure,
    pack,
    read_settings,
    unpack,
)
from mediasvc.units import parse_bytes, parse_count, parse_duration


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("MEDIASVC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10MiB", 10 * 1024**2),
        ("1 KiB", 1024),
        ("5", 5),
        ("2GB", 2 * 1000**3),
        ("1k", 1024),
        ("1.5MiB", 1572864),
    ],
)
def test_sizes_are_read_with_their_units(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", 30), ("10m", 600), ("7d", 604800), ("500ms", 0.5), ("3", 3)]
)
def test_durations_are_read_with_their_units(text: str, expected: float) -> None:
    assert parse_duration(text) == expected


def test_counts_are_in_millions_where_they_say_so() -> None:
    assert parse_count("64M") == 64_000_000


def test_flags_beat_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mediasvc.toml").write_text('port = 1\nworkers = 2\nfetch_timeout = "7s"\n')
    monkeypatch.setenv("MEDIASVC_WORKERS", "3")
    monkeypatch.setenv("MEDIASVC_PORT", "3")

    settings = read_settings(os.environ, flags={"port": 4})

    assert (settings.port, settings.workers, settings.fetch_timeout) == (4, 3, 7.0)


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("swordfish\n")
    monkeypatch.setenv("MEDIASVC_API_TOKEN_FILE", str(tmp_path / "token"))

    settings = read_settings(os.environ)

    assert settings.token == "swordfish"
    assert "swordfish" not in str(describe(settings))


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_PORT", "abc")
    monkeypatch.setenv("MEDIASVC_MAX_PIXELS", "many")
    monkeypatch.setenv("MEDIASVC_FETCH_TIMEOTU", "3")

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    lines = str(caught.value).splitlines()
    assert len(lines) == 3
    assert "did you mean MEDIASVC_FETCH_TIMEOUT" in lines[0]


def test_a_bad_key_is_not_repeated_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS", "not-hex-secret")

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    assert "not-hex-secret" not in str(caught.value)


def test_listening_to_strangers_without_protection_is_refused() -> None:
    settings = read_settings(os.environ, flags={"host": "0.0.0.0"})

    with pytest.raises(InvalidSettings):
        check_serving(settings)

    check_serving(read_settings(os.environ, flags={"host": "0.0.0.0", "allow_unsigned": True}))
    check_serving(read_settings(os.environ, flags={"host": "::1"}))


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_ALLOWED_PORTS", "80, 8080")
    monkeypatch.setenv("MEDIASVC_ALLOWED_CIDRS", "10.0.0.0/8,fd00::/8")
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS", "736563726574,00ff")

    settings = read_settings(os.environ)

    assert settings.allowed_ports == {80, 8080}
    assert [str(network) for network in settings.allowed_cidrs] == ["10.0.0.0/8", "fd00::/8"]
    assert settings.signing_keys == (b"secret", b"\x00\xff")


def test_a_settings_file_that_is_named_must_be_there() -> None:
    with pytest.raises(InvalidSettings):
        read_settings(os.environ, config=Path("nowhere.toml"))


def test_settings_survive_being_handed_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS", "736563726574,00ff")
    monkeypatch.setenv("MEDIASVC_ALLOWED_CIDRS", "10.0.0.0/8")
    monkeypatch.setenv("MEDIASVC_ALLOWED_PORTS", "80,8080")
    monkeypatch.setenv("MEDIASVC_API_TOKEN", "swordfish")
    settings = read_settings(os.environ)

    again = unpack(json.loads(json.dumps(pack(settings))))

    assert again == settings


def test_what_only_readers_can_tell_is_told_with_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text("not = [toml")
    monkeypatch.setenv("MEDIASVC_PORT", "abc")
    monkeypatch.setenv("MEDIASVC_CONNECT_TO", "garbage")
    monkeypatch.setenv("MEDIASVC_CA_FILE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setenv("MEDIASVC_WRAPPERS_FILE", str(tmp_path / "rules.toml"))

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ, flags={"host": "0.0.0.0"}, checks=(find_problems, find_exposure))

    named = {line.partition(":")[0].removeprefix("MEDIASVC_") for line in str(caught.value).splitlines()}
    assert named == {"PORT", "CONNECT_TO", "CA_FILE", "WRAPPERS_FILE", "HOST"}
