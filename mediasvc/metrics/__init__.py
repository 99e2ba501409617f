"""Every metric of named.py, created when the first of them is used.

Loading prometheus_client takes as long as looking up a thousand articles of a batch, which counts nothing.
"""

from typing import TYPE_CHECKING

from mediasvc.startup import lazy_module

if TYPE_CHECKING:
    from mediasvc.metrics.named import *  # noqa: F403
else:
    __getattr__ = lazy_module(globals(), "mediasvc.metrics.named")
