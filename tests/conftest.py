"""Fixtures that every test may ask for: a scripted origin, and real servers for the stores."""

pytest_plugins = ("tests.origin", "tests.servers", "tests.clouds")
