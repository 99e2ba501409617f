"""The command line: files in, files out, exit codes."""

from mediasvc.cli.main import main

__all__ = ["main"]
