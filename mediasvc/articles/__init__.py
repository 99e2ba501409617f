"""One article: what its references ask for, and the walk that answers them."""

from mediasvc.articles.reports import Asset, ImageReport, Rewritten, Status
from mediasvc.articles.targets import ArticleOptions, Mode
from mediasvc.articles.walk import Articles

__all__ = ["ArticleOptions", "Articles", "Asset", "ImageReport", "Mode", "Rewritten", "Status"]
