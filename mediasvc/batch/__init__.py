"""Walk C: many articles, from folders of them to folders of them."""
