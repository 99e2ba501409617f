"""Fixtures that every test may ask for: a scripted origin, and real servers for the stores."""

import signal

pytest_plugins = ("tests.support.origin", "tests.support.servers", "tests.support.clouds")

# Where the tests are a shell's job in the background, Ctrl-C is ignored, and the programs that they start
# would inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
