"""Decides which files are articles, by their names."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType

from mediasvc.core.text.reference import ArticleType

_TYPES = MappingProxyType(
    {
        ".md": ArticleType.MARKDOWN,
        ".markdown": ArticleType.MARKDOWN,
        ".mdx": ArticleType.MARKDOWN,
        ".html": ArticleType.HTML,
        ".htm": ArticleType.HTML,
        ".xhtml": ArticleType.HTML,
    }
)
ENDINGS = ", ".join(f"*{ending}" for ending in _TYPES)


def type_of(name: str) -> ArticleType | None:
    """The type that the ending of a name states; None for other endings."""
    # Not by Path: one for each of 100,000 names costs more than everything else.
    return _TYPES.get(os.path.splitext(name)[1].lower())  # noqa: PTH122


@dataclass(frozen=True, slots=True)
class Selection:
    """The articles of a run: files of the usual endings, and more or fewer by patterns.

    include: patterns of further articles, such as "*.liquid" or "layouts/*".
    exclude: patterns of files that are no articles; a pattern that names a folder excludes all files in it.
    type: how files of other endings are read; None detects it.
    Patterns are matched against the path below the folder that the command names; `*` matches "/" too.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    type: ArticleType | None = None

    def has(self, path: str) -> bool:
        """Whether a file is an article. path: below the folder, with "/" between its parts."""
        chosen = type_of(path) is not None or _matches(self.include, path)
        return chosen and not (self.exclude and _matches(self.exclude, path))

    def type_of(self, path: str) -> ArticleType | None:
        """How an article is read; None: its content decides."""
        return type_of(path) or self.type

    def has_named(self, name: str) -> bool:
        """Whether a file that the command names by itself is an article."""
        return type_of(name) is not None or self.type is not None or _matches(self.include, name)


def _matches(patterns: Iterable[str], path: str) -> bool:
    for pattern in patterns:
        # "**/a.md" must match "a.md" at the top as well.
        for form in {pattern.rstrip("/"), pattern.rstrip("/").removeprefix("**/")}:
            end = len(path)
            while end > 0:
                if fnmatchcase(path[:end], form):
                    return True
                end = path.rfind("/", 0, end)
    return False
