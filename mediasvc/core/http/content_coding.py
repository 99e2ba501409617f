"""One layer of content coding taken off a reply, within bounds."""

import zlib
from dataclasses import dataclass
from typing import Protocol

from mediasvc.core.http import retry
from mediasvc.errors import SourceFailed, SourceTooLarge

_FREE_BYTES = 1024 * 1024
_STEP_BYTES = 256 * 1024
_IDENTITY = frozenset({"", "identity"})
_GZIP = frozenset({"gzip", "x-gzip"})


class Decoder(Protocol):
    """Turns pieces as they arrive into pieces of the body."""

    def feed(self, piece: bytes) -> list[bytes]: ...

    def end(self) -> list[bytes]: ...


@dataclass(slots=True)
class Inflater:
    """gzip or deflate, one member, inflated in bounded steps.

    max_ratio: inflated bytes for one that arrived, beyond the first MiB; a picture is hardly compressible, a bomb is.
    """

    gzip: bool
    max_bytes: int
    max_ratio: int = 100
    _arrived: int = 0
    _inflated: int = 0
    _engine: "zlib._Decompress | None" = None

    def feed(self, piece: bytes) -> list[bytes]:
        """Pieces of at most 256 KiB. SourceFailed: not what its coding says. SourceTooLarge: over a bound."""
        self._arrived += len(piece)
        if self._engine is None:
            # "deflate" is zlib's format, but some servers send it bare (RFC 9110 section 8.4.1.2).
            bare = not self.gzip and (piece[:1] or b"\0")[0] & 0x0F != 8
            self._engine = zlib.decompressobj(31 if self.gzip else -15 if bare else 15)
        pieces: list[bytes] = []
        while piece:
            if self._engine.eof:
                # A second member or rubbish: each costs its own set-up, and no picture needs it.
                raise SourceFailed(
                    "The source's compressed reply goes on after its end.", reason=retry.CODING
                )
            pieces += self._step(self._engine, piece)
            piece = self._engine.unconsumed_tail or self._engine.unused_data
        return pieces

    def end(self) -> list[bytes]:
        """What was held back. SourceFailed: the compressed stream is not whole."""
        # A bare stream has no trailer: its last bytes can be in when a step was full.
        pieces = self._step(self._engine, b"") if self._engine and not self._engine.eof else []
        if self._engine is None or not self._engine.eof:
            raise SourceFailed("The source's compressed reply is cut short.", reason=retry.TRUNCATED)
        return pieces

    def _step(self, engine: "zlib._Decompress", piece: bytes) -> list[bytes]:
        try:
            inflated = engine.decompress(piece, _STEP_BYTES)
        except zlib.error as error:
            raise SourceFailed("The source's compressed reply is broken.", reason=retry.CODING) from error
        self._inflated += len(inflated)
        if self._inflated > self.max_bytes:
            raise SourceTooLarge("The source is larger than allowed once decompressed.", reason="bytes")
        if self._inflated > max(_FREE_BYTES, self.max_ratio * self._arrived):
            raise SourceTooLarge("The source's reply is a decompression bomb.", reason="ratio")
        return [inflated] if inflated else []


def decoder_for(content_encoding: str, max_bytes: int) -> Decoder | None:
    """What takes the coding off; None: there is none. content_encoding: the joined field.

    SourceFailed: a coding that we did not ask for and do not take, or several of them.
    Source: RFC 9110 section 8.4; we send `Accept-Encoding: identity`.
    """
    if not content_encoding:
        return None
    codings = [
        c for c in (part.strip().lower() for part in content_encoding.split(",")) if c not in _IDENTITY
    ]
    if not codings:
        return None
    if len(codings) > 1 or (codings[0] not in _GZIP and codings[0] != "deflate"):
        raise SourceFailed("The source's reply is encoded in a way that we do not take.", reason=retry.CODING)
    return Inflater(gzip=codings[0] in _GZIP, max_bytes=max_bytes)
