"""Image work in processes of its own, which hostile pictures can end: the pool and the program of a process."""  # noqa: E501
