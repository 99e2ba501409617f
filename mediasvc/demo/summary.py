"""What the demo did, in lines that a newcomer understands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class ReportedImage(Protocol):
    """One reference as a report tells it: where it stands, what became of it, which files answer for it."""

    @property
    def source(self) -> str: ...
    @property
    def origin(self) -> str | None: ...
    @property
    def where(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def code(self) -> str | None: ...
    @property
    def original(self) -> str | None: ...
    @property
    def thumbnail(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class AssetFile:
    """A file that lies in the output folder. width, height: pixels."""

    width: int
    height: int
    bytes: int


def summarise(
    images: Sequence[ReportedImage],
    wrappers: Mapping[str, Sequence[str]],
    files: Mapping[str, AssetFile],
) -> list[str]:
    """The lines, without line ends.

    wrappers: per source URL, what it was wrapped in, outermost first; absent: nothing.
    files: by the paths that the images name as their original and thumbnail.
    """
    pictures: dict[str, list[ReportedImage]] = {}
    for image in images:
        pictures.setdefault(image.origin or image.source, []).append(image)
    names = "names" if len(images) == 1 else "name"
    lines = [f"{_count(len(images), 'place')} in the article {names} {_count(len(pictures), 'picture')}:"]
    for number, (origin, places) in enumerate(pictures.items(), 1):
        layers = max((tuple(wrappers.get(place.source, ())) for place in places), key=len)
        lines += ["", f"{number}  {origin}", f"   used in     {_places(places)}"]
        if layers:
            lines.append(f"   unwrapped   {', then '.join(layers)}")
        lines += [f"   {line}" for line in _outcome(places, files)]
    return [*lines, "", _total(images, files)]


def _outcome(places: Sequence[ReportedImage], files: Mapping[str, AssetFile]) -> list[str]:
    originals = {place.original for place in places if place.original}
    thumbnails = {place.thumbnail for place in places if place.thumbnail}
    lines = [f"original    {_described(name, files)}" for name in sorted(originals)]
    lines += [f"thumbnail   {_described(name, files)}" for name in sorted(thumbnails - originals)]
    if thumbnails & originals:
        lines.append("thumbnail   the original itself: it has the size that the article asks for")
    failures = sorted({place.code or "failed" for place in places if place.status == "failed"})
    lines += [f"failed      {code}: its text stays as it was" for code in failures]
    return lines or ["left        as it was"]


def _total(images: Sequence[ReportedImage], files: Mapping[str, AssetFile]) -> str:
    originals = {image.original for image in images if image.original} & files.keys()
    thumbnails = {image.thumbnail for image in images if image.thumbnail} & files.keys() - originals
    localised = sum(image.status == "localised" for image in images)
    return (
        f"{localised} of {_count(len(images), 'place')} rewritten; "
        f"{_count(len(originals), 'original')} fetched ({_weight(originals, files)}), "
        f"{_count(len(thumbnails), 'thumbnail')} made ({_weight(thumbnails, files)})."
    )


def _described(name: str, files: Mapping[str, AssetFile]) -> str:
    file = files.get(name)
    size = f"{file.width}x{file.height}, {_kilobytes(file.bytes)}  " if file else ""
    return f"{size}{name}"


def _places(places: Sequence[ReportedImage]) -> str:
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
