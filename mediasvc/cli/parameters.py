"""Types of option values that click does not have."""

import click

from mediasvc.core.geometry import Size, parse_size
from mediasvc.core.text.front_matter.fields import parse_field
from mediasvc.core.text.reference import FrontMatterUse

_WANTS: dict[str, FrontMatterUse] = {"thumbnail": "thumbnail", "original": "original", "skip": "skip"}


class SizeParameter(click.ParamType[Size]):
    """A size such as 600,400 or 600x400."""

    name = "WxH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        if isinstance(value, Size):
            return value
        size = parse_size(str(value))
        if size is None:
            self.fail(
                f"{value!r} is not a size; write 600x400 or 600,400, each side from 1 to 8192", param, ctx
            )
        return size


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
