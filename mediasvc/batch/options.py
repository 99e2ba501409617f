"""The options of a run over many articles."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from mediasvc.articles.options import Links
from mediasvc.batch.scan import Plan
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import FrontMatterUse


@dataclass(frozen=True, slots=True)
class Options:
    """The options that all articles of a run share.

    asset_url: the text before asset names in articles; None for a relative path.
    jobs: articles at once.
    force: rewrite finished articles again.
    links: which links around pictures get an original.
    leave: patterns of hosts whose pictures keep their address.
    settings: fingerprint of the settings that decide whether an image can be fetched. A run with another
        fingerprint retries images that failed.
    base_url: the address against which relative addresses are resolved; None leaves them alone.
    """

    front_matter: Mapping[str, FrontMatterUse]
    format: OutputFormat | None
    default_size: Size | None
    asset_url: str | None
    placeholder: bool
    jobs: int
    force: bool
    max_article_bytes: int
    settings: str = ""
    base_url: str | None = None
    links: Links = Links.PICTURE
    leave: tuple[str, ...] = ()

    def fingerprint(self, where: Plan) -> str:
        """A word that changes whenever the same article would be rewritten differently."""
        assets = self.asset_url if self.asset_url is not None else os.path.relpath(where.assets, where.root)
        size = self.default_size and (self.default_size.width, self.default_size.height)
        values = (
            sorted(self.front_matter.items()),
            self.format,
            size,
            assets,
            self.placeholder,
            self.links,
            self.leave,
            "2",
        )
        more = [value for value in (self.base_url, where.selection.type) if value is not None]
        return hashlib.sha256(repr((*values, *more)).encode("utf-8", "surrogatepass")).hexdigest()[:16]
