"""Circuit breaker: when a host that is down is left alone, and when it is tried again."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """A circuit opens after `failures` failed fetches in a row within `window_s`, for `first_s`, then twice
    that, …
    """

    failures: int = 5
    window_s: float = 60.0
    first_s: float = 5.0
    longest_s: float = 60.0
    hosts: int = 10_000
    """How many hosts are remembered; the one that failed longest ago is forgotten first."""


@dataclass(frozen=True, slots=True)
class Circuit:
    """The record of one host that failed lately. Times are seconds of one monotonic clock."""

    failures: int
    last_failure: float
    closed_at: float | None = None
    """Open until then; afterwards one fetch at a time tries whether the host is back."""
    openings: int = 0
    probe_until: float | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """Whether a fetch may go to a host.

    circuit: its state from now on.
    retry_after_s: how long the host is left alone; None: the fetch may go.
    """

    circuit: Circuit | None
    retry_after_s: float | None = None


def admit(circuit: Circuit | None, now: float, rules: BreakerRules) -> Passage:
    """Whether a fetch may go to this host.

    An open circuit lets one through when its time is over (half open).
    """
    if circuit is None or circuit.closed_at is None:
        return Passage(circuit)
    if now < circuit.closed_at:
        return Passage(circuit, circuit.closed_at - now)
    if circuit.probe_until is not None and now < circuit.probe_until:
        return Passage(circuit, min(1.0, circuit.probe_until - now))
    # A probe that never reports (it was cancelled) must not keep the circuit open for ever.
    return Passage(_with_probe(circuit, now + rules.first_s))


def failed(circuit: Circuit | None, now: float, rules: BreakerRules, *, at_least_s: float = 0.0) -> Circuit:
    """The circuit after a fetch that found the host down.

    at_least_s: how long the host asked to be left alone.
    """
    if circuit is None or (circuit.closed_at is None and now - circuit.last_failure > rules.window_s):
        failures, openings = 1, 0
    else:
        failures, openings = circuit.failures + 1, circuit.openings
    if circuit is not None and circuit.closed_at is not None and now < circuit.closed_at:
        # A fetch that was under way when the circuit opened.
        return Circuit(failures, now, circuit.closed_at, openings)
    if failures < rules.failures:
        return Circuit(failures, now, None, openings)
    wait_s = min(rules.longest_s, rules.first_s * 2.0 ** min(openings, 16))
    return Circuit(failures, now, now + max(wait_s, min(at_least_s, rules.longest_s)), openings + 1)


def _with_probe(circuit: Circuit, until: float) -> Circuit:
    return Circuit(circuit.failures, circuit.last_failure, circuit.closed_at, circuit.openings, until)


class Circuits:
    """The circuits of all hosts; a host that answers has none. Callers give the time."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._circuits: dict[str, Circuit] = {}

    def retry_after_s(self, host: str, now: float) -> float | None:
        """None: go on (this fetch may be the one that tries).

        Else fail at once; seconds until the next try.
        """
        circuit = self._circuits.get(host)
        if circuit is None:
            return None
        passage = admit(circuit, now, self._rules)
        if passage.circuit is not None:
            self._circuits[host] = passage.circuit
        return passage.retry_after_s

    def left_alone_s(self, host: str, now: float) -> float | None:
        """As `retry_after_s`, but changes nothing: for fetches that wait for a slot and may never try."""
        circuit = self._circuits.get(host)
        return admit(circuit, now, self._rules).retry_after_s if circuit else None

    def failed(self, host: str, now: float, at_least_s: float = 0.0) -> bool:
        """Records a failure; whether it opened the circuit."""
        before = self._circuits.pop(host, None)
        after = failed(before, now, self._rules, at_least_s=at_least_s)
        self._circuits[host] = after
        if len(self._circuits) > self._rules.hosts:
            del self._circuits[next(iter(self._circuits))]
        return after.openings > (before.openings if before else 0)

    def answered(self, host: str) -> None:
        """Records an answer of any kind."""
        self._circuits.pop(host, None)
