"""Failures as HTTP says them to strangers: RFC 9457 problem details with a stable code."""

from http import HTTPStatus

import orjson

from mediasvc.errors import MediaError

MEDIA_TYPE = "application/problem+json"


def members(error: MediaError, request_id: str = "", *, status: int | None = None) -> dict[str, object]:
    """The JSON object. str(error) is its detail, about this occurrence.

    status: where it is another than that of the error's class.
    """
    found: dict[str, object] = {
        "type": f"urn:mediasvc:problem:{error.code}",
        "title": error.title,
        "status": error.status if status is None else status,
        "code": error.code,
        "detail": str(error),
    }
    if request_id:
        found["request_id"] = request_id
    return found


def headers(error: MediaError) -> dict[str, str]:
    """The headers beside the body. Replies with failures are not cacheable: only our index keeps failures."""
    fields = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    if error.default_retry_after_s is not None:
        known_s = error.retry_after_s
        fields["Retry-After"] = str(max(1, error.default_retry_after_s if known_s is None else known_s))
    if error.status == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = 'Bearer realm="mediasvc"'
    return fields


def of(
    error: MediaError, request_id: str = "", *, status: int | None = None
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) for a failure. status: as for members."""
    body = orjson.dumps(members(error, request_id, status=status))
    return error.status if status is None else status, headers(error), body
