"""What strangers are told of a failure."""

import orjson
import pytest

from mediasvc import errors
from mediasvc.errors import BY_CODE, MediaError
from mediasvc.server.http import problem


@pytest.mark.parametrize("kind", BY_CODE.values(), ids=BY_CODE)
def test_every_failure_is_a_problem_with_its_status_and_code(kind: type[MediaError]) -> None:
    status, headers, body = problem.of(kind("in words"), "id-1")

    document = orjson.loads(body)
    assert status == kind.status
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Cache-Control"] == "no-store"
    assert document == {
        "type": f"urn:mediasvc:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "detail": "in words",
        "request_id": "id-1",
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.Overloaded("full"), "1"),
        (errors.Overloaded("full", retry_after_s=7), "7"),
        (errors.Overloaded("full", retry_after_s=0), "1"),
        (errors.StoreFailed("gone"), "5"),
        (errors.SourceMissing("gone", retry_after_s=7), None),
        (errors.SourceFailed("gone"), None),
    ],
)
def test_only_what_is_our_own_doing_says_when_to_come_back(error: MediaError, expected: str | None) -> None:
    _, headers, _ = problem.of(error)

    assert headers.get("Retry-After") == expected


def test_a_missing_token_is_asked_for() -> None:
    _, headers, _ = problem.of(errors.Unauthorized("who are you"))

    assert headers["WWW-Authenticate"] == 'Bearer realm="mediasvc"'
