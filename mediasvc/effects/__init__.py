"""The part that does: sockets, disks, Redis, object stores and processes."""
