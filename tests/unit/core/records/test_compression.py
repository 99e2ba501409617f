"""Messages of the queue come back as they were sent, or are refused."""

import zlib

import pytest

from mediasvc.core.records.compression import compress, decompress


@pytest.mark.parametrize("data", [b"", b"a", "湖边".encode() * 50_000])
def test_a_message_comes_back_as_it_was(data: bytes) -> None:
    assert decompress(compress(data)) == data
    assert len(compress(data)) <= len(data) + 16


@pytest.mark.parametrize(
    "message",
    [b"", b"no zlib", compress(b"a" * 5000)[:-3], compress(b"a") + b"behind", zlib.compress(bytes(10_000))],
    ids=["nothing", "another form", "cut short", "more behind it", "too much"],
)
def test_anything_else_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"not what was sent|cut short"):
        decompress(message, 9_999)
