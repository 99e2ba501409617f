"""Pictures of pages by mediasvc: fetched during the build, published with the site."""

import json
import logging
import re
import urllib.error
import urllib.request
from pathlib import Path

from mkdocs.utils import get_relative_url

log = logging.getLogger("mkdocs.hooks.mediasvc")
_ASSET = re.compile(r"(?<![\w./:-])/assets/([0-9a-f]{64}\.[a-z0-9]+)")


def on_page_content(html, page, config, files):
    """The page's HTML with pictures of the site; as it is where the service does not do it."""
    settings = config.extra["mediasvc"]
    body = {"content": html, "type": "html", "mode": "eager"} | settings["options"]
    try:
        reply = json.loads(_ask(settings, "/v1/rewrite", body))
        names = set(_ASSET.findall(reply["content"]))
        for name in names:
            _keep(name, settings, Path(config.site_dir, settings["folder"]))
    except (OSError, ValueError) as error:
        log.warning("mediasvc: %s keeps its picture addresses: %s", page.file.src_uri, _reason(error))
        return html
    for image in reply["images"]:
        if image["status"] == "failed":
            log.warning("mediasvc: %s keeps %s (%s)", page.file.src_uri, image["source"], image["code"])
    folder = get_relative_url(settings["folder"], page.url)
    return _ASSET.sub(rf"{folder}/\1", reply["content"])


def _keep(name, settings, folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / name).exists():
        (folder / name).write_bytes(_ask(settings, f"/assets/{name}"))


def _ask(settings, path, body=None):
    headers = {"Content-Type": "application/json"}
    if settings["token"]:
        headers["Authorization"] = f"Bearer {settings['token']}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(settings["service"] + path, data, headers)
    with urllib.request.urlopen(request, timeout=settings["timeout_s"]) as reply:
        return reply.read()


def _reason(error):
    """What the service said about it, where it said something."""
    if isinstance(error, urllib.error.HTTPError):
        with error:
            problem = json.loads(error.read() or b"{}")
        return f"{error.code} {problem.get('code', '')} {problem.get('detail', '')}"
    return error
