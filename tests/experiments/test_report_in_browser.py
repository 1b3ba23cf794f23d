"""A report as it looks in a browser: on a phone, on a desk and on paper."""

from __future__ import annotations

import base64
import re
import shutil
import zlib

import pandas as pd
import pytest
from matplotlib.figure import Figure
from sweeps import TINY, done_here, many

from neurosim.experiments import Experiment, load, report
from neurosim.experiments.sweep import results

pytest.importorskip("selenium", reason="selenium is not installed: no page is looked at")
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

PHONE = {"width": 375, "height": 812, "deviceScaleFactor": 2, "mobile": True}
DESK = {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
PAPER = {"width": 673, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # A4, 16 mm margins
DEVICES = {"phone": PHONE, "desk": DESK}
PAGES = ("run", "sweep", "figures")


def found(*names):
    """Where the first of these programs is."""
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser():
    chromium, driver = found("chromium", "chromium-browser", "google-chrome"), found("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium with chromedriver on PATH: no page is looked at")
    options = Options()
    options.binary_location = chromium
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Both are named: selenium looks for nothing and downloads nothing.
    driving = webdriver.Chrome(options=options, service=Service(executable_path=driver))
    yield driving
    driving.quit()


# ------------------------------------------------------------------------------ the pages


def figure_in(folder, title):
    """What `neurosim reproduce` leaves of a figure."""
    folder.mkdir(parents=True)
    drawing = Figure(figsize=(13, 7))
    drawing.add_subplot().plot([1, 3, 2])
    drawing.savefig(folder / "figure.svg")
    pd.DataFrame({"x": [1]}).to_parquet(folder / "table.parquet")
    head = ["method", "test MSE", "train MSE, while learning", "recall", "seeds without result"]
    rows = [["**ANP**", "0.0311 (0.0298-0.0325)", "0.0354 (0.0331-0.0377)", "0.981", "2"]] * 9
    lines = [f"# {title}", "", "## Where this differs from the paper", ""]
    lines += ["- The paper: NP is worse than ANP.", "  - ANP 0.03, NP 0.02", ""]
    lines += ["![figure](figure.png)", "", "## Numbers", ""]
    lines += [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * 5, *rows)]
    lines += ["", "## Settings", "", "```", f"wide = {list(range(90))}", "```", ""]
    (folder / "summary.md").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of each kind."""
    place = tmp_path_factory.mktemp("pages")
    quick = ["baselines.readout_epochs=1", "training.epochs=2"]
    chip = ["substrate.w_bits=6", "substrate.mismatch_gain=0.1"]
    Experiment(load(TINY, [*quick, *chip]), place / "run", draw=False).run(progress=False)
    rules = [
        {"name": name, "learning_rate": rate} for name in ("ANP", "WP") for rate in (1e-3, 1e9)
    ]
    varied = {"rule": rules, "network.hidden": [6, 12]}
    done_here(many("baselines.enabled=true", *quick, product=varied, seeds=2), place / "sweep")
    results.write(place / "sweep")
    for name in ("one", "other"):
        figure_in(place / "figures" / name, f"Title of {name} (Figure 0), scale small")
    return {name: report.write([place / name]) for name in PAGES}


# ----------------------------------------------------------------------------- what is wrong

LOOK = """
const wide = document.documentElement.clientWidth, wrong = [];
const say = (what, e) =>
    wrong.push(what + ": " + e.tagName + " " + (e.textContent || e.alt || "").trim().slice(0, 60));
for (const e of document.images)
    if (!(e.complete && e.naturalWidth > 0 && e.naturalHeight > 0 && e.clientWidth > 0))
        say("image", e);
const inside = e => e.closest(".table, pre, .scrolled");
for (const e of document.querySelectorAll(".table, pre, .scrolled")) {
    const how = getComputedStyle(e).overflowX;
    if (e.scrollWidth > e.clientWidth + 1 && how != "auto" && how != "scroll") say("box", e);
}
for (const e of document.querySelectorAll("body *")) {
    const box = e.getBoundingClientRect();
    if (!(inside(e) && inside(e) !== e) && (box.right > wide + 1 || box.left < -1)) say("wide", e);
}
const light = rgb => {
    const c = rgb.map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * c[0] + .7152 * c[1] + .0722 * c[2];
};
const numbers = words => words.match(/[\\d.]+/g).map(Number);
const behind = e => {
    for (; e; e = e.parentElement) {
        const c = numbers(getComputedStyle(e).backgroundColor);
        if (c.length == 3 || c[3] > 0) return c.slice(0, 3);
    }
    return [255, 255, 255];
};
for (const e of document.querySelectorAll("h1, h2, h3, p, li, td, th, a, code, pre")) {
    if (!e.textContent.trim()) continue;
    const style = getComputedStyle(e), small = e.matches("code, pre") ? 11 : 14;
    if (parseFloat(style.fontSize) < small) say("small", e);
    const two = [light(numbers(style.color)), light(behind(e))].sort((a, b) => b - a);
    if ((two[0] + .05) / (two[1] + .05) < 4.5) say("faint", e);
}
if (document.documentElement.scrollWidth > arguments[0]) say("wide", document.body);
if (document.body.innerText.trim().length < 100) say("empty", document.body);
return wrong;
"""
SHOWN = """
return [...document.querySelectorAll("picture")].map(p => {
    const image = p.querySelector("img"), narrow = p.querySelector("source");
    return {narrow: !!narrow && image.currentSrc === narrow.srcset,
            wide: image.currentSrc === image.src,
            scale: image.clientWidth / image.naturalWidth};
});
"""


def opened(browser, path, device, media=""):
    """Open a page as on a device; give what the browser complains about."""
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # what was before is none of this page's
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    browser.get(path.as_uri())
    wrong = [f"console: {entry['message']}" for entry in browser.get_log("browser")]
    asked = [
        url
        for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
        for url in re.findall(r'"request":\{.*?"url":"([^"]*)"', entry["message"])
    ]
    assert path.as_uri() in asked, "what is asked for is seen"
    fine = (path.as_uri(), "data:")
    return wrong + [f"request: {url[:80]}" for url in asked if not url.startswith(fine)]


def wrong_with(browser, path, device, media=""):
    """Say all that is wrong with a page."""
    wrong = opened(browser, path, device, media)
    wrong += browser.execute_script(LOOK, device["width"])
    for shown in browser.execute_script(SHOWN):
        if not shown["narrow" if device is PHONE else "wide"]:
            wrong.append("drawing: not the one for this width")
        elif device is PHONE and shown["scale"] < 0.7:
            wrong.append(f"drawing: its letters are shown at {shown['scale']:.2f} of their size")
    return wrong


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_wrong_with_a_page(browser, pages, kind, device):
    assert wrong_with(browser, pages[kind], DEVICES[device]) == []


def test_there_is_something_to_be_wrong(browser, pages):
    """Boxes that are wider than a phone, and drawings of two kinds."""
    over = """return [...document.querySelectorAll(".table, pre, .scrolled")]
                  .filter(e => e.scrollWidth > e.clientWidth + 1).length"""
    counts = {"run": (2, 2), "sweep": (3, 2), "figures": (0, 3)}
    for kind, (drawings, boxes) in counts.items():
        opened(browser, pages[kind], PHONE)
        assert len(browser.execute_script(SHOWN)) == drawings
        assert browser.execute_script(over) >= boxes


@pytest.mark.parametrize("kind", PAGES)
def test_a_box_that_is_too_wide_can_be_scrolled_by_itself(browser, pages, kind):
    opened(browser, pages[kind], PHONE)
    moved = browser.execute_script(
        """return [...document.querySelectorAll(".table, pre, .scrolled")]
            .filter(e => e.scrollWidth > e.clientWidth + 1)
            .map(e => { e.scrollLeft = 1e6;
                        return e.scrollLeft >= e.scrollWidth - e.clientWidth - 1; })
            .concat(window.scrollX == 0)"""
    )
    assert len(moved) > 1
    assert all(moved)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", PAGES)
def test_every_link_goes_to_a_heading_in_sight(browser, pages, kind, device):
    opened(browser, pages[kind], DEVICES[device])
    links = browser.execute_script(
        "return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
    )
    assert len(links) == {"run": 8, "sweep": 9, "figures": 2}[kind]
    for k, href in enumerate(links):
        assert href.startswith("#")
        tag, top, height, hash_ = browser.execute_script(
            """window.scrollTo(0, 0);
               document.querySelectorAll('a')[arguments[0]].click();
               const e = document.getElementById(arguments[1]), box = e.getBoundingClientRect();
               return [e.tagName, box.top, box.height, location.hash]""",
            k,
            href[1:],
        )
        assert tag == "H2"
        assert height > 10
        assert -1 <= top <= DEVICES[device]["height"] - height
        assert hash_ == href


def test_links_are_large_enough_for_a_finger(browser, pages):
    opened(browser, pages["run"], PHONE)
    heights = browser.execute_script(
        "return [...document.querySelectorAll('nav a')].map(a => a.getBoundingClientRect().height)"
    )
    assert min(heights) >= 24


# -------------------------------------------------------------------------------- on paper


def printed(browser, path):
    """Print to A4: how many sheets, and how many pieces of text are on them."""
    opened(browser, path, DESK)
    paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": False}
    data = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", paper)["data"])
    assert data.startswith(b"%PDF")
    text = 0
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            text += len(re.findall(rb"\bT[jJ]\b", zlib.decompress(stream)))
        except zlib.error:
            text += len(re.findall(rb"\bT[jJ]\b", stream))
    return len(re.findall(rb"/Type\s*/Page\b", data)), text


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_can_be_printed(browser, pages, kind):
    sheets, text = printed(browser, pages[kind])
    assert 1 <= sheets < 20
    assert text > 50


def test_an_empty_page_is_printed_without_text(browser, tmp_path):
    (tmp_path / "empty.html").write_text("<!doctype html><title>x</title>")
    assert printed(browser, tmp_path / "empty.html") == (1, 0)


PRINTED = """
const wide = document.documentElement.clientWidth;
return [...document.querySelectorAll(".table, pre, .scrolled")]
    .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX != "visible")
    .map(e => "cut: " + e.textContent.trim().slice(0, 60))
    .concat(document.documentElement.scrollWidth > 1.25 * wide ? ["wide"] : [])
    .concat(getComputedStyle(document.body).fontSize == "16px" ? ["not for paper"] : []);
"""


@pytest.mark.parametrize("kind", PAGES)
def test_nothing_is_cut_off_on_paper(browser, pages, kind, tmp_path):
    """There nobody can scroll; the browser makes all smaller, until the widest table fits."""
    opened(browser, pages[kind], PAPER, "print")
    assert browser.execute_script(PRINTED) == []
    plain = tmp_path / "page.html"  # without the rules for paper
    plain.write_text(pages[kind].read_text().replace("@media print", "@media speech"))
    opened(browser, plain, PAPER, "print")
    assert "not for paper" in browser.execute_script(PRINTED)
    assert len(browser.execute_script(PRINTED)) > 1


# -------------------------------------------------------------------- the tests' own teeth

ABSENT = "http://127.0.0.1:9/x.png"  # where nobody listens
TEETH = {
    "image": '<img src="data:image/svg+xml;base64,AAAA" alt="x">',
    "console": "<script>throw new Error('x')</script>",
    "request": f'<img src="{ABSENT}" alt="x">',
    "wide": '<div style="width: 2000px">x</div>',
    "box": '<div class="table" style="overflow: visible"><p style="width: 1999px">x</p></div>',
    "small": '<p style="font-size: 9px">x</p>',
    "faint": '<p style="color: #aaa">x</p>',
    "drawing": '<picture><source media="(max-width: 1px), (min-width: 1100px)" srcset="{}">'
    '<img src="{}" alt="x" style="width: 9px"></picture>',
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("policy", [True, False])
@pytest.mark.parametrize("what", TEETH)
def test_what_is_wrong_would_be_noticed(browser, pages, tmp_path, what, policy, device):
    text = pages["run"].read_text()
    drawings = re.findall(r'(?:src|srcset)="(data:image[^"]*)"', text)[:2]
    if not policy:  # nothing keeps a page from loading and running what it likes
        text = re.sub(r"<meta http-equiv[^>]*>", "", text)
    path = tmp_path / "page.html"
    path.write_text(text)
    assert wrong_with(browser, path, DEVICES[device]) == []
    path.write_text(text.replace("</main>", f"{TEETH[what].format(*drawings)}</main>"))
    wrong = wrong_with(browser, path, DEVICES[device])
    # What the page's own policy keeps from happening the browser complains about.
    kinds = ("console",) if policy and what in ("console", "request") else (what,)
    assert [words for words in wrong if words.startswith(kinds)], wrong


def test_a_page_without_words_would_be_noticed(browser, tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><title>x</title><body>x")
    assert any(w.startswith("empty") for w in wrong_with(browser, tmp_path / "page.html", DESK))


@pytest.mark.parametrize("device", DEVICES)
def test_the_other_drawing_would_be_noticed(browser, pages, tmp_path, device):
    text = pages["run"].read_text()
    (tmp_path / "page.html").write_text(
        text.replace('max-width: 640px)" srcset', 'min-width: 641px)" srcset')
    )
    wrong = wrong_with(browser, tmp_path / "page.html", DEVICES[device])
    assert wrong == ["drawing: not the one for this width"] * 2
