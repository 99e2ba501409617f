"""The summary of the demo, in lines that a newcomer understands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediasvc.articles.rows import ImageRow, Status


@dataclass(frozen=True, slots=True)
class AssetFile:
    """An image file in the output folder. width, height: pixels."""

    width: int
    height: int
    bytes: int


def summarise(
    places: Sequence[ImageRow],
    wrappers: Mapping[str, Sequence[str]],
    files: Mapping[str, AssetFile],
    requests: int,
) -> list[str]:
    """The lines of the summary, without line ends.

    places: the references of the article.
    wrappers: by source URL, the hosts of its wrappers, outermost first.
    files: by the paths that the places have as original and thumbnail.
    requests: number of requests that the origin answered.
    """
    pictures: dict[str, list[ImageRow]] = {}
    for place in places:
        pictures.setdefault(place.origin or place.source, []).append(place)
    names = "names" if len(places) == 1 else "name"
    lines = [f"{_count(len(places), 'place')} in the article {names} {_count(len(pictures), 'picture')}:"]
    for number, (origin, group) in enumerate(pictures.items(), 1):
        layers = max((tuple(wrappers.get(place.source, ())) for place in group), key=len)
        lines += ["", f"{number}  {origin}", f"   used in     {_places(group)}"]
        if layers:
            lines.append(f"   unwrapped   {', then '.join(layers)}")
        lines += [f"   {line}" for line in _outcome(group, files)]
    return [*lines, "", *_totals(places, files, requests)]


def _outcome(places: Sequence[ImageRow], files: Mapping[str, AssetFile]) -> list[str]:
    originals = {place.original for place in places if place.original}
    thumbnails = {place.thumbnail for place in places if place.thumbnail}
    lines = [f"original    {_described(name, files)}" for name in sorted(originals)]
    lines += [f"thumbnail   {_described(name, files)}" for name in sorted(thumbnails - originals)]
    if thumbnails & originals:
        lines.append("thumbnail   the original itself: it has the size that the article asks for")
    failures = sorted({place.code or "failed" for place in places if place.status is Status.FAILED})
    lines += [f"failed      {code}: its text stays as it was" for code in failures]
    return lines or ["left        as it was"]


def _totals(places: Sequence[ImageRow], files: Mapping[str, AssetFile], requests: int) -> list[str]:
    originals = {place.original for place in places if place.original} & files.keys()
    thumbnails = {place.thumbnail for place in places if place.thumbnail} & files.keys() - originals
    localised = sum(place.status is Status.LOCALISED for place in places)
    kept = (
        f"{_count(len(originals), 'original')} ({_weight(originals, files)}) "
        f"and {_count(len(thumbnails), 'thumbnail')} ({_weight(thumbnails, files)})"
    )
    asked = (
        f"{_count(requests, 'request')} to the origin" if requests else "nothing fetched: all of it was known"
    )
    return [f"{localised} of {_count(len(places), 'place')} lead to local files now: {kept}; {asked}."]


def _described(name: str, files: Mapping[str, AssetFile]) -> str:
    file = files.get(name)
    size = f"{file.width}x{file.height}, {_kilobytes(file.bytes)}  " if file else ""
    stem, dot, ending = name.rpartition(".")
    # A digest's beginning is enough to find the file by.
    return f"{size}{stem[:19]}…{dot}{ending}" if len(stem) > 40 else f"{size}{name}"


def _places(places: Sequence[ImageRow]) -> str:
    counts: dict[str, int] = {}
    for place in places:
        counts[place.where] = counts.get(place.where, 0) + 1
    return ", ".join(where if count == 1 else f"{where} ({count} times)" for where, count in counts.items())


def _weight(names: set[str], files: Mapping[str, AssetFile]) -> str:
    return _kilobytes(sum(files[name].bytes for name in names))


def _kilobytes(count: int) -> str:
    return f"{round(count / 1000):,} kB"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
