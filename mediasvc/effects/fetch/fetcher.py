"""A bounded GET: policy on every hop, guard on every socket, caps on the stream, retries within one deadline."""  # noqa: E501

import asyncio
import functools
import hashlib
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, assert_never
from urllib.parse import urlsplit

from mediasvc import __version__, logs, metrics
from mediasvc.core.addresses import urls
from mediasvc.core.addresses.policy import FetchPolicy
from mediasvc.core.addresses.urls import SourceUrl
from mediasvc.core.http import content_coding, origin_reply, retry
from mediasvc.core.http.breaker import BreakerRules, Circuits
from mediasvc.core.http.host_headers import HostHeaders, HostRule, request_fields
from mediasvc.core.http.origin_reply import FetchRules
from mediasvc.effects.fetch import Exchanges, Fetched, OriginReply, Sink, Validators
from mediasvc.errors import MediaError, SourceFailed, SourceRefused, SourceTimeout, SourceTooLarge

AGENT: Final = f"mediasvc/{__version__} (+https://pypi.org/project/mediasvc/)"
VIA: Final = "mediasvc"
_OK: Final = "ok"
_NOT_MODIFIED: Final = "not_modified"
_GOES_WELL: Final = (_OK, _NOT_MODIFIED)
_HOSTS: Final = 1024  # remembered


@dataclass(frozen=True, slots=True)
class _Host:
    """Facts about all URLs of one scheme, host and port.

    name: host and port as URLs have them.
    fields: of a request without conditions.
    open_fields: the same without what may be secret.
    """

    name: str
    rule: HostRule
    fields: Mapping[str, str]
    open_fields: Mapping[str, str]


class _SpeedWatch:
    """Ends a scope when fewer bytes than required arrived within a window. Costs one addition per piece."""

    def __init__(self, rules: FetchRules, scope: asyncio.Timeout) -> None:
        self.bytes = 0
        self.is_too_slow = False
        self._least = rules.min_speed * rules.speed_window_s
        self._window_s = rules.speed_window_s
        self._seen = 0
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._window_s, self._look) if self._least else None

    def _look(self) -> None:
        if self.bytes - self._seen < self._least:
            self.is_too_slow = True
            self._scope.reschedule(self._loop.time())
            return
        self._seen = self.bytes
        self._timer = self._loop.call_later(self._window_s, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


@dataclass(slots=True)
class _Fetch:
    """One fetch under way.

    deadline: of the loop's clock, moved on by the time spent waiting for a slot.
    """

    url: SourceUrl
    sink: Sink
    validators: Validators | None
    deadline: float
    tries: int = 0
    host: str = ""
    failure: SourceFailed | SourceTimeout | None = None
    """Of the last try."""
    is_begun: bool = False
    """Bytes have been written."""

    def conditions(self, here: str) -> dict[str, str]:
        """The conditional fields.

        A validator goes only to the URL that it came from: elsewhere it could fit by chance.
        """
        known = self.validators
        if known is None or here != (known.url or self.url):
            return {}
        conditions = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
        return {name: value for name, value in conditions.items() if value}


class Fetcher:
    """Fetches originals; keeps nothing itself.

    agent: User-Agent.
    via: our name in Via, which identifies requests that come back to this service.
    clock: monotonic seconds.
    today: the present moment, aware UTC.
    chance: 0 to 1, for the jitter.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        rules: FetchRules,
        headers: HostHeaders,
        connections: Exchanges,
        *,
        agent: str = AGENT,
        via: str = VIA,
        breaker: BreakerRules | None = None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._rules = rules
        self._headers = headers
        self._connections = connections
        self._agent = agent
        self._via = via
        self._circuits = Circuits(breaker or BreakerRules())
        self._backoff = retry.Backoff(rules.retries)
        self._log = logs.get()
        self._clock = clock
        self._today = today
        self._chance = chance
        self._counter = functools.cache(metrics.fetches.labels)
        self._host = functools.lru_cache(_HOSTS)(self._look_at)

    async def fetch(self, url: SourceUrl, sink: Sink, validators: Validators | None = None) -> Fetched:
        """Fetches one original into `sink`, or finds that the stored one is still current.

        Raises SourceRefused, SourceMissing, SourceTooLarge, SourceFailed, SourceTimeout, Overloaded, and
        whatever the sink raises. After an error the sink may have part of a body.
        """
        began = time.monotonic()
        loop = asyncio.get_running_loop()
        fetch = _Fetch(url, sink, validators, loop.time() + self._rules.timeout_s)
        outcome, size = "cancelled", 0
        try:
            fetched = await self._with_retries(fetch)
            outcome, size = _NOT_MODIFIED if fetched.not_modified else _OK, fetched.bytes
            return fetched
        except MediaError as error:
            outcome = error.code
            if isinstance(error, SourceRefused):
                metrics.refused_sources.labels(error.reason).inc()
            raise
        finally:
            seconds = time.monotonic() - began
            self._counter(outcome).inc()
            metrics.fetch_duration_s.observe(seconds)
            self._log_outcome(fetch, outcome, size, seconds)

    def _log_outcome(self, fetch: _Fetch, outcome: str, size: int, seconds: float) -> None:
        """Failures are logged as info, success as debug."""
        level = logging.DEBUG if outcome in _GOES_WELL else logging.INFO
        if self._log.is_enabled_for(level):
            self._log.log(
                level,
                "source.fetched",
                host=logs.host_of(fetch.url),
                outcome=outcome,
                tries=fetch.tries,
                bytes=size,
                ms=round(seconds * 1000),
            )

    async def _with_retries(self, fetch: _Fetch) -> Fetched:
        while True:
            fetch.tries += 1
            try:
                return await self._follow(fetch)
            except (SourceFailed, SourceTimeout) as error:
                remaining_s = fetch.deadline - asyncio.get_running_loop().time()
                wait_s = self._backoff.wait_s(
                    fetch.tries, error, remaining_s=remaining_s, chance=self._chance()
                )
                if wait_s is None:
                    # One failure per fetch, not per try. A circuit that opened meanwhile must not hide the
                    # earlier failure.
                    found = fetch.failure if fetch.failure and error.reason == retry.CIRCUIT else error
                    self._note(fetch.host, found)
                    if found is error:
                        raise
                    raise found from error
                fetch.failure = error
            await asyncio.sleep(wait_s)
            if fetch.is_begun:
                await fetch.sink.restart()
                fetch.is_begun = False

    def _note(self, host: str, failure: MediaError) -> None:
        if retry.host_is_down(failure) and self._circuits.failed(
            host, self._clock(), failure.retry_after_s or 0
        ):
            metrics.breaker_open.inc()

    async def _follow(self, fetch: _Fetch) -> Fetched:
        """Follows redirects one by one; each target is checked as the first URL was.

        After https, a hop over http gets no header that may be secret: everyone on the way could read it.
        """
        here = fetch.url
        was_secure = False
        for _ in range(self._rules.max_redirects + 1):
            self._policy.check_url(here)
            host = self._host(urls.split_origin(here)[0])
            is_secure = here.startswith("https:")
            fields = host.open_fields if was_secure and not is_secure else host.fields
            was_secure = was_secure or is_secure
            result = await self._ask(fetch, here, host, fields)
            if isinstance(result, Fetched):
                return result
            try:
                here = urls.normalise(result.location, base=here)
            except SourceRefused:
                raise
            except MediaError as error:
                raise SourceFailed("The source redirects to nowhere.", reason=retry.PROTOCOL) from error
        raise SourceFailed("The source redirects too often.", reason=retry.REDIRECTS)

    def _look_at(self, origin: str) -> _Host:
        """Facts about an origin, computed once for all of its URLs."""
        parts = urlsplit(origin)
        rule = self._headers.rule_for(parts.hostname or "")
        return _Host(
            name=parts.netloc,
            rule=rule,
            fields=request_fields(rule, self._agent, self._via, {}),
            open_fields=request_fields(rule.without_secrets(), self._agent, self._via, {}),
        )

    async def _ask(
        self, fetch: _Fetch, here: SourceUrl, host: _Host, fields: Mapping[str, str]
    ) -> Fetched | origin_reply.Redirect:
        """One hop, under a slot of its host and its circuit."""
        fetch.host = name = host.name
        if host.rule.stand_in_paths and host.rule.is_stand_in(urlsplit(here).path):
            raise _stand_in()
        _fail_if(self._circuits.left_alone_s(name, self._clock()))
        async with self._connections.slot(name) as waited_s:
            fetch.deadline += waited_s
            # Again: during the wait others may have found the host down.
            _fail_if(self._circuits.retry_after_s(name, self._clock()))
            try:
                result = await self._exchange(fetch, here, host, fields)
            except MediaError as error:
                if not retry.host_is_down(error) and not isinstance(error, SourceRefused):
                    self._circuits.answered(name)
                raise
            self._circuits.answered(name)
            return result

    async def _exchange(
        self, fetch: _Fetch, here: SourceUrl, host: _Host, fields: Mapping[str, str]
    ) -> Fetched | origin_reply.Redirect:
        conditions = fetch.conditions(here)
        fields = {**fields, **conditions} if conditions else fields
        watch: _SpeedWatch | None = None
        try:
            async with (
                asyncio.timeout_at(fetch.deadline) as scope,
                self._connections.exchange(here, fields) as reply,
            ):
                verdict = origin_reply.judge(
                    reply.status,
                    reply.headers,
                    self._today(),
                    is_conditional=bool(conditions),
                    max_bytes=self._rules.max_bytes,
                )
                match verdict:
                    case origin_reply.Redirect():
                        return verdict
                    case origin_reply.NotModified():
                        return Fetched(304, origin_reply.kept(reply.headers), here, 0, not_modified=True)
                    case origin_reply.Body(length=length):
                        watch = _SpeedWatch(self._rules, scope)
                        size = await self._receive(fetch, reply, watch, length, host.rule.stand_in_digests)
                        return Fetched(200, origin_reply.kept(reply.headers), here, size, not_modified=False)
                    case _:
                        assert_never(verdict)
        except TimeoutError as error:
            if watch is None:
                raise SourceTimeout(
                    "The source did not answer in time.", reason=retry.HEAD_DEADLINE
                ) from error
            if watch.is_too_slow:
                raise SourceTimeout("The source is too slow.", reason=retry.SPEED) from error
            raise SourceTimeout("The source missed its deadline.", reason=retry.DEADLINE) from error
        finally:
            if watch is not None:
                watch.stop()
                metrics.fetched_bytes.inc(watch.bytes)

    async def _receive(
        self,
        fetch: _Fetch,
        reply: OriginReply,
        watch: _SpeedWatch,
        length: int | None,
        stand_ins: frozenset[str],
    ) -> int:
        """Writes the body into the sink; how many bytes, counted after decoding."""
        decoder = content_coding.decoder_for(reply.headers.get("content-encoding", ""), self._rules.max_bytes)
        digest = hashlib.sha256() if stand_ins else None
        write = fetch.sink.write if digest is None else _noting(digest, fetch.sink.write)
        size = 0
        while arrived := await reply.read():
            watch.bytes += len(arrived)
            if watch.bytes > self._rules.max_bytes:
                raise SourceTooLarge("The source is larger than allowed.", reason="bytes")
            fetch.is_begun = True
            for piece in decoder.feed(arrived) if decoder else (arrived,):
                size += len(piece)
                await write(piece)
        if length is not None and watch.bytes != length:
            raise SourceFailed("The source's reply is not as long as it says.", reason=retry.TRUNCATED)
        for piece in decoder.end() if decoder else ():
            size += len(piece)
            await write(piece)
        if digest and digest.hexdigest() in stand_ins:
            raise _stand_in()
        return size


def _noting(
    digest: "hashlib._Hash", write: Callable[[bytes], Awaitable[None]]
) -> Callable[[bytes], Awaitable[None]]:
    def noted(piece: bytes) -> Awaitable[None]:
        digest.update(piece)
        return write(piece)

    return noted


def _fail_if(left_alone_s: float | None) -> None:
    if left_alone_s is not None:
        raise SourceFailed(
            "The source's host is down.", reason=retry.CIRCUIT, retry_after_s=math.ceil(left_alone_s)
        )


def _stand_in() -> SourceFailed:
    return SourceFailed("The source shows a stand-in for the picture.", reason=retry.STAND_IN)
