"""What those who look after a cache are told: what was purged, how much is kept of each host, how often it helped."""

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


@dataclass(slots=True)
class Tally:
    """Requests for images since they were last taken. hits: answered from what was held; misses: by asking an origin."""

    hits: int = 0
    misses: int = 0

    def take(self) -> "Tally":
        """What was counted so far; counting begins anew."""
        taken = Tally(self.hits, self.misses)
        self.hits = self.misses = 0
        return taken

    def add(self, other: "Tally") -> None:
        self.hits += other.hits
        self.misses += other.misses
