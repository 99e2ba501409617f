"""The only place that picks concrete parts and joins them."""
