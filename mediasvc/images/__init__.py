"""One image: its original, its thumbnails, and the walk that joins them."""

from mediasvc.images.renditions import CacheStatus, Held, Served, asset_name
from mediasvc.images.walk import Addresses, Images, Info

__all__ = ["Addresses", "CacheStatus", "Held", "Images", "Info", "Served", "asset_name"]
