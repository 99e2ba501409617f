"""SQLite and Redis themselves: connections, deadlines and what is done when they fail; no word of our domain."""  # noqa: E501
