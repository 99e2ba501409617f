"""Files of people: read and written whole or not at all, and brought to the disk."""
