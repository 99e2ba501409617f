"""Elements of HTML: their attribute values, and those of the head."""
