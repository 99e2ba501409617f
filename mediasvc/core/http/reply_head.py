"""The head of an origin's reply, as browsers read it: what a strict parser refuses is put in order before.

Servers send heads that every browser takes and the standard does not: a length twice, a length beside chunks,
a line that is no field. Requests to this service get none of this leniency.
"""

import re
from typing import Final

from mediasvc.core.http import retry
from mediasvc.errors import SourceFailed

MAX_FIELDS: Final = 256
MAX_FIELD_BYTES: Final = 64 * 1024
_NAME_BYTES: Final = 256
MAX_INTERIM: Final = 8
MAX_HEAD_BYTES: Final = 512 * 1024
"""Of all heads that come in answer to one request, interim replies included."""

_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\r\n\0]*+)?\Z")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++\Z")
_IN_ORDER = re.compile(
    rb"HTTP/1\.[01] [1-9][0-9]{2}(?: [^\r\n\0]*+)?\r\n"
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]++:[^\r\n\0]*+\r\n)*+\r\n"
)
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"

Field = tuple[bytes, bytes]


def find_end(data: bytes | bytearray, start: int) -> int | None:
    """Where the head ends that begins at 0, behind its empty line; None: it goes on.

    start: how far it was looked through before.
    """
    found = _END.search(data, max(0, start - 3))
    return None if found is None else found.end()


def is_interim(head: bytes) -> bool:
    """Whether another head follows (RFC 9110 section 15.2). 101 is final: no one asked for another protocol."""  # noqa: E501
    return head[9:10] == b"1" and head[9:12] != b"101"


def in_order(head: bytes) -> bytes:
    """The head as a strict parser takes it; the same bytes where nothing has to be changed.

    head: whole, with its empty line. A head with NUL or without a status line of HTTP/1 stays as it is:
    browsers refuse it too. A changed head says `Connection: close`: where its reply ends may be disputed, so
    nothing behind it counts.
    - Equal lengths become one (RFC 9110 section 8.6). Lengths that differ stay, for the parser to refuse.
    - A length beside `Transfer-Encoding: chunked` goes (RFC 9112 section 6.3).
    - Blanks before the colon go; a folded line is joined to the one before (RFC 9112 sections 5.1 and 5.2).
    - A line that is no field goes, and with it a line that holds a bare CR.
    Raises SourceFailed for more fields, or longer ones, than any picture needs.
    """
    if _IN_ORDER.fullmatch(head) and not _has_disputed_length(head):
        _check_size(head.count(b"\n") - 2, head.split(b"\r\n") if len(head) > MAX_FIELD_BYTES else [])
        return head
    first, *lines = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    _check_size(len(lines), lines)
    if b"\0" in head or not _STATUS_LINE.match(first):
        return head
    fields = _one_length(_fields(lines))
    kept = [name + b": " + value for name, value in fields if name.lower() != b"connection"]
    return b"\r\n".join((first, *kept, b"Connection: close", b"", b""))


def _has_disputed_length(head: bytes) -> bool:
    """Whether there are several lengths, or one beside a transfer coding."""
    lower = head.lower()
    start = lower.find(b"\ncontent-length:")
    if start < 0:
        return False
    line = lower[start + 1 : lower.index(b"\n", start + 1)]
    return b"," in line or lower.count(b"\ncontent-length:") > 1 or b"\ntransfer-encoding:" in lower


def _check_size(count: int, lines: list[bytes]) -> None:
    if count > MAX_FIELDS or max(map(len, lines), default=0) > MAX_FIELD_BYTES + _NAME_BYTES:
        raise SourceFailed("The source's reply has too large a header.", reason=retry.PROTOCOL)


def _fields(lines: list[bytes]) -> list[Field]:
    """The lines that are fields, folded lines joined."""
    fields: list[Field] = []
    is_after_field = False
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if is_after_field and b"\r" not in line:
                name, value = fields[-1]
                fields[-1] = (name, value + b" " + line.strip(b" \t"))
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        is_after_field = bool(colon and _NAME.match(name) and b"\r" not in value)
        if is_after_field:
            fields.append((name, value.strip(b" \t")))
    return fields


def _one_length(fields: list[Field]) -> list[Field]:
    lengths = [value for name, value in fields if name.lower() == _LENGTH]
    codings = b",".join(value for name, value in fields if name.lower() == _CODING)
    others = [(name, value) for name, value in fields if name.lower() != _LENGTH]
    if codings.rpartition(b",")[2].strip(b" \t").lower() == b"chunked":
        return others
    stated = {part.strip(b" \t") for value in lengths for part in value.split(b",")}
    return [*others, (b"Content-Length", stated.pop())] if len(stated) == 1 else fields
