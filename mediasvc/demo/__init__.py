"""The main job on a bundled article with a bundled origin, with no network."""
