"""The routes: what each answers, by subject."""
