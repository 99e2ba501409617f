"""Every metric that named.py has, made when the first of them is asked for.

To read in prometheus_client takes as long as to look up a thousand articles of a batch, which counts nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mediasvc.metrics.named import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        """PEP 562: asked for names that are not here yet, as all are after the first."""
        named = vars(import_module("mediasvc.metrics.named"))
        globals().update((key, value) for key, value in named.items() if not key.startswith("_"))
        try:
            return globals()[name]
        except KeyError:
            raise AttributeError(f"no metric is named {name}") from None
