"""Addresses: how they are written, unwrapped, signed, and which may be fetched."""
