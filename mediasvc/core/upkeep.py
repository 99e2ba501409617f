"""What an index tells those who look after it: what was purged, and how much is kept of each host."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purged:
    """News of a purge: forget this URL, and these blobs, to which nothing refers any more."""

    url: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostUse:
    """How much is kept of one host. bytes: of its originals."""

    host: str
    sources: int
    bytes: int
