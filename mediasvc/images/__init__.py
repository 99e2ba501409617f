"""One image: its original, its thumbnails, and the walk that joins them."""
