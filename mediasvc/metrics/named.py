"""Every metric, named in one place.

With several server processes the supervisor sets PROMETHEUS_MULTIPROC_DIR before it starts them, so that
each object here is backed by a file that all of them share.
"""

from prometheus_client import Counter, Gauge, Histogram

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

http_requests = Counter("mediasvc_http_requests", "Requests answered.", ["route", "code"])
http_duration_s = Histogram(
    "mediasvc_http_request_duration_seconds", "Time to answer.", ["route"], buckets=_FAST
)
http_in_progress = Gauge(
    "mediasvc_http_requests_in_progress", "Requests being answered.", multiprocess_mode="livesum"
)

fetches = Counter(
    "mediasvc_fetches", "Fetches from origins by outcome (ok, not_modified or an error code).", ["outcome"]
)
fetch_duration_s = Histogram(
    "mediasvc_fetch_duration_seconds", "Time of one fetch, retries included.", buckets=_FAST
)
fetched_bytes = Counter("mediasvc_fetched_bytes", "Body bytes read from origins.")
refused_sources = Counter("mediasvc_refused_sources", "Sources that policy forbids, by reason.", ["reason"])
breaker_open = Counter("mediasvc_breaker_opened", "Times that a host's circuit breaker opened.")

cache_requests = Counter(
    "mediasvc_cache_requests", "Look-ups by layer (memory, index, blobs) and result.", ["layer", "result"]
)
cache_bytes = Gauge("mediasvc_cache_bytes", "Bytes kept on disk.", multiprocess_mode="max")
cache_evictions = Counter("mediasvc_cache_evictions", "Blobs removed, by reason.", ["reason"])
store_errors = Counter(
    "mediasvc_store_errors", "Failures of a store, by store and operation.", ["store", "operation"]
)

flight_waiters = Gauge(
    "mediasvc_singleflight_waiters", "Requests waiting for the work of another.", multiprocess_mode="livesum"
)

image_duration_s = Histogram(
    "mediasvc_image_duration_seconds",
    "Image work by operation and format.",
    ["operation", "format"],
    buckets=_FAST,
)
image_queue_depth = Gauge(
    "mediasvc_image_queue_depth", "Image work waiting for a process.", multiprocess_mode="livesum"
)
image_process_replacements = Counter(
    "mediasvc_image_process_replacements", "Image processes replaced, by reason.", ["reason"]
)
# The old name of the same count, kept for one release.
worker_restarts = Counter(
    "mediasvc_worker_restarts", "Old name of mediasvc_image_process_replacements.", ["reason"]
)

rewritten_references = Counter(
    "mediasvc_rewritten_references", "References in articles, by outcome.", ["outcome"]
)
articles = Counter("mediasvc_articles", "Articles by outcome.", ["outcome"])
