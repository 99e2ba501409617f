"""What the first bytes of an image file say, read without decoding it."""
