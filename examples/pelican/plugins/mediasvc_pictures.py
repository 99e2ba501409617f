"""Pictures of articles and pages by mediasvc: fetched during the build, published with the site.

The plugin runs when Pelican has read everything and written nothing, so pages, summaries and feeds are all
made of the rewritten content.
"""

import json
import logging
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pelican import signals

log = logging.getLogger(__name__)
_ASSET = re.compile(r"(?<![\w./:-])/assets/([0-9a-f]{64}\.[a-z0-9]+)")
_POSTS_AT_ONCE = 4


def localise(generators):
    """Rewrite every article, draft and page; a post that the service does not do keeps its addresses."""
    contents = {}
    for generator in generators:
        for kind in ("articles", "translations", "drafts", "pages", "hidden_pages"):
            contents |= {id(content): content for content in getattr(generator, kind, ())}
    with ThreadPoolExecutor(_POSTS_AT_ONCE) as pool:
        names = set().union(*pool.map(_rewrite, contents.values()))
    log.info("mediasvc: %d posts with %d pictures", len(contents), len(names))


def _rewrite(content):
    """One post, in place. Returns the names of its pictures."""
    settings = content.settings["MEDIASVC"]
    fields = {name: use for name, use in settings["fields"].items() if name in content.metadata}
    head = "".join(f"{name}: {json.dumps(content.metadata[name])}\n" for name in fields)
    body = {"content": f"---\nfields: 0\n{head}---\n{content._content}", "type": "html", "mode": "eager"}
    try:
        reply = json.loads(
            _ask(settings, "/v1/rewrite", body | {"front_matter": fields} | settings["options"])
        )
        text, names = _with_own_addresses(reply["content"], settings, content.settings)
    except (OSError, ValueError) as error:
        log.warning("mediasvc: %s keeps its picture addresses: %s", content.source_path, _reason(error))
        return set()
    for image in reply["images"]:
        if image["status"] == "failed":
            log.warning("mediasvc: %s keeps %s (%s)", content.source_path, image["source"], image["code"])
    _, _, *values = text.split("\n", len(fields) + 3)
    content._content = values.pop()
    for name, line in zip(fields, values, strict=False):
        content.metadata[name] = json.loads(line.removeprefix(f"{name}: "))
        setattr(content, name, content.metadata[name])
    return names


def _with_own_addresses(text, settings, site):
    """The text with addresses of the site, the pictures in its output folder."""
    names = set(_ASSET.findall(text))
    folder = Path(site["OUTPUT_PATH"], settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            (folder / name).write_bytes(_ask(settings, f"/assets/{name}"))
    return _ASSET.sub(rf"{site['SITEURL']}/{settings['folder']}/\1", text), names


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


def register():
    signals.all_generators_finalized.connect(localise)
