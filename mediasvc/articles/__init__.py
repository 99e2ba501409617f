"""One article: what its references ask for, and the walk that answers them."""
