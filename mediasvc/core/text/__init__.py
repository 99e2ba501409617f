"""Articles as texts: finding references in them, and splicing new values in."""
