"""One layer of content coding taken off a reply, within bounds."""

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import brotli

from mediasvc.core.http import retry
from mediasvc.errors import SourceFailed, SourceTooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_FREE_BYTES: Final = 1024 * 1024
_STEP_BYTES: Final = 256 * 1024
_MAX_RATIO: Final = 100
_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB, the most that the content coding may ask for (RFC 9659)."""


class _Decompressor(Protocol):
    """One decompressor. decode raises one of `errors` for a broken stream.

    is_whole: the stream has ended.
    has_more: decoded bytes wait inside; `decode(b"")` gives them.
    """

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    @property
    def is_whole(self) -> bool: ...

    @property
    def has_more(self) -> bool: ...

    def decode(self, piece: bytes) -> tuple[bytes, bytes]:
        """(decoded bytes, the part of the piece that was not read yet). About 256 KiB at a time."""
        ...


class Decoder:
    """Turns pieces as they arrive into pieces of the body.

    Decoded bytes may be 100 times those that arrived, beyond the first MiB: a picture can hardly be
    compressed, a bomb can.
    """

    def __init__(self, engine: _Decompressor, max_bytes: int) -> None:
        self._engine = engine
        self._max_bytes = max_bytes
        self._arrived = 0
        self._decoded = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Pieces of the body. SourceFailed: not what its coding says. SourceTooLarge: over a bound."""
        self._arrived += len(piece)
        pieces: list[bytes] = []
        while piece or self._engine.has_more:
            if piece and self._engine.is_whole:
                # A second member or rubbish: each costs its own set-up, and no picture needs it.
                raise SourceFailed(
                    "The source's compressed reply goes on after its end.", reason=retry.CODING
                )
            decoded, piece = self._step(piece)
            pieces += decoded
        return pieces

    def end(self) -> list[bytes]:
        """The bytes that were held back. SourceFailed: the compressed stream is not whole."""
        pieces: list[bytes] = []
        # Bare deflate and brotli have no trailer: their last bytes can be in when a step was full.
        while not self._engine.is_whole and (decoded := self._step(b"")[0]):
            pieces += decoded
        if not self._engine.is_whole:
            raise SourceFailed("The source's compressed reply is cut short.", reason=retry.TRUNCATED)
        return pieces

    def _step(self, piece: bytes) -> tuple[list[bytes], bytes]:
        try:
            decoded, rest = self._engine.decode(piece)
        except self._engine.errors as error:
            raise SourceFailed("The source's compressed reply is broken.", reason=retry.CODING) from error
        self._decoded += len(decoded)
        if self._decoded > self._max_bytes:
            raise SourceTooLarge("The source is larger than allowed once decompressed.", reason="bytes")
        if self._decoded > max(_FREE_BYTES, _MAX_RATIO * self._arrived):
            raise SourceTooLarge("The source's reply is a decompression bomb.", reason="ratio")
        return [decoded] if decoded else [], rest


class _Zlib:
    """gzip, and deflate in both of its forms; one member."""

    errors = (zlib.error,)

    @property
    def has_more(self) -> bool:
        return False

    def __init__(self, *, is_gzip: bool) -> None:
        self._is_gzip = is_gzip
        self._inner: zlib._Decompress | None = None

    @property
    def is_whole(self) -> bool:
        return self._inner is not None and self._inner.eof

    def decode(self, piece: bytes) -> tuple[bytes, bytes]:
        if self._inner is None:
            # "deflate" is zlib's format, but some servers send it bare (RFC 9110 section 8.4.1.2).
            is_bare = not self._is_gzip and (piece[:1] or b"\0")[0] & 0x0F != 8
            self._inner = zlib.decompressobj(31 if self._is_gzip else -15 if is_bare else 15)
        decoded = self._inner.decompress(piece, _STEP_BYTES)
        return decoded, self._inner.unconsumed_tail or self._inner.unused_data


class _Brotli:
    """br (RFC 7932). The decompressor itself refuses bytes behind the end."""

    errors = (brotli.error,)

    def __init__(self) -> None:
        self._inner = brotli.Decompressor()

    @property
    def is_whole(self) -> bool:
        return bool(self._inner.is_finished())

    @property
    def has_more(self) -> bool:
        return not self.is_whole and not self._inner.can_accept_more_data()

    def decode(self, piece: bytes) -> tuple[bytes, bytes]:
        if self.has_more and piece:
            return self._inner.process(b"", output_buffer_limit=_STEP_BYTES), piece
        return self._inner.process(piece, output_buffer_limit=_STEP_BYTES), b""


class _Zstd:
    """zstd (RFC 8878), one frame."""

    errors = (zstd.ZstdError,)

    def __init__(self) -> None:
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._inner = zstd.ZstdDecompressor(options=options)

    @property
    def is_whole(self) -> bool:
        return self._inner.eof

    @property
    def has_more(self) -> bool:
        return not self._inner.eof and not self._inner.needs_input

    def decode(self, piece: bytes) -> tuple[bytes, bytes]:
        if self.has_more and piece:
            return self._inner.decompress(b"", _STEP_BYTES), piece
        return self._inner.decompress(piece, _STEP_BYTES), self._inner.unused_data


_ENGINES: Final[Mapping[str, Callable[[], _Decompressor]]] = {
    "gzip": lambda: _Zlib(is_gzip=True),
    "x-gzip": lambda: _Zlib(is_gzip=True),
    "deflate": lambda: _Zlib(is_gzip=False),
    "br": _Brotli,
    "zstd": _Zstd,
}


def decoder_for(content_encoding: str, max_bytes: int) -> Decoder | None:
    """What takes the coding off; None: there is none.

    content_encoding: the joined field. Words that name no coding ("UTF-8", "none", "aws-chunked", a mistake
    in an object's metadata) are passed over, as browsers do: the bytes decide whether this is a picture.
    SourceFailed: several codings, one over the other. Source: RFC 9110 section 8.4; we send `Accept-Encoding:
    identity`, and some caches answer `br` all the same.
    """
    if not content_encoding:
        return None
    words = [word.strip().lower() for word in content_encoding.split(",")]
    codings = [word for word in words if word in _ENGINES]
    if not codings:
        return None
    if len(codings) > 1:
        raise SourceFailed("The source's reply is encoded in a way that we do not take.", reason=retry.CODING)
    return Decoder(_ENGINES[codings[0]](), max_bytes)
