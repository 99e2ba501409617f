"""What an address leads to, and whether that may be fetched."""

from collections import OrderedDict
from dataclasses import dataclass, field

from mediasvc.core.addresses import urls
from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.errors import MediaError

_ADDRESSES_KEPT = 4096
_LONGEST_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Addresses:
    """Over the rules of wrappers and the policy; needs no network."""

    resolver: urls.Resolver
    policy: FetchPolicy
    _seen: OrderedDict[tuple[str, str | None], urls.Resolution | MediaError] = field(
        default_factory=OrderedDict, init=False, repr=False, compare=False
    )

    def lead(self, address: str, base: str | None = None) -> urls.Resolution | MediaError:
        """What an address leads to, or why it may not be fetched, for callers that look at many.

        The same articles are rendered again and again, so the answers of a few thousand addresses are kept.
        """
        key = (address, base)
        known = self._seen.get(key)
        if known is None:
            try:
                known = self.resolver.resolve(address, base)
                self.policy.check_url(known.origin)
            except MediaError as error:
                known = error
            if len(address) <= _LONGEST_KEPT:
                if len(self._seen) >= _ADDRESSES_KEPT:
                    self._seen.popitem(last=False)
                self._seen[key] = known
        return known

    def resolve(self, address: str) -> urls.Resolution:
        """The origin behind an address, layer by layer. InvalidRequest; SourceRefused, for literal addresses too."""
        resolution = self.resolver.resolve(address)
        self.policy.check_literal(resolution.origin)
        return resolution

    def explain(self, address: str) -> urls.Resolution:
        """As resolve, for people who ask: a `data:` URL is its own origin, though nothing that could be fetched."""
        if address.strip()[:5].lower() == "data:":
            return urls.Resolution(address, urls.SourceUrl(address), ())
        return self.resolve(address)
