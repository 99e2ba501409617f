"""Compression of queue messages, with a bound on what they decompress to."""

import zlib

# More than any chunk comes to; whoever can write into the queue shall not fill our memory with one message.
MOST_BYTES = 1 << 30


def compress(data: bytes) -> bytes:
    """In zlib's format, at its quickest."""
    return zlib.compress(data, 1)


def decompress(data: bytes, most_bytes: int = MOST_BYTES) -> bytes:
    """What compress was given. ValueError on anything else, and on more than most_bytes."""
    engine = zlib.decompressobj()
    try:
        whole = engine.decompress(data, most_bytes)
    except zlib.error as error:
        raise ValueError("not what was sent") from error
    if not engine.eof or engine.unused_data:
        raise ValueError("cut short, or larger than any message of ours")
    return whole
