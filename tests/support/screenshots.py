"""Takes the picture of the web page that README.md shows: `python -m tests.support.screenshots`.

Needs a font with Chinese characters on the machine (Debian: fonts-wqy-zenhei), since the example article is
in Chinese.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.chromium import open_browser

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "page.jpg"
_ADDRESS = re.compile(r"listening on (http://\S+)")


@contextmanager
def _demo() -> Iterator[str]:
    """The address of a demo that listens on a free port; the demo ends with the scope."""
    command = [sys.executable, "-m", "mediasvc", "demo", "--serve"]
    environment = os.environ | {"MEDIASVC_PORT": "0"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield next(found[1] for line in process.stdout if (found := _ADDRESS.search(line)))
        finally:
            process.terminate()


def main() -> None:
    """Rewrite the example article on the page and keep what the top of the page then shows."""
    with _demo() as address, open_browser() as browser:
        page = browser.new_page(viewport={"width": 1180, "height": 860})
        page.goto(address)
        page.get_by_role("button", name="Rewrite the article").click()
        page.locator("#totals div").first.wait_for()
        page.wait_for_function("[...document.images].every(image => image.complete)")
        page.evaluate("document.querySelector('#result').scrollIntoView()")
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE, type="jpeg", quality=82)


if __name__ == "__main__":
    main()
