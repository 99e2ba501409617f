"""What an address leads to, and whether that may be fetched."""

from collections import OrderedDict
from typing import Final

from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.core.addresses.urls import Resolution, Resolver, SourceUrl
from mediasvc.errors import MediaError

_ANSWERS_KEPT: Final = 4096
_LONGEST_KEPT_CHARS: Final = 1024


class Addresses:
    """The rules of wrappers and the policy together; needs no network."""

    def __init__(self, resolver: Resolver, policy: FetchPolicy) -> None:
        self.resolver = resolver
        self.policy = policy
        self._answers: OrderedDict[tuple[str, str | None], Resolution | MediaError] = OrderedDict()

    def lead(self, address: str, base: str | None = None) -> Resolution | MediaError:
        """What an address leads to, or why that may not be fetched, for callers that look at many.

        The same articles are rendered again and again, so the answers of a few thousand addresses are kept.
        """
        key = (address, base)
        answer = self._answers.get(key)
        if answer is None:
            try:
                answer = self.resolver.resolve(address, base)
                self.policy.check_url(answer.origin)
            except MediaError as error:
                answer = error
            if len(address) <= _LONGEST_KEPT_CHARS:
                if len(self._answers) >= _ANSWERS_KEPT:
                    self._answers.popitem(last=False)
                self._answers[key] = answer
        return answer

    def resolve(self, address: str) -> Resolution:
        """The origin behind an address, layer by layer.

        Raises InvalidRequest, and SourceRefused for an origin that is an IP address which may not be fetched.
        """
        resolution = self.resolver.resolve(address)
        self.policy.check_literal(resolution.origin)
        return resolution

    def allowed_origin(self, address: str) -> SourceUrl:
        """The origin behind an address, if it may be fetched. Raises InvalidRequest, SourceRefused."""
        origin = self.resolve(address).origin
        self.policy.check_url(origin)
        return origin

    def origin(self, address: str) -> SourceUrl:
        """The origin behind an address, whether or not it may be fetched.

        Raises InvalidRequest, SourceRefused.
        """
        return self.resolver.resolve(address).origin

    def explain(self, address: str) -> Resolution:
        """As resolve, for people who ask: a `data:` URL is its own origin, although it cannot be fetched."""
        if address.strip()[:5].lower() == "data:":
            return Resolution(address, SourceUrl(address), ())
        return self.resolve(address)
