"""Settings: where values come from, what wins, and how problems are told."""

import json
import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from mediasvc.cli.context import Common
from mediasvc.config.exposure import check_serving, find_exposure, find_open_doors, find_short_secrets
from mediasvc.config.policies import find_problems
from mediasvc.config.settings import Settings, describe, make_data_dir, pack, read_settings, unpack
from mediasvc.config.values import parse_bytes, parse_count, parse_duration
from mediasvc.errors import InvalidSettings


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


def test_what_a_command_takes_for_a_default_is_the_weakest(tmp_path: Path) -> None:
    (tmp_path / "mediasvc.toml").write_text('log_level = "debug"\n')

    settings = read_settings(os.environ, defaults={"log_level": "error", "port": 5})

    assert (settings.log_level, settings.port) == ("debug", 5)


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("swordfish\n")
    monkeypatch.setenv("MEDIASVC_API_TOKEN_FILE", str(tmp_path / "token"))

    settings = read_settings(os.environ)

    assert settings.api_token == "swordfish"
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


@pytest.mark.parametrize("name", ["INDEX_URL", "QUEUE_URL"])
@pytest.mark.parametrize(
    "address",
    [
        "redis://:s3cret@host:port/0",
        "redis://:s3cret/rest@host/0",
        "redis://:s3cret#rest@host/0",
        "redis://host/0#s3cret",
        "redis://:s3cret@[::1",
        "redis://:s3cret@host/name",
        "unix:///run/redis.sock?password=s3cret&db=x",
        "redis://:s3cret@host/0?colour=red",
        "redis://:s3cret@host/0?socket_timeout=x",
        "http://:s3cret@host",
    ],
)
def test_an_address_of_redis_that_cannot_be_used_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(f"MEDIASVC_{name}", address)

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    assert str(caught.value).startswith(f"MEDIASVC_{name}: ")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "redis://",
        "redis://host",
        "redis://user:p%40ss@host:6380/15",
        "rediss://:pass@[::1]:6379/0?ssl_ca_certs=/ca.pem",
        "unix:///run/redis.sock?db=3&password=pass",
    ],
)
def test_an_address_of_redis_is_kept_as_it_was_written(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("MEDIASVC_QUEUE_URL", address)

    settings = read_settings(os.environ)

    assert settings.queue_url == address
    assert "pass" not in str(describe(settings)["MEDIASVC_QUEUE_URL"])


def test_every_problem_names_its_variable_what_to_write_and_what_was_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mediasvc.toml").write_text("allow_svg = 2\nallowed_ports = [0]\nprot = 1\n")
    monkeypatch.setenv("MEDIASVC_FETCH_RETRIES", "21")
    monkeypatch.setenv("MEDIASVC_FETCH_TIMEOUT", "0s")

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ, flags={"log_format": "xml"})

    assert str(caught.value).splitlines() == [
        "mediasvc.toml: prot: no such setting; did you mean MEDIASVC_PORT?",
        "MEDIASVC_ALLOWED_PORTS: write a whole number from 1 to 65535 (got '[0]')",
        "MEDIASVC_FETCH_TIMEOUT: write a duration such as 30s, longer than 0 (got '0s')",
        "MEDIASVC_FETCH_RETRIES: write a whole number from 0 to 20 (got '21')",
        "MEDIASVC_ALLOW_SVG: write true or false (got '2')",
        "MEDIASVC_LOG_FORMAT: write text or json (got 'xml')",
    ]


def test_empty_variables_count_as_not_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mediasvc.toml").write_text("port = 1\n")
    (tmp_path / "workers").write_text("2\n")
    monkeypatch.setenv("MEDIASVC_PORT", "")
    monkeypatch.setenv("MEDIASVC_WORKERS", "")
    monkeypatch.setenv("MEDIASVC_WORKERS_FILE", str(tmp_path / "workers"))
    monkeypatch.setenv("MEDIASVC_API_TOKEN_FILE", "")

    settings = read_settings(os.environ, flags={"host": None})

    assert (settings.port, settings.workers, settings.host) == (1, 2, "127.0.0.1")


def test_a_variable_and_its_file_are_not_both_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDIASVC_API_TOKEN", "a")
    monkeypatch.setenv("MEDIASVC_API_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS_FILE", str(tmp_path / "nowhere"))

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    both, nowhere = str(caught.value).splitlines()
    assert both == "MEDIASVC_API_TOKEN_FILE: MEDIASVC_API_TOKEN is set too; keep one of them"
    assert nowhere.startswith("MEDIASVC_SIGNING_KEYS_FILE: cannot read the file ")


def test_a_secret_that_got_lost_does_not_count_as_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("\n")
    monkeypatch.setenv("MEDIASVC_API_TOKEN_FILE", str(tmp_path / "token"))

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    assert (
        str(caught.value)
        == f"MEDIASVC_API_TOKEN_FILE: the file {os.environ['MEDIASVC_API_TOKEN_FILE']} is empty"
    )


@pytest.mark.parametrize(
    "url", ["valkey://:herring@trout@a.test/1", "redis://:herring/trout@a.test", "http://herring:trout@["]
)
def test_a_password_in_a_url_is_not_repeated_in_the_message(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("MEDIASVC_INDEX_URL", url)

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ)

    assert "hidden@" in str(caught.value)
    assert "herring" not in str(caught.value)
    assert "trout" not in str(caught.value)


def test_settings_are_frozen_and_keep_their_secrets() -> None:
    settings = Settings(api_token="swordfish", signing_keys=(b"swordfish",))

    assert "swordfish" not in repr(settings)
    with pytest.raises(FrozenInstanceError):
        settings.port = 1  # type: ignore[misc]  # that is the point


def test_a_command_tells_what_only_readers_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONNECT_TO", "ALLOWED_HOSTS", "DENIED_HOSTS"):
        monkeypatch.setenv(f"MEDIASVC_{name}", "a b")

        with pytest.raises(InvalidSettings, match=f"MEDIASVC_{name}"):
            Common().settings()

        monkeypatch.delenv(f"MEDIASVC_{name}")


def test_listening_to_strangers_without_protection_is_refused() -> None:
    settings = read_settings(os.environ, flags={"host": "0.0.0.0"})

    with pytest.raises(InvalidSettings):
        check_serving(settings)

    check_serving(read_settings(os.environ, flags={"host": "0.0.0.0", "allow_unsigned": True}))
    check_serving(read_settings(os.environ, flags={"host": "::1"}))


@pytest.mark.parametrize(
    ("given", "warned_of"),
    [
        ({}, []),
        ({"signing_keys": "ff" * 16}, ["MEDIASVC_API_TOKEN"]),
        ({"signing_keys": "ff" * 16, "allow_unsigned": True}, []),
        ({"signing_keys": "ff" * 16, "allow_unsigned": False}, ["MEDIASVC_API_TOKEN"]),
        ({"signing_keys": "ff" * 16, "host": "0.0.0.0"}, ["MEDIASVC_API_TOKEN"]),
        ({"signing_keys": "ff" * 16, "host": "0.0.0.0", "api_token": "sixteen-letters!"}, []),
        ({"host": "0.0.0.0", "allow_unsigned": True}, []),
        ({"api_token": "fifteen-letters"}, ["MEDIASVC_API_TOKEN"]),
        ({"signing_keys": f"{'ff' * 16},{'ff' * 15}", "allow_unsigned": True}, ["MEDIASVC_SIGNING_KEYS"]),
    ],
)
def test_signatures_that_keep_nobody_out_are_told(given: dict[str, object], warned_of: list[str]) -> None:
    doors = find_open_doors(read_settings(os.environ, flags=given))

    assert [door.partition(":")[0] for door in doors] == warned_of


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"signing_keys": "ff" * 16}, False),
        ({"signing_keys": "ff" * 16, "allow_unsigned": True}, True),
        ({"allow_unsigned": False}, False),
    ],
)
def test_unsigned_requests_are_answered_on_loopback_while_no_key_is_set(
    given: dict[str, object], allowed: bool
) -> None:
    assert read_settings(os.environ, flags=given).unsigned_allowed is allowed


def test_a_short_secret_is_named_by_its_place_and_length_but_never_shown() -> None:
    flags = {"signing_keys": f"{'ab' * 32},cdef", "api_token": "swordfish"}

    (key, token) = find_short_secrets(read_settings(os.environ, flags=flags))

    assert key.startswith("MEDIASVC_SIGNING_KEYS: key 2 has 2 bytes, which can be guessed")
    assert token.startswith("MEDIASVC_API_TOKEN: the token has 9 bytes, which can be guessed")
    assert "cdef" not in key
    assert "swordfish" not in token


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


def test_a_setting_that_stands_twice_in_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "mediasvc.toml").write_text("port = 1\nMEDIASVC_PORT = 2\n")

    with pytest.raises(InvalidSettings, match="MEDIASVC_PORT: is set twice"):
        read_settings(os.environ)


def test_settings_survive_being_handed_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASVC_SIGNING_KEYS", "736563726574,00ff")
    monkeypatch.setenv("MEDIASVC_ALLOWED_CIDRS", "10.0.0.0/8")
    monkeypatch.setenv("MEDIASVC_ALLOWED_PORTS", "80,8080")
    monkeypatch.setenv("MEDIASVC_API_TOKEN", "swordfish")
    settings = read_settings(os.environ)

    again = unpack(json.loads(json.dumps(pack(settings))))

    assert again == settings
    assert unpack(json.loads(json.dumps(pack(Settings())))) == Settings()


def test_what_only_readers_can_tell_is_told_with_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text("not = [toml")
    monkeypatch.setenv("MEDIASVC_PORT", "abc")
    monkeypatch.setenv("MEDIASVC_CONNECT_TO", "garbage")
    monkeypatch.setenv("MEDIASVC_PUBLIC_URL", "https://a%zz.test/b")
    monkeypatch.setenv("MEDIASVC_CA_FILE", str(tmp_path / "nowhere.pem"))
    monkeypatch.setenv("MEDIASVC_WRAPPERS_FILE", str(tmp_path / "rules.toml"))

    with pytest.raises(InvalidSettings) as caught:
        read_settings(os.environ, flags={"host": "0.0.0.0"}, checks=(find_problems, find_exposure))

    named = {line.partition(":")[0].removeprefix("MEDIASVC_") for line in str(caught.value).splitlines()}
    assert named == {"PORT", "PUBLIC_URL", "CONNECT_TO", "CA_FILE", "WRAPPERS_FILE", "HOST"}


@pytest.mark.parametrize(
    "before", [None, (), ("index.sqlite", "index.sqlite-wal", "blobs", "turns", "flights.lock")]
)
def test_the_data_folder_is_closed_to_other_users(tmp_path: Path, before: tuple[str, ...] | None) -> None:
    folder = tmp_path / "above" / "data"
    if before is not None:
        folder.mkdir(parents=True, mode=0o755)
        for name in before:
            (folder / name).touch()

    make_data_dir(Settings(data_dir=folder))

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_that_has_files_of_others_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "somebody's").touch()

    make_data_dir(Settings(data_dir=tmp_path))

    assert tmp_path.stat().st_mode & 0o777 == 0o755
