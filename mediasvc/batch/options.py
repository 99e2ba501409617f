"""How the articles of a run are to be rewritten."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from mediasvc.batch.scan import Plan
from mediasvc.core.formats import OutputFormat
from mediasvc.core.geometry import Size
from mediasvc.core.text.reference import FrontMatterUse


@dataclass(frozen=True, slots=True)
class Options:
    """What a run does to its articles.

    asset_url: what articles say before asset names; None: a relative path. settings: a word that changes with the
    settings by which images are got; those that failed under others are tried again.
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

    def fingerprint(self, where: Plan) -> str:
        """Changes when the same article would come out differently."""
        assets = self.asset_url if self.asset_url is not None else os.path.relpath(where.assets, where.root)
        size = self.default_size and (self.default_size.width, self.default_size.height)
        told = (sorted(self.front_matter.items()), self.format, size, assets, self.placeholder, "1")
        return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()[:16]
