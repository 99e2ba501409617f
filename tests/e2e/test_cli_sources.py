"""`mediasvc resolve` and what all commands do with their output and their messages."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.origin import Origin, Reply, jpeg
from tests.support.programs import environment, mediasvc


def test_what_strangers_wrote_gives_a_terminal_no_orders(tmp_path: Path) -> None:
    ended = mediasvc(["resolve", "-"], environment(tmp_path), stdin=b"http://a.test/\x1b]0;title\x07\x9b\n")

    assert ended.code == 2
    assert ended.err.removesuffix("\n").isprintable()
    assert "http://a.test/\\x1b]0;title\\x07" in ended.err


def test_a_list_that_begins_with_a_byte_order_mark_is_a_list(tmp_path: Path) -> None:
    asked = b"\xef\xbb\xbfhttp://a.test/a\r\nhttp://a.test/b\r\n"

    ended = mediasvc(["resolve", "-"], environment(tmp_path), stdin=asked)

    assert (ended.code, ended.out.splitlines()) == (0, [b"http://a.test/a", b"http://a.test/b"])


def test_an_address_that_is_no_unicode_is_an_error_of_its_own_line(tmp_path: Path) -> None:
    asked = b"http://a.test/\xff\nhttp://a.test/b\n"

    ended = mediasvc(["resolve", "-", "--json"], environment(tmp_path), stdin=asked)

    refused, resolved = map(json.loads, ended.out.splitlines())
    assert (ended.code, refused["origin"], refused["error"]) == (2, None, "invalid_request")
    assert resolved["origin"] == "http://a.test/b"


def test_problems_of_flags_are_told_with_those_of_the_environment(tmp_path: Path) -> None:
    flags = ["--log-level", "loud", "serve", "--port", "abc", "--workers", "-1"]

    ended = mediasvc(flags, environment(tmp_path, MAX_PIXELS="x"))

    told = [line.split(": ")[1] for line in ended.err.splitlines()]
    names = ("LOG_LEVEL", "MAX_PIXELS", "PORT", "WORKERS")
    assert (ended.code, sorted(told)) == (2, [f"MEDIASVC_{name}" for name in names])


def test_of_several_addresses_wrong_usage_says_more_than_a_refused_one(tmp_path: Path) -> None:
    asked = ["resolve", "http://127.0.0.1/a.jpg", "no address"]

    ended = mediasvc(asked, environment(tmp_path, ALLOWED_CIDRS=""))

    assert len(ended.err.splitlines()) == 2
    assert ended.code == 2


def test_output_that_has_no_room_is_told_as_that(tmp_path: Path) -> None:
    for arguments in (["resolve", "http://a.test/"], ["settings"]):
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "mediasvc", *arguments],
                env=environment(tmp_path),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )

        assert (done.returncode, done.stderr) == (
            4,
            "mediasvc: cannot write to stdout: No space left on device\n",
        )


@pytest.mark.parametrize("output", ["", ".", ".."])
def test_a_folder_is_no_file_to_write(origin: Origin, tmp_path: Path, output: str) -> None:
    env = environment(tmp_path / "data", CONNECT_TO=origin.connect_to)

    ended = mediasvc(["fetch", "http://a.test/pictures/a", "-o", output], env, cwd=tmp_path)

    assert ended.code == 2
    assert ended.err.endswith("is a directory\n")


def test_a_command_logs_errors_only_unless_its_settings_ask_for_more(tmp_path: Path) -> None:
    asked = ["fetch", "http://a.test/a", "-o", "a"]

    quiet = mediasvc(asked, environment(tmp_path / "data"), cwd=tmp_path)
    (tmp_path / "mediasvc.toml").write_text('log_level = "info"\n')
    told = mediasvc(asked, environment(tmp_path / "other"), cwd=tmp_path)

    assert "source.fetched" not in quiet.err
    assert "source.fetched" in told.err


def test_info_prints_the_object_of_the_route(tmp_path: Path, origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg("a", 60, 40)))
    url = origin.at("news.example", "/a.jpg")
    env = environment(tmp_path, CONNECT_TO=origin.connect_to)

    pretty, line = mediasvc(["info", url], env), mediasvc(["info", url, "--json"], env)

    members = json.loads(pretty.out)
    assert (pretty.code, members["origin"], members["width"], members["height"]) == (0, url, 60, 40)
    assert {"digest", "format", "bytes", "animated", "thumbhash", "fetched_at", "expires_at"} < set(members)
    assert json.loads(line.out) == members
    assert line.out.count(b"\n") == 1


def test_warm_fetches_images_and_says_which_failed(tmp_path: Path, origin: Origin) -> None:
    origin.on("/a.jpg", Reply(body=jpeg("a", 60, 40)))
    good = origin.at("news.example", "/a.jpg")
    gone = origin.at("news.example", "/gone.jpg")
    origin.on("/gone.jpg", Reply(status=404))
    env = environment(tmp_path, CONNECT_TO=origin.connect_to)

    ended = mediasvc(["warm", good, gone, "--size", "30,20", "--json"], env)
    again = mediasvc(["warm", "-"], env, stdin=good.encode() + b"\n")

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert rows == [{"source": good, "code": None}, {"source": gone, "code": "source_missing"}]
    assert (ended.code, again.code) == (3, 0)
    assert ended.err.endswith("1 image in the cache; 1 failed\n")
    assert origin.hits("/a.jpg") == 1


@pytest.mark.parametrize(
    ("change", "code", "error"),
    [
        (lambda path: path, 0, None),
        (lambda path: "https://images.example/media" + path, 0, None),
        (lambda path: path.replace("600x400", "601x400"), 3, "bad_signature"),
        (lambda path: "/img/unsafe/" + path.split("/", 3)[3], 3, "bad_signature"),
        (lambda path: "/img/x", 3, "invalid_request"),
    ],
)
def test_verify_says_what_a_path_names_and_whether_it_is_good(
    tmp_path: Path, change: Callable[[str], str], code: int, error: str | None
) -> None:
    env = environment(tmp_path, SIGNING_KEYS="736563726574" * 3)
    url = "https://cors.zfour.workers.dev/?https://news.example/a.jpeg"
    signed = mediasvc(["sign", url, "--size", "600,400"], env).out.decode().strip()

    ended = mediasvc(["verify", change(signed), "--json"], env)

    found = json.loads(ended.out)
    assert (ended.code, found["error"]) == (code, error)
    if code == 0:
        assert (found["source"], found["origin"]) == (url, "https://news.example/a.jpeg")
        assert found["options"] == "600x400"
