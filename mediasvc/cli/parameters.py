"""What options take that click has no word for."""

import click

from mediasvc.core.geometry import Size, parse_size
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
            self.fail(f"{value!r} is not a size; write 600x400 or 600,400, each from 1 to 8192", param, ctx)
        return size


class FrontMatterParameter(click.ParamType[tuple[str, FrontMatterUse]]):
    """KEY=thumbnail, KEY=original or KEY=skip."""

    name = "KEY=WANTS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, FrontMatterUse]:
        key, _, told = str(value).partition("=")
        wants = _WANTS.get(told)
        if not key.strip() or wants is None:
            self.fail(f"{value!r}: write KEY=thumbnail, KEY=original or KEY=skip", param, ctx)
        return key.strip(), wants
