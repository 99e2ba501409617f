"""HTTP as rules: caching, conditions, retries, what a reply of an origin means."""
