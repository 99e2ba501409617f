"""Wrappers: services whose URL carries another URL, as a table of rules."""
