"""Image work in processes that may die: the pool and the program of one process."""
