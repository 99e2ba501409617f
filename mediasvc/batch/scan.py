"""Which articles there are, and where each of them is to be written."""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path

from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import InvalidRequest

MARKDOWN_ENDINGS = frozenset({".md", ".markdown"})
HTML_ENDINGS = frozenset({".html", ".htm"})
_FOLDERS_AT_ONCE = 16

Named = tuple[os.DirEntry[str], str]  # a file, and its name below the path that was given
Unread = Callable[[Path, OSError], None]  # a folder, and why it cannot be read


def _pass_over(_folder: Path, _error: OSError) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Item:
    """One article. out: where it goes; name: out relative to the output folder, with "/" between its parts.

    root: the output folder, absolute.
    """

    path: Path
    out: Path
    name: str
    type: ArticleType
    root: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Where a run reads and writes. root: the output folder, which the report's paths are relative to.

    others: real paths that belong to other plans of the run, though they may lie below this one's.
    """

    paths: tuple[Path, ...]
    root: Path
    assets: Path
    in_place: bool
    others: frozenset[str] = frozenset()


def plans(paths: Sequence[Path], out: Path | None, assets: Path | None) -> list[Plan]:
    """One plan with --out; in place (out None) one for each folder, with assets inside it.

    InvalidRequest where a path is not there, or the output folder is the input.
    """
    for path in paths:
        if not path.exists():
            raise InvalidRequest(f"{path}: no such file or folder")
        if path.is_file() and type_of(path.name) is None:
            raise InvalidRequest(
                f"{path}: not an article; its name should end in .md, .markdown, .html or .htm"
            )
    if out is not None:
        if any(path.is_dir() and path.resolve() == out.resolve() for path in paths):
            raise InvalidRequest(f"{out} is the input too; to write over it, say --in-place")
        return [Plan(tuple(paths), out, assets or out / "assets", in_place=False)]
    # By the real folder: a path may be named in several ways, and is done once.
    by_root: dict[str, tuple[Path, dict[str, Path]]] = {}
    for path in paths:
        # Through a link that was named: the file behind it is the article.
        path = path.resolve() if path.is_symlink() else path
        root = path if path.is_dir() else path.parent
        by_root.setdefault(os.path.realpath(root), (root, {}))[1].setdefault(os.path.realpath(path), path)
    all_paths = frozenset(real for _, some in by_root.values() for real in some)
    return [
        Plan(
            tuple(some.values()), root, assets or root / "assets", in_place=True, others=all_paths - set(some)
        )
        for root, some in by_root.values()
    ]


def check(where: Plan) -> int:
    """How many articles there are.

    InvalidRequest where there is none, two would be written to one place, or one over the input.
    """
    _check_input(where)
    count = _count(where)
    if count == 0:
        names = ", ".join(str(path) for path in where.paths)
        raise InvalidRequest(f"no articles (*.md, *.markdown, *.html, *.htm) in {names}")
    return count


def _check_input(where: Plan) -> None:
    """What is written must not be what is read: the output folder may lie above the input."""
    if where.in_place:
        return
    root = os.path.realpath(where.root)
    below = [(path, os.path.relpath(os.path.realpath(path), root)) for path in where.paths]
    files = {name for path, name in below if not path.is_dir()}
    folders = tuple(f"{name}/" for path, name in below if path.is_dir())
    # The scan is only made where one lies in the other: elsewhere the names lead up first.
    if all(f"{name}/".startswith("../") for _, name in below):
        return
    for item in scan(where):
        if item.name in files or item.name.startswith(folders):
            raise InvalidRequest(
                f"{item.path} would be written to {item.out}, which is input too; to write over it, say --in-place"
            )


def _count(where: Plan) -> int:
    if len(where.paths) == 1:
        return sum(1 for _ in _found(where, False, _pass_over))
    if where.in_place:
        return sum(1 for _ in scan(where))
    # Of each name only a number: there may be 100,000.
    marks: set[int] = set()
    count = 0
    for count, item in enumerate(scan(where), 1):  # noqa: B007  # of the last one
        mark = hash(item.name)
        if mark in marks:
            _check_apart(where, item)
        marks.add(mark)
    return count


def _check_apart(where: Plan, item: Item) -> None:
    other = next(one for one in scan(where) if one.name == item.name)
    if other.path != item.path:
        raise InvalidRequest(
            f"{other.path} and {item.path} would both become {item.name}; rewrite them into folders of their own"
        )


def type_of(name: str) -> ArticleType | None:
    """By the ending of a file's name; None: not an article."""
    ending = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a Path for each of 100,000 names costs more than the rest
    if ending in MARKDOWN_ENDINGS:
        return ArticleType.MARKDOWN
    return ArticleType.HTML if ending in HTML_ENDINGS else None


def scan(where: Plan, *, spread: bool = False, unread: Unread = _pass_over) -> Iterator[Item]:
    """Every article below the plan's paths, once, folder by folder in name order, read as it is asked for.

    spread: neighbours, which are often of one site, far apart instead, so that no origin has to bear all the work
    at once while the others wait.
    unread: told of folders that are there and cannot be read, whose articles are missing.
    Folders behind symbolic links are not entered, and links that lead out of the tree are passed over; so
    are hidden folders, the assets folder and, where it lies inside the input, the output folder.
    """
    if not _overlap(where.paths):
        yield from _scan(where, spread, unread)
        return
    seen: set[Path] = set()
    for item in _scan(where, spread, unread):
        real = item.path.resolve()
        if real not in seen:
            seen.add(real)
            yield item


def _overlap(paths: Sequence[Path]) -> bool:
    """Whether one of them is another or lies in it, so that an article may be found twice."""
    reals = sorted(f"{os.path.realpath(path)}/" for path in paths)
    return any(after.startswith(before) for before, after in pairwise(reals))


def _scan(where: Plan, spread: bool, unread: Unread) -> Iterator[Item]:
    root = os.path.realpath(where.root)
    for found, relative, kind in _found(where, spread, unread):
        path = Path(found)
        if where.in_place:
            yield Item(path, path, _name(path, where.root), kind, root)
        else:
            yield Item(path, where.root / relative, relative, kind, root)


def _found(where: Plan, spread: bool, unread: Unread) -> Iterator[tuple[str, str, ArticleType]]:
    """The path of each article, its name below the path of the plan, and its type."""
    left_out = {where.assets.resolve()} | (set() if where.in_place else {where.root.resolve()})
    left_out |= set(map(Path, where.others))
    for path in where.paths:
        if path.is_file():
            yield str(path), path.name, type_of(path.name) or ArticleType.HTML
            continue
        for entry, relative in _below(path, left_out, spread, unread):
            kind = type_of(entry.name)
            if kind is None or (where.in_place and entry.is_symlink()):
                continue
            if not where.others or os.path.realpath(entry.path) not in where.others:
                yield entry.path, relative, kind


def _name(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.resolve().relative_to(root.resolve()).as_posix()


def _below(top: Path, left_out: set[Path], spread: bool, unread: Unread) -> Iterator[Named]:
    folders = _folders(top, left_out, spread, unread)
    return _in_turns(folders) if spread else chain.from_iterable(folders)


def _folders(top: Path, left_out: set[Path], spread: bool, unread: Unread) -> Iterator[Iterator[Named]]:
    """The files of one folder after the other."""
    real_top = os.path.realpath(top)
    folders = [("", top)]
    while folders:
        prefix, folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=_mixed if spread else _by_name)
        except (FileNotFoundError, NotADirectoryError):  # it has vanished
            continue
        except OSError as error:
            unread(folder, error)
            continue
        deeper = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        folders += [
            (f"{prefix}{entry.name}/", Path(entry.path))
            for entry in reversed(deeper)
            if not entry.name.startswith(".") and Path(entry.path).resolve() not in left_out
        ]
        yield _files(entries, prefix, real_top)


def _files(entries: list[os.DirEntry[str]], prefix: str, real_top: str) -> Iterator[Named]:
    for entry in entries:
        if _is_file(entry) and (not entry.is_symlink() or _is_inside(entry.path, real_top)):
            yield entry, prefix + entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # links that lead to each other
        return False


def _in_turns(folders: Iterator[Iterator[Named]]) -> Iterator[Named]:
    """One file of each of a few folders in turn, a new folder in the place of one that is at its end."""
    open_ones = deque(islice(folders, _FOLDERS_AT_ONCE))
    while open_ones:
        folder = open_ones.popleft()
        found = next(folder, None)
        if found is not None:
            yield found
            open_ones.append(folder)
        else:
            open_ones.extend(islice(folders, 1))


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _mixed(entry: os.DirEntry[str]) -> int:
    """The same order in every run, and none that names have."""
    return zlib.crc32(os.fsencode(entry.name))


def _is_inside(path: str, real_top: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), real_top]) == real_top
