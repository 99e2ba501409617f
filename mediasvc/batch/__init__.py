"""Walk C: many articles, from input folders to output folders."""
