"""The page in a real browser: an article in, its pictures before and after, and everybody can use it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from mediasvc.demo.origin import connect_to, origin_beside
from mediasvc.demo.run import read_article
from tests.support.chromium import open_browser
from tests.support.origin import Gate, Origin, Reply, jpeg
from tests.support.service import Service

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WRAPPED = "https://cors.zfour.workers.dev/?"
PROBLEMS = (
    f'<p>湖边</p>\n<img src="{WRAPPED}http://scripted.example/good.jpeg" data-size="300,300">\n'
    f'<img src="{WRAPPED}http://scripted.example/gone.jpeg" data-size="300,300">\n'
    '<img src="http://10.0.0.7/inner.jpeg">\n'
    '<img src="pictures/near.png">\n'
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def scripted() -> Iterator[Origin]:
    with Origin() as origin:
        origin.on("/good.jpeg", Reply(body=jpeg("good"), headers={"content-type": "image/jpeg"}))
        origin.on("/gone.jpeg", Reply(status=404))
        yield origin


@pytest.fixture(scope="module")
def service(scripted: Origin) -> Iterator[Service]:
    with origin_beside() as news:
        led = f"{connect_to(news.port)},scripted.example:80=127.0.0.1:{scripted.port}"
        with Service(CONNECT_TO=led, MAX_ARTICLE_BYTES="64KiB", FETCH_RETRIES="0") as running:
            yield running


@contextmanager
def opened(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A page of its own. At its end: nothing was asked of anybody else, and the policy was not broken."""
    context = browser.new_context(**({"viewport": WIDE, "reduced_motion": "reduce"} | options))
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    try:
        page = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(address)
        yield page
        own = f"{'/'.join(address.split('/')[:3])}/"
        assert [url for url in asked if not url.startswith((own, "blob:"))] == []
        # A reply that says no is logged by the browser itself; all else is a fault of ours.
        assert [words for words in said if not words.startswith("Failed to load resource")] == []
    finally:
        context.close()


@pytest.fixture
def page(browser: Browser, service: Service) -> Iterator[Page]:
    with opened(browser, service.address + "/") as one:
        yield one


def rewrite(page: Page, article: str, mode: str = "eager") -> None:
    page.get_by_label("Article", exact=True).fill(article)
    page.locator(f"input[value={mode}]").check(force=True)
    page.get_by_role("button", name="Rewrite the article").click()
    page.locator("#result").wait_for()


def empty(page: Page) -> None:
    """The example waits in the field where its origin runs; it comes with the button that takes it."""
    page.get_by_role("button", name="Take the example").wait_for()
    page.get_by_label("Article", exact=True).fill("")


def wait_for_pictures(page: Page) -> None:
    """All in sight, so that lazy ones load too."""
    for image in page.locator(".shot img").all():
        image.scroll_into_view_if_needed()
        image.evaluate("(one) => one.decode()")


def test_the_example_is_rewritten_and_every_picture_is_shown_before_and_after(page: Page) -> None:
    page.get_by_role("button", name="Take the example").click()
    page.get_by_role("button", name="Rewrite the article").click()
    page.locator("#totals div").first.wait_for()
    wait_for_pictures(page)

    expect(page.get_by_role("heading", name="All 7 places are local now")).to_be_focused()
    widths = page.eval_on_selector_all(".shot img", "(all) => all.map((one) => one.naturalWidth)")
    assert widths == [1200, 600, 1200, 600, 1200, 600, 1200, 1200]
    sources = page.eval_on_selector_all(".shot img", "(all) => all.map((one) => new URL(one.src).pathname)")
    assert all(source.startswith("/assets/") for source in sources)
    assert (
        page.locator("#picture-1 .places")
        .inner_text()
        .startswith("In front-matter:headimg, front-matter:thumbnail")
    )
    assert "% lighter" in page.locator("#picture-1 .verdict").inner_text()
    assert "own thumbnail" in page.locator("#picture-4 .verdict").inner_text()
    assert page.locator("#totals").inner_text().split("\n")[0] == "Originals"


def test_every_wrapper_layer_stands_above_the_origin(page: Page) -> None:
    rewrite(page, read_article())
    page.locator("#totals div").first.wait_for()

    layers = page.locator("#picture-3 .layers code").all_inner_texts()

    assert layers == [
        "https://cors.zfour.workers.dev/?…",
        "https://images.weserv.nl/?url=…&w=800",
        "http://static.news.example/wetland/img/2024/10/26/ridge-dusk.jpeg",
    ]


def test_the_changed_values_are_marked_before_and_after(page: Page) -> None:
    rewrite(page, read_article())

    before, after = (page.locator(f"#text {mark}").all_inner_texts() for mark in ("del", "ins"))

    assert len(before) == len(after) == 7
    assert before[0] == f"{WRAPPED}http://static.news.example/wetland/img/2024/10/26/lake-dawn.jpeg"
    assert all(value.startswith("/assets/") for value in after)
    assert page.locator("#text ins a").first.get_attribute("href") == "#picture-1"


def test_the_whole_text_can_be_shown(page: Page) -> None:
    rewrite(page, read_article())

    page.get_by_role("button", name="Show the whole text").click()

    assert page.locator("#text .side.before").inner_text().strip() == read_article().strip()


def test_a_failed_picture_says_why_and_keeps_its_text(page: Page) -> None:
    rewrite(page, PROBLEMS)
    page.locator("#totals div").first.wait_for()

    verdicts = page.locator(".picture .verdict").all_inner_texts()
    page.get_by_role("link", name="2 failed").click()

    expect(page.locator("#result-title")).to_have_text("1 of 4 places is local now")
    assert page.title().startswith("1 of 4")
    assert "does not have the image (404 or 410)" in verdicts[1]
    assert "The settings forbid this source" in verdicts[2]
    assert "relative" in verdicts[3]
    assert page.locator("#picture-2").get_by_text("source_missing").is_visible()
    assert page.url.endswith("#picture-2")
    assert page.locator("#text del").count() == 1


def test_lazily_the_addresses_lead_to_the_service_and_the_pictures_are_fetched_by_looking(page: Page) -> None:
    rewrite(page, PROBLEMS, mode="lazy")
    page.locator("#totals div").first.wait_for()
    page.locator("#picture-2.failed").wait_for()
    wait_for_pictures(page)

    after = page.locator("#text ins").all_inner_texts()

    assert all("/img/unsafe/" in value for value in after)
    assert page.locator("#picture-1 .shot img").count() == 2
    assert "does not have the image (404 or 410)" in page.locator("#picture-2 .verdict").inner_text()


def test_copy_and_download_give_the_rewritten_article(page: Page, service: Service, tmp_path: Path) -> None:
    rewrite(page, PROBLEMS)
    after = page.evaluate(
        "fetch('v1/rewrite', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        "body: JSON.stringify({content: document.getElementById('article').value, mode: 'eager'})})"
        ".then((reply) => reply.json()).then((told) => told.content)"
    )

    page.get_by_role("button", name="Copy the result").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    with page.expect_download() as caught:
        page.get_by_role("button", name="Download").click()
    caught.value.save_as(tmp_path / "result")

    assert page.evaluate("navigator.clipboard.readText()") == after
    assert (tmp_path / "result").read_bytes().decode() == after
    assert caught.value.suggested_filename == "article.md"


def test_an_opened_file_keeps_its_byte_order_mark_and_its_line_ends(page: Page, tmp_path: Path) -> None:
    source = f"\ufeff<p>一</p>\r\n<img src='{WRAPPED}http://scripted.example/good.jpeg'>\r\n\r<p>二</p>\r\n"
    page.set_input_files("#file", {"name": "note.html", "mimeType": "text/html", "buffer": source.encode()})
    page.get_by_role("button", name="Rewrite the article").click()
    page.locator("#result").wait_for()

    with page.expect_download() as caught:
        page.get_by_role("button", name="Download").click()
    caught.value.save_as(tmp_path / "result")
    result = (tmp_path / "result").read_bytes().decode()

    assert caught.value.suggested_filename == "note.html"
    head, tail = source.split(f"{WRAPPED}http://scripted.example/good.jpeg")
    assert result.startswith(head)
    assert result.endswith(tail)
    assert result != source


def test_a_dropped_file_is_taken(page: Page) -> None:
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["<p>dropped</p>"], "drop.html", { type: "text/html" }));
          for (const kind of ["dragenter", "dragover", "drop"])
            document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""  # noqa: E501
    )

    expect(page.get_by_label("Article", exact=True)).to_have_value("<p>dropped</p>")
    expect(page.locator("#file-name")).to_have_text("drop.html")


def test_a_file_in_another_encoding_is_refused_with_what_to_do(page: Page) -> None:
    data = "<p>湖边的秋天</p>".encode("gb18030")

    page.set_input_files("#file", {"name": "old.html", "mimeType": "text/html", "buffer": data})

    expect(page.get_by_role("alert")).to_contain_text('mediasvc rewrite "old.html"')


def test_what_goes_wrong_is_said_with_its_code_and_request(page: Page) -> None:
    page.get_by_label("Article", exact=True).fill("x" * 70_000)
    page.get_by_role("button", name="Rewrite the article").click()

    expect(page.get_by_role("alert")).to_contain_text("body_too_large")
    expect(page.get_by_role("alert")).to_contain_text("Request:")


def test_an_empty_field_is_answered_in_words(page: Page) -> None:
    empty(page)

    page.get_by_role("button", name="Rewrite the article").click()

    expect(page.get_by_role("alert")).to_contain_text("no article yet")
    expect(page.get_by_label("Article", exact=True)).to_be_focused()


def test_the_article_is_never_markup_of_the_page(page: Page) -> None:
    hostile = (
        "<script>window.taken = 1</script><img src=x onerror='window.taken = 1'>"
        f'<img src="{WRAPPED}http://scripted.example/good.jpeg?<b>bold</b>" alt="</textarea><b>">'
    )
    rewrite(page, hostile)
    page.locator(".picture h4").first.wait_for()

    assert page.evaluate("window.taken") is None
    assert page.locator("#text img, #text script, #text b, #pictures script").count() == 0


def test_another_article_takes_the_place_of_the_one_before(page: Page) -> None:
    rewrite(page, read_article())
    rewrite(page, PROBLEMS)

    expect(page.locator("#result-title")).to_contain_text("1 of 4")
    expect(page.locator("#totals")).to_contain_text("1 picture")
    assert page.locator(".picture").count() == 4


def test_cancel_ends_the_wait(browser: Browser, service: Service, scripted: Origin) -> None:
    gate = Gate()
    scripted.on("/held.jpeg", Reply(body=jpeg("held"), hold=gate))
    try:
        with opened(browser, service.address + "/", reduced_motion="no-preference") as page:
            page.get_by_label("Article", exact=True).fill('<img src="http://scripted.example/held.jpeg">')
            page.get_by_role("button", name="Rewrite the article").click()
            expect(page.get_by_role("progressbar")).to_be_visible()
            assert page.evaluate("document.getAnimations().length") > 0
            page.emulate_media(reduced_motion="reduce")
            assert page.evaluate("document.getAnimations().length") == 0

            page.get_by_role("button", name="Cancel").click()

            expect(page.get_by_role("progressbar")).to_be_hidden()
            expect(page.get_by_role("status")).to_contain_text("Cancelled")
            expect(page.get_by_role("button", name="Rewrite the article")).to_be_focused()
    finally:
        gate.open()


def test_a_token_is_asked_for_and_kept_in_memory_only(browser: Browser, scripted: Origin) -> None:
    with (
        Service(scripted, API_TOKEN="sesame-and-more") as guarded,
        opened(browser, guarded.address + "/") as page,
    ):
        page.get_by_label("Article", exact=True).fill('<img src="http://scripted.example/good.jpeg">')
        page.get_by_role("button", name="Rewrite the article").click()
        page.get_by_label("API token").fill("wrong")
        page.get_by_role("button", name="Use it").click()
        expect(page.locator("#token-note")).to_contain_text("did not accept")
        page.get_by_label("API token").fill("sesame-and-more")
        page.keyboard.press("Enter")

        expect(page.get_by_role("heading", name="The one place is local now")).to_be_visible()
        kept = page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")
        assert kept == '[{},{},""]'


def test_the_figures_of_the_cache_stand_at_the_foot(page: Page) -> None:
    rewrite(page, PROBLEMS)
    page.locator("#totals div").first.wait_for()

    figures = page.get_by_role("contentinfo").get_by_role("definition").first

    # Figures that were counted before are shown first, and new ones once those are 5 s old.
    expect(figures).not_to_have_text("0", timeout=10_000)


def test_the_example_is_ready_where_its_origin_runs_and_says_so_where_it_does_not(
    page: Page, browser: Browser
) -> None:
    expect(page.get_by_label("Article", exact=True)).to_have_value(read_article())
    expect(page.locator("#example-note")).to_be_hidden()

    with Service() as plain, opened(browser, plain.address + "/") as other:
        other.get_by_role("button", name="Take the example").click()

        expect(other.locator("#example-note")).to_contain_text("mediasvc demo --serve")


COMPARE = """async ([before, after]) => {
  const { changesBetween } = await import("/page/changes.js");
  return changesBetween(before, after).map((part) => part.same === undefined ? [part.before, part.after] : [part.same]);
}"""  # noqa: E501
ONE, TWO = f"/assets/{'1' * 64}.jpg", f"https://media.example/m/assets/{'2' * 64}.webp"
LAZY = "/img/unsafe/600x400/aHR0cDovL2E"


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("", "", []),
        ("same", "same", [["same"]]),
        ("a http://x/1 b", f"a {ONE} b", [["a "], ["http://x/1", ONE], [" b"]]),
        ("http://x/1", ONE, [["http://x/1", ONE]]),
        (
            "<img srcset='http://x/1,2 1x, http://x/3 2x'>",
            f"<img srcset='{ONE} 1x, {TWO} 2x'>",
            [["<img srcset='"], ["http://x/1,2", ONE], [" 1x, "], ["http://x/3", TWO], [" 2x'>"]],
        ),
        (f"{ONE} http://x/1", f"{ONE} {LAZY}", [[f"{ONE} "], ["http://x/1", LAZY]]),
        ("a: http://x/1\n", f"b: '{ONE}'\n", [["a: http://x/1", f"b: '{ONE}'"], ["\n"]]),
    ],
)
def test_changes_are_lined_up(page: Page, before: str, after: str, parts: list[list[str]]) -> None:
    assert page.evaluate(COMPARE, [before, after]) == parts


def test_whatever_changes_the_parts_make_up_both_texts(page: Page) -> None:
    chance = random.Random(7)
    pieces = ["<p>湖</p>", '"', " ", "\n", ONE, TWO, LAZY, "http://x/1", "🐦", ","]
    texts = [["".join(chance.choices(pieces, k=chance.randrange(12))) for _ in range(2)] for _ in range(300)]

    results = page.evaluate(f"async (texts) => Promise.all(texts.map({COMPARE}))", texts)

    for (before, after), parts in zip(texts, results, strict=True):
        assert "".join(part[0] for part in parts) == before
        assert "".join(part[-1] for part in parts) == after


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_nothing_is_wider_than_a_telephone(browser: Browser, service: Service, path: str) -> None:
    with opened(browser, service.address + path, viewport=NARROW) as page:
        if path == "/":
            rewrite(page, PROBLEMS + read_article())
            page.locator("#totals div").first.wait_for()
        else:
            page.locator(".operation").first.wait_for()

        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_is_enough(page: Page) -> None:
    page.get_by_role("button", name="Take the example").wait_for()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the article")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Article", exact=True)).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text('<img src="http://scripted.example/good.jpeg">')
    page.keyboard.press("Control+Enter")

    expect(page.get_by_role("heading", name="The one place is local now")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Copy the result")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_the_outcome_is_announced(page: Page) -> None:
    rewrite(page, PROBLEMS)

    status = page.get_by_role("status")

    expect(status).to_contain_text("1 of 4 places is local now. 2 failed")
    assert status.get_attribute("aria-live") == "polite"


NAMELESS = """() => [...document.querySelectorAll("button, input, select, textarea, a[href], img, dialog, nav, form, pre")]
  .filter((one) => !(one.labels?.length || one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
    || one.hasAttribute("alt") || one.textContent.trim() || one.id === "contents"))
  .map((one) => one.outerHTML)"""  # noqa: E501
SKIPPED = """() => {
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter((one) => one.checkVisibility())
    .map((one) => Number(one.tagName[1]));
  return levels.filter((level, at) => at && level > levels[at - 1] + 1).length;
}"""
# WCAG 2.2, 1.4.3: 4.5 to 1, or 3 to 1 from 24 px (18.66 px bold) on. Every element with text of its own.
FAINT = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const paper = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((one) => {
      const style = getComputedStyle(one);
      const [a, b] = [light(rgba(style.color)), light(paper(one))].sort((x, y) => y - x);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      return [(a + 0.05) / (b + 0.05), large ? 3 : 4.5, one.outerHTML.slice(0, 90)];
    })
    .filter(([ratio, least]) => ratio < least);
}"""  # noqa: E501


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_everything_can_be_read_and_has_a_name(
    browser: Browser, service: Service, path: str, scheme: str
) -> None:
    with opened(browser, service.address + path, color_scheme=scheme) as page:
        if path == "/":
            rewrite(page, PROBLEMS)
            page.locator("#totals div").first.wait_for()
        else:
            page.locator(".operation").first.wait_for()

        assert page.evaluate(FAINT) == []
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(SKIPPED) == 0
        assert (
            page.locator("h1").count()
            == page.get_by_role("main").count()
            == page.get_by_role("banner").count()
            == 1
        )


def test_the_description_shows_every_route(browser: Browser, service: Service) -> None:
    described = service.get("/openapi.json").json
    with opened(browser, service.address + "/docs") as page:
        page.locator(".operation").first.wait_for()

        titles = page.locator(".operation h3").all_inner_texts()

        for path, item in described["paths"].items():
            for method in item.keys() & {"get", "post", "delete"}:
                assert any(title.split()[:2] == [method.upper(), path] for title in titles), (method, path)
        assert "curl" in page.locator(".operation pre").first.inner_text()
        assert page.locator(".schema").count() == len(described.get("components", {}).get("schemas", {}))


def test_the_pages_stand_without_styles_or_scripts_of_their_own_lines(service: Service) -> None:
    for path in ("/", "/docs"):
        text = service.get(path).body.decode()

        assert " style=" not in text
        assert "<style" not in text
        assert "onclick" not in text
        assert text.count("<script") == text.count('<script type="module" src="page/')
