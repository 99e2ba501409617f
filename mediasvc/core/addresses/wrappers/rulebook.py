"""Which wrapper rules may read a URL, by its host, in the order to try."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from mediasvc.core.addresses.host_patterns import HostPattern
from mediasvc.core.addresses.wrappers.rules import Rule

# Of one file, the rules that name the host, or those for any; each behind what its URLs must contain.
Stage = tuple[tuple[frozenset[str], Rule], ...]

# Looked for before the texts that hold them: a letter is found ten times as fast, and most URLs have few of
# these.
_RARE = "_=?-."


class Rulebook:
    """Rules found by host with a few dictionary look-ups; hosts seen lately are remembered, 4096 of them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._needles = _by_letter({needle for rule in rules for needle in rule.contains})
        self._rules = tuple(rules)
        self._named: dict[str, list[int]] = defaultdict(list)
        self._starred: dict[str, list[tuple[HostPattern, int]]] = defaultdict(list)
        for position, rule in enumerate(rules):
            for pattern in rule.hosts:
                if pattern.expression is None:
                    self._named[pattern.text].append(position)
                else:
                    self._starred[pattern.literal_suffix].append((pattern, position))
        self._labelled = [position for position, rule in enumerate(rules) if rule.labels]
        self._for_any = {
            position for position, rule in enumerate(rules) if not rule.hosts and not rule.labels
        }
        self._arranged = lru_cache(maxsize=1024)(self._arrange)
        self.stages_for = lru_cache(maxsize=4096)(self._find_stages)

    def hits(self, text: str) -> list[str]:
        """Of the texts that some rule wants a URL to contain, those that this one does. text: in lower case."""  # noqa: E501
        return [
            needle
            for letter, needles in self._needles
            if letter in text
            for needle in needles
            if needle in text
        ]

    def _find_stages(self, host: str) -> tuple[Stage, ...]:
        """host: normalised. Of each file first the rules that name the host, then those for any."""
        name = host.rstrip(".")
        positions = self._for_any | set(self._named.get(name, ()))
        suffix = name
        while suffix:
            suffix = suffix.partition(".")[2]
            positions.update(at for pattern, at in self._starred.get(suffix, ()) if pattern.matches(name))
        positions.update(at for at in self._labelled if self._rules[at].is_for(name))
        return self._arranged(tuple(sorted(positions)))

    def _arrange(self, positions: tuple[int, ...]) -> tuple[Stage, ...]:
        """Within a stage those without a gate come first, so that a URL which passes no gate is soon through."""  # noqa: E501
        rules = [self._rules[position] for position in positions]
        stages = []
        for file in dict.fromkeys(rule.file for rule in rules):
            for is_named in (True, False):
                stage = [
                    (rule.contains, rule)
                    for rule in rules
                    if rule.file == file and bool(rule.hosts) is is_named
                ]
                stages.append(tuple(sorted(stage, key=lambda pair: bool(pair[0]))))
        return tuple(stage for stage in stages if stage)


def _by_letter(needles: set[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Pairs of a rare letter, "" where they have none, and the needles that hold it."""
    found: dict[str, list[str]] = defaultdict(list)
    for needle in sorted(needles):
        found[next((letter for letter in _RARE if letter in needle), "")].append(needle)
    return tuple((letter, tuple(those)) for letter, those in found.items())
