"""The type of paths in arguments and options."""

import os
from pathlib import Path

import click


class PathParameter(click.Path[Path]):
    """A path that is not empty: an unset variable in a script must not mean the current folder."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, path_type=Path)

    def convert(
        self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        if not os.fspath(value):
            self.fail("the path is empty", param, ctx)
        return super().convert(value, param, ctx)
