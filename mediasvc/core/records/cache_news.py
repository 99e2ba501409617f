"""Cache news: which URLs were purged, how much is stored of each host, how many requests the cache answered."""  # noqa: E501

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purged:
    """A purge by any process.

    url: whose original was forgotten.
    digests: blobs to which no entry refers any more.
    """

    url: str
    digests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostUse:
    """How much is stored of one host.

    bytes: of its originals.
    """

    host: str
    sources: int
    bytes: int


@dataclass(slots=True)
class Tally:
    """Requests for images since the counts were last taken.

    hits: answered from the cache.
    misses: answered by asking an origin.
    """

    hits: int = 0
    misses: int = 0

    def take(self) -> "Tally":
        """The counts so far; counting begins anew."""
        taken = Tally(self.hits, self.misses)
        self.hits = self.misses = 0
        return taken

    def add(self, other: "Tally") -> None:
        """Adds the counts of another tally."""
        self.hits += other.hits
        self.misses += other.misses
