"""Finds the articles of a run, and the place where each is written."""

import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path

from mediasvc.batch.selection import ENDINGS, Selection
from mediasvc.core.text.reference import ArticleType
from mediasvc.errors import InvalidRequest

# Folders of version control: no other program looks for them in a tree of articles.
_PRIVATE = frozenset({".git", ".hg", ".svn"})
_FOLDERS_AT_ONCE = 16

Named = tuple[os.DirEntry[str], str]  # a file, and its name below the path that was given
Unread = Callable[[Path, OSError], None]  # a folder, and why it cannot be read
_USUAL = Selection()


def _pass_over(_folder: Path, _error: OSError) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Item:
    """One article.

    path: the input file.
    out: the output file.
    name: out relative to the output folder, with "/" between its parts.
    type: how it is read; None: its content decides.
    root: the output folder, absolute.
    """

    path: Path
    out: Path
    name: str
    type: ArticleType | None
    root: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The files that a run reads and writes.

    paths: files and folders to read.
    root: the output folder; the report's paths are relative to it.
    assets: the folder for images.
    others: real paths that belong to other plans of the run, even where they are below this plan's paths.
    selection: the files that are articles.
    """

    paths: tuple[Path, ...]
    root: Path
    assets: Path
    in_place: bool
    others: frozenset[str] = frozenset()
    selection: Selection = _USUAL


def plans(
    paths: Sequence[Path], out: Path | None, assets: Path | None, selection: Selection = _USUAL
) -> list[Plan]:
    """The plans of a command: one with --out; in place (out None) one for each folder, with assets inside it.

    Raises InvalidRequest where a path does not exist, or the output folder is the input.
    """
    for path in paths:
        if not path.exists():
            raise InvalidRequest(f"{path}: no such file or folder")
        if path.is_file() and not selection.has_named(path.name):
            raise InvalidRequest(
                f"{path}: not an article ({ENDINGS}); if it is one, say how to read it with --type"
            )
    if out is not None:
        if any(path.is_dir() and path.resolve() == out.resolve() for path in paths):
            raise InvalidRequest(f"{out} is the input too; to overwrite the input, use --in-place")
        return [Plan(tuple(paths), out, assets or out / "assets", in_place=False, selection=selection)]
    # Grouped by real folder: a path that is given in several spellings is rewritten once.
    by_root: dict[str, tuple[Path, dict[str, Path]]] = {}
    for path in paths:
        # A link that the caller gave by name: the file behind it is the article.
        path = path.resolve() if path.is_symlink() else path
        root = path if path.is_dir() else path.parent
        by_root.setdefault(os.path.realpath(root), (root, {}))[1].setdefault(os.path.realpath(path), path)
    all_paths = frozenset(real for _, some in by_root.values() for real in some)
    return [
        Plan(
            tuple(some.values()),
            root,
            assets or root / "assets",
            in_place=True,
            others=all_paths - set(some),
            selection=selection,
        )
        for root, some in by_root.values()
    ]


def check(where: Plan) -> int:
    """Counts the articles.

    Raises InvalidRequest where there is none, where two have the same output file, or where one would
    overwrite input.
    """
    _check_input(where)
    count = _count(where)
    if count == 0:
        names = ", ".join(str(path) for path in where.paths)
        raise InvalidRequest(f"no articles ({ENDINGS}) in {names}")
    return count


def _check_input(where: Plan) -> None:
    """Checks that no output file is input: the output folder can be above the input folder."""
    if where.in_place:
        return
    root = os.path.realpath(where.root)
    below = [(path, os.path.relpath(os.path.realpath(path), root)) for path in where.paths]
    files = {name for path, name in below if not path.is_dir()}
    folders = tuple(f"{name}/" for path, name in below if path.is_dir())
    # The scan is needed only where one folder contains the other: elsewhere all names begin with "../".
    if all(f"{name}/".startswith("../") for _, name in below):
        return
    for item in scan(where):
        if item.name in files or item.name.startswith(folders):
            raise InvalidRequest(
                f"{item.path} would be written to {item.out}, which is input too; to overwrite the input, use --in-place"  # noqa: E501
            )


def _count(where: Plan) -> int:
    if len(where.paths) == 1:
        return sum(1 for _ in _found(where, False, _pass_over))
    if where.in_place:
        return sum(1 for _ in scan(where))
    # Keeps a number for each name, not the name: there may be 100,000.
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
            f"{other.path} and {item.path} would both become {item.name}; rewrite them into folders of their own"  # noqa: E501
        )


def scan(where: Plan, *, spread: bool = False, unread: Unread = _pass_over) -> Iterator[Item]:
    """Every article below the plan's paths, once, folder by folder in name order, found as the caller asks
    for it.

    spread: mix the order instead, so that articles of one site, which are often neighbours, do not load one
    origin
        while the others wait.
    unread: called with each folder that exists and cannot be read.
    Skips folders behind symbolic links, links that lead out of the tree, hidden folders, the assets folder
    and the output folder.
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
    """Whether one path equals or contains another, so that an article could be found twice."""
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


def _found(where: Plan, spread: bool, unread: Unread) -> Iterator[tuple[str, str, ArticleType | None]]:
    """The path of each article, its name relative to the plan's path, and its type."""
    left_out = {where.assets.resolve()} | (set() if where.in_place else {where.root.resolve()})
    left_out |= set(map(Path, where.others))
    for path in where.paths:
        if path.is_file():
            yield str(path), path.name, where.selection.type_of(path.name)
            continue
        for entry, relative in _below(path, left_out, spread, unread):
            if not where.selection.has(relative) or (where.in_place and entry.is_symlink()):
                continue
            if not where.others or os.path.realpath(entry.path) not in where.others:
                yield entry.path, relative, where.selection.type_of(relative)


def other_files(where: Plan) -> Iterator[tuple[Path, str]]:
    """Every file below the plan's folders that is no article, and its path below the folder.

    Includes hidden files and folders, except folders of version control. Skips what scan() skips otherwise.
    """
    left_out = {where.assets.resolve(), where.root.resolve()}
    for top in where.paths:
        if not top.is_dir():
            continue
        for entry, relative in chain.from_iterable(
            _folders(top, left_out, spread=False, unread=_pass_over, hidden=True)
        ):
            if not where.selection.has(relative) or _is_hidden(relative):
                yield Path(entry.path), relative


def _is_hidden(relative: str) -> bool:
    """Whether a folder of a path is hidden: scan() does not enter such folders."""
    return any(part.startswith(".") for part in relative.split("/")[:-1])


def _name(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.resolve().relative_to(root.resolve()).as_posix()


def _below(top: Path, left_out: set[Path], spread: bool, unread: Unread) -> Iterator[Named]:
    folders = _folders(top, left_out, spread, unread)
    return _in_turns(folders) if spread else chain.from_iterable(folders)


def _folders(
    top: Path, left_out: set[Path], spread: bool, unread: Unread, *, hidden: bool = False
) -> Iterator[Iterator[Named]]:
    """The files of each folder, one folder after the other."""
    real_top = os.path.realpath(top)
    folders = [("", top)]
    while folders:
        prefix, folder = folders.pop()
        try:
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=_mixed if spread else _by_name)
        except (FileNotFoundError, NotADirectoryError):  # removed meanwhile
            continue
        except OSError as error:
            unread(folder, error)
            continue
        deeper = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        folders += [
            (f"{prefix}{entry.name}/", Path(entry.path))
            for entry in reversed(deeper)
            if (hidden or not entry.name.startswith("."))
            and entry.name not in _PRIVATE
            and Path(entry.path).resolve() not in left_out
        ]
        yield _files(entries, prefix, real_top)


def _files(entries: list[os.DirEntry[str]], prefix: str, real_top: str) -> Iterator[Named]:
    for entry in entries:
        if _is_file(entry) and (not entry.is_symlink() or _is_inside(entry.path, real_top)):
            yield entry, prefix + entry.name


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a loop of links
        return False


def _in_turns(folders: Iterator[Iterator[Named]]) -> Iterator[Named]:
    """One file of each of a few folders in turn. A folder that is finished is replaced by the next one."""
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
    """A sort key that mixes names, in the same way in every run."""
    return zlib.crc32(os.fsencode(entry.name))


def _is_inside(path: str, real_top: str) -> bool:
    return os.path.commonpath([os.path.realpath(path), real_top]) == real_top
