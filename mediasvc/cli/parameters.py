"""Types of option values that click does not have."""

from datetime import datetime

import click

from mediasvc.core.addresses.host_patterns import parse_host_pattern
from mediasvc.core.addresses.image_path import read_dpr
from mediasvc.core.geometry import Size, parse_box
from mediasvc.core.text.front_matter.fields import parse_field
from mediasvc.core.text.reference import FrontMatterUse

_WANTS: dict[str, FrontMatterUse] = {"thumbnail": "thumbnail", "original": "original", "skip": "skip"}


class SizeParameter(click.ParamType[Size]):
    """A box such as 600,400, 600x400, 600x or x400."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        if isinstance(value, Size):
            return value
        size = parse_box(str(value))
        if size is None:
            self.fail(
                f"{value!r} is not a size; write 600x400, 600,400, 600x or x400, each side from 1 to 8192",
                param,
                ctx,
            )
        return size


class DprParameter(click.ParamType[float]):
    """Device pixels for each CSS pixel: 1 to 4, such as 2 or 1.5."""

    name = "NUMBER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return read_dpr(str(value))
        except ValueError:
            self.fail(f"{value!r}: write a number from 1 to 4, such as 2 or 1.5", param, ctx)


class MomentParameter(click.ParamType[int]):
    """A moment as ISO 8601 writes it, with its time zone; in Unix seconds."""

    name = "MOMENT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = datetime.min
        if moment.tzinfo is None or moment.timestamp() < 1:
            self.fail(f"{value!r}: write a moment with its time zone, such as 2026-12-31T00:00Z", param, ctx)
        return int(moment.timestamp())


class HostPatternParameter(click.ParamType[str]):
    """A host, or a pattern over hosts such as *.example.com."""

    name = "HOST"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parse_host_pattern(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return str(value)


class FrontMatterParameter(click.ParamType[tuple[str, FrontMatterUse]]):
    """FIELD=thumbnail, FIELD=original or FIELD=skip; a field such as cover, cover.image or images[]."""

    name = "FIELD=WANTS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, FrontMatterUse]:
        key, _, use = str(value).rpartition("=")
        wants = _WANTS.get(use)
        if wants is None:
            self.fail(f"{value!r}: write FIELD=thumbnail, FIELD=original or FIELD=skip", param, ctx)
        try:
            parse_field(key.strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return key.strip(), wants
