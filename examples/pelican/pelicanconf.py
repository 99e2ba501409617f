import os

SITENAME = "Lakes"
SITEURL = "https://blog.example"
PATH = "content"
TIMEZONE = "UTC"
DEFAULT_LANG = "en"
THEME = "simple"
FEED_ALL_ATOM = "feeds/all.atom.xml"
FEED_ALL_RSS = "feeds/all.rss.xml"
CATEGORY_FEED_ATOM = TRANSLATION_FEED_ATOM = AUTHOR_FEED_ATOM = AUTHOR_FEED_RSS = None
RSS_FEED_SUMMARY_ONLY = False

PLUGIN_PATHS = ["plugins"]
PLUGINS = ["mediasvc_pictures"]
MEDIASVC = {
    "service": os.environ.get("SERVICE", "http://127.0.0.1:8080"),
    "token": os.environ.get("MEDIASVC_API_TOKEN", ""),
    "folder": "pictures",
    "fields": {"cover": "original", "thumbnail": "thumbnail"},
    "options": {},  # of POST /v1/rewrite, such as {"format": "webp"}
    "timeout_s": 60,
}
