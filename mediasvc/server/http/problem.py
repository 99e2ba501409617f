"""What strangers are told of a failure: RFC 9457 problem details with a stable code."""

from http import HTTPStatus

import orjson

from mediasvc.errors import MediaError, Overloaded, StoreFailed

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    "invalid_request": "The request cannot be read",
    "unauthorized": "A bearer token is needed",
    "bad_signature": "The signature is missing or wrong",
    "source_refused": "This source may not be fetched",
    "source_missing": "The source has no such image",
    "source_too_large": "The image is too large",
    "body_too_large": "The request body is too large",
    "unsupported_media": "Not an image of an allowed format",
    "undecodable": "The image is damaged",
    "too_many_pixels": "The image has too many pixels",
    "processing_timeout": "Work on the image took too long",
    "overloaded": "Too busy",
    "store_failed": "Stored images cannot be reached",
    "source_failed": "The source failed",
    "source_timeout": "The source took too long",
    "internal": "A bug of ours",
    "not_found": "No such route",
    "method_not_allowed": "This route has no such method",
    "precondition_failed": "The precondition does not hold",
    "range_not_satisfiable": "No byte of the image is in this range",
    "request_timeout": "The request did not arrive in time",
}
# How long to wait where the failure itself does not say, in seconds.
_RETRY_AFTER_S = {Overloaded.code: 1, StoreFailed.code: 5}


def title(code: str) -> str:
    """A short human sentence for a code, always the same for the same code."""
    return _TITLES.get(code, _TITLES["internal"])


def document(status: int, code: str, detail: str, request_id: str = "") -> bytes:
    """The JSON body. detail: about this occurrence; must be safe for strangers."""
    members: dict[str, object] = {
        "type": f"urn:mediasvc:problem:{code}",
        "title": title(code),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if request_id:
        members["request_id"] = request_id
    return orjson.dumps(members)


def headers(status: int, code: str, retry_after_s: int | None = None) -> dict[str, str]:
    """What goes with the body. No failure is stored by anyone: its own TTL is kept by us alone."""
    fields = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
    wait_s = retry_after_s if retry_after_s is not None else _RETRY_AFTER_S.get(code)
    if wait_s is not None and status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields["Retry-After"] = str(max(1, wait_s))
    if status == HTTPStatus.UNAUTHORIZED:
        fields["WWW-Authenticate"] = 'Bearer realm="mediasvc"'
    return fields


def of(error: MediaError, request_id: str = "") -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) for an expected failure."""
    body = document(error.status, error.code, str(error), request_id)
    return error.status, headers(error.status, error.code, error.retry_after_s), body
