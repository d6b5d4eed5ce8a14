"""The report in a browser without network: Debian's chromium, driven by selenium.

Opened as a file, as a person would. Every test ends with an empty console.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import shutil

import pytest

from pfungst.audits.schema import Audit
from pfungst.report.audit_page import SECTIONS, write_report

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium or chromedriver is missing (apt-get install chromium-driver)"
)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--hide-scrollbars", "--force-prefers-reduced-motion",
    "--window-size=1400,1000",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(executable_path=DRIVER))
    driver.set_page_load_timeout(60)
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["http://*", "https://*", "ws://*", "wss://*"]})
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, example):
    """The report freshly opened; afterwards the console must be empty and nothing asked of the network."""
    browser.get_log("browser"), browser.get_log("performance")
    browser.get((example / "report.html").as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert [url for url in requested(browser) if not url.startswith(("file:", "data:"))] == []


def requested(browser):
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]


def wait(browser, condition):
    return WebDriverWait(browser, 20).until(condition)


def script(browser, text, *arguments):
    return browser.execute_script(text, *arguments)


def column(browser, index, table="class-table"):
    values = "return [...document.querySelectorAll(arguments[0])].map(cell => cell.dataset.value)"
    return script(browser, values, f"#{table} tbody tr > :nth-child({index + 1})")


def heading(browser, text):
    buttons = browser.find_elements(By.CSS_SELECTOR, "#class-table th button")
    return next(button for button in buttons if button.text.strip().startswith(text))


def state(button):
    return button.find_element(By.XPATH, "..").get_attribute("aria-sort")


def cards(browser):
    return browser.find_elements(By.CSS_SELECTOR, "#gallery-cards > li")


def open_all(browser):
    """Every section unfolded."""
    script(browser, "for (const one of document.querySelectorAll('details.fold')) one.open = true")


def choose(browser, identity, text):
    Select(browser.find_element(By.ID, identity)).select_by_visible_text(text)


def test_sections_and_pictures_are_there(page):
    found = script(page, "return [...document.querySelectorAll('main > section')].map(one => one.id)")
    assert found == [name for name, _ in SECTIONS]
    script(page, "document.getElementById('strategies').scrollIntoView()")
    loaded = (
        "return [...document.images].filter(one => one.src).every(one => one.complete && one.naturalWidth)"
    )
    wait(page, lambda driver: script(driver, loaded))
    assert script(page, "return [...document.images].every(one => one.hasAttribute('alt'))")
    assert len(page.find_elements(By.CSS_SELECTOR, "section .legend")) >= 4


def test_markup_in_names_stays_text(page, nasty):
    assert script(page, "return document.querySelectorAll('img[src=x], img[onerror]').length") == 0
    options = [option.text for option in Select(page.find_element(By.ID, "gallery-class")).options]
    assert options[0] == nasty
    ids = page.find_elements(By.CSS_SELECTOR, "#gallery-cards .caption .id")
    assert ids[0].text == nasty
    alt = cards(page)[0].find_element(By.CSS_SELECTOR, "img").get_attribute("alt")
    assert alt.startswith(f"Photo {nasty} with 1 box of {nasty}")


def test_a_table_sorts_by_click_and_by_keyboard(page):
    button = heading(page, "AP")
    assert state(button) == "none"
    button.click()
    values = [float(value) for value in column(page, 4)]
    assert state(button) == "descending"
    assert values == sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert state(button) == "ascending"
    assert [float(value) for value in column(page, 4)] == sorted(values)
    first = heading(page, "Class")
    first.send_keys(Keys.SPACE)
    assert state(first) == "ascending"
    assert state(button) == "none"
    names = column(page, 0)
    assert names.index("boat") < names.index("cat")


def test_the_gallery_filters_by_class_context_errors_and_group(page, example):
    assert len(cards(page)) == 17  # three of them are wrongly predicted
    options = [option.text for option in Select(page.find_element(By.ID, "gallery-filter")).options]
    assert options[:3] == [
        "all photos (17)",
        "highest context first, Fisher vectors (14)",
        "lowest context first, Fisher vectors (14)",
    ]
    choose(page, "gallery-filter", options[1])
    ratio = "return arguments[0].querySelector('button.open').photo.id"
    shown = [script(page, ratio, card) for card in cards(page)]
    ratios = Audit.load(example).models[0].classes[0].context.ratios
    assert shown == sorted(shown, key=lambda image: -ratios[image])
    choose(page, "gallery-filter", next(text for text in options if text.startswith("errors: missed")))
    assert all("missed" in card.text for card in cards(page))
    choose(page, "gallery-filter", next(text for text in options if text.startswith("group 2, Fisher")))
    assert 0 < len(cards(page)) < 17
    choose(page, "gallery-class", "boat")
    options = [option.text for option in Select(page.find_element(By.ID, "gallery-filter")).options]
    choose(page, "gallery-filter", next(text for text in options if text.startswith("errors: wrongly")))
    assert all("wrongly recognised" in card.text for card in cards(page))
    assert cards(page)
    assert page.find_element(By.ID, "gallery-count").text.endswith("shown")


def test_the_slider_mixes_heatmap_and_photo_and_boxes_can_be_hidden(page):
    opacity = "return getComputedStyle(document.querySelector('#gallery-cards .map')).opacity"
    slider = page.find_element(By.ID, "overlay")
    assert script(page, opacity) == "0.8"
    slider.send_keys(Keys.ARROW_LEFT)
    assert script(page, opacity) == "0.75"
    slider.send_keys(Keys.HOME)
    assert script(page, opacity) == "0"
    assert slider.get_attribute("aria-valuetext") == "0 % heatmap"
    box = page.find_element(By.CSS_SELECTOR, "#gallery-cards .frame rect")
    assert box.is_displayed()
    page.find_element(By.ID, "show-boxes").click()
    assert not box.is_displayed()


def test_a_map_of_strategies_shows_photos_by_keyboard_and_pointer(page):
    open_all(page)
    drawing = page.find_element(By.CSS_SELECTOR, "svg.scatter")
    preview = page.find_element(By.CSS_SELECTOR, ".preview")
    marks = drawing.find_elements(By.CSS_SELECTOR, ".mark")
    assert sum(mark.get_attribute("tabindex") == "0" for mark in marks) == 1
    script(page, "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", drawing)
    script(page, "arguments[0].focus()", marks[0])
    assert marks[0].get_attribute("aria-label") in preview.text
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert page.switch_to.active_element == marks[1]
    assert marks[1].get_attribute("aria-label") in preview.text
    page.switch_to.active_element.send_keys(Keys.END)
    assert page.switch_to.active_element == marks[-1]
    wait(page, lambda _: len(preview.find_elements(By.CSS_SELECTOR, "img[src^='data:']")) == 3)
    webdriver.ActionChains(page).move_to_element(marks[2]).perform()
    assert marks[2].get_attribute("aria-label") in preview.text


def test_everything_can_be_reached_by_keyboard(page):
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert page.switch_to.active_element.text == "Skip to the content"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.switch_to.active_element.get_attribute("id") == "main"
    visible = (
        "const e = document.querySelector('#gallery-class'); e.focus(); return e.matches(':focus-visible')"
    )
    assert script(page, visible)
    nameless = """return [...document.querySelectorAll('a, button, select, input, summary')]
        .filter(one => !(one.textContent.trim() || one.ariaLabel || (one.labels && one.labels.length)))
        .map(one => one.outerHTML)"""
    assert script(page, nameless) == []


def test_dark_mode_and_narrow_windows(page):
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = script(page, paper)
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    assert script(page, paper) != light
    open_all(page)
    chosen = """const figure = document.querySelector('.curves');
        return figure.querySelector('img').currentSrc === figure.querySelectorAll('source')[2].srcset"""
    wait(page, lambda driver: script(driver, chosen))
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def phone(browser):
    """A window of 390 pixels."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_a_phone_nothing_is_wider_than_the_window_and_the_page_is_short(phone, page):
    assert script(page, "return document.documentElement.scrollHeight") < 9000
    open_all(page)
    script(page, "for (const one of document.querySelectorAll('details')) one.open = true")
    assert script(page, "return document.documentElement.scrollWidth") <= 390
    figure = """const figure = document.querySelector('.curves');
        return figure.querySelector('img').currentSrc === figure.querySelectorAll('source')[1].srcset"""
    script(page, "document.querySelector('.curves').scrollIntoView()")
    wait(page, lambda driver: script(driver, figure))


def test_a_wide_table_scrolls_in_its_frame_says_so_and_keeps_its_first_column(phone, page):
    frame = page.find_element(By.CSS_SELECTOR, "#classes .table")
    cue = frame.find_element(By.CSS_SELECTOR, ".cue")
    wait(page, lambda _: cue.is_displayed())
    place = "return document.querySelector('#class-table tbody th').getBoundingClientRect().left"
    before = script(page, place)
    script(page, "document.querySelector('#classes .scroll').scrollLeft = 300")
    assert script(page, place) == before
    script(page, "document.querySelector('#classes .scroll').scrollLeft = 9999")
    wait(page, lambda _: not cue.is_displayed())


def test_sections_fold_and_a_link_opens_them(page):
    fold = "return document.querySelector('#artefacts details.fold').open"
    assert not script(page, fold)
    page.find_element(By.LINK_TEXT, "See the evidence").click()
    assert script(page, fold)
    assert script(page, "return location.hash").startswith("#artefact-")
    button = page.find_element(By.ID, "fold-all")
    every = "return [...document.querySelectorAll('details.fold')].map(one => one.open)"
    script(page, "arguments[0].click()", button)
    assert all(script(page, every))
    script(page, "arguments[0].click()", button)
    assert not any(script(page, every))


def test_a_photo_opens_large_by_click_and_by_enter_and_arrows_go_on(page):
    dialog = page.find_element(By.ID, "large")
    button = cards(page)[1].find_element(By.CSS_SELECTOR, "button.open")
    script(page, "arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert dialog.is_displayed()
    title = page.find_element(By.ID, "large-title")
    names = [card.find_element(By.CSS_SELECTOR, ".id").get_attribute("textContent") for card in cards(page)]
    assert title.text == names[1]
    assert "threshold 0.00" in dialog.text
    assert len(dialog.find_elements(By.CSS_SELECTOR, "figure")) == 3
    webdriver.ActionChains(page).send_keys(Keys.ARROW_RIGHT).perform()
    assert title.text == names[2]
    assert page.find_element(By.ID, "large-place").text == f"3 of {len(names)}"
    webdriver.ActionChains(page).send_keys(Keys.ESCAPE).perform()
    wait(page, lambda _: not dialog.is_displayed())
    assert page.switch_to.active_element.get_attribute("aria-label") == f"Open photo {names[2]} large"
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert dialog.is_displayed()
    page.find_element(By.ID, "large-close").click()
    assert not dialog.is_displayed()


def test_a_word_explains_itself_on_hover_and_focus_until_escape(page):
    tip = page.find_element(By.ID, "tip")
    word = page.find_element(By.CSS_SELECTOR, "header a.term")
    webdriver.ActionChains(page).move_to_element(word).perform()
    assert tip.is_displayed()
    assert "1 is perfect" in tip.text
    assert word.get_attribute("aria-describedby") == "tip"
    webdriver.ActionChains(page).send_keys(Keys.ESCAPE).perform()
    assert not tip.is_displayed()
    script(page, "arguments[0].focus()", heading(page, "Context"))  # which scrolls to it
    wait(page, lambda _: tip.is_displayed() and "box" in tip.text)
    near = """const [word, tip] = [...arguments].map(one => one.getBoundingClientRect());
        return Math.abs(word.bottom - tip.top)"""
    wait(page, lambda driver: script(driver, near, heading(page, "Context"), tip) < 200)


def test_a_table_is_taken_away_as_csv(page):
    kept = """window.taken = []; HTMLAnchorElement.prototype.click = function () {
        window.taken.push([this.download, decodeURIComponent(this.href.split(",").slice(1).join(","))]); }"""
    script(page, kept)
    script(page, "document.querySelector('#classes button.csv').click()")
    (name, content), *_ = script(page, "return window.taken")
    rows = list(csv.reader(io.StringIO(content)))
    assert name == "classes.csv"
    assert rows[0][:7] == ["Class", "Model", "Photos", "Threshold", "AP", "AP, low", "AP, high"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert [float(row[4]) for row in rows[1:]] == [float(value) for value in column(page, 4)]
    assert rows[1][-1] == "lower left corner"


AXE = "4.14.1", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


@pytest.fixture(scope="module")
def axe(fetched):
    """The source of axe-core; the product has nothing of it."""
    return fetched("npm", ("axe-core", AXE[0]), "package/axe.min.js", AXE[1]).decode()


def findings(browser, axe):
    """Serious and critical findings: rule and places."""
    browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    found = browser.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(all => done(all.violations))"
    )
    return [
        (item["id"], [node["html"][:120] for node in item["nodes"][:3]])
        for item in found
        if item["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page, axe, scheme):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        assert findings(page, axe) == []
        open_all(page)
        script(page, "for (const one of document.querySelectorAll('details')) one.open = true")
        assert findings(page, axe) == []
        script(page, "document.querySelector('#gallery-cards button.open').click()")
        assert findings(page, axe) == []
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_axe_finds_nothing_serious_on_a_phone(phone, page, axe):
    open_all(page)
    assert findings(page, axe) == []
    script(page, "document.getElementById('main').append(document.createElement('button'))")
    assert [rule for rule, _ in findings(page, axe)] == ["button-name"]


def test_it_prints_with_its_pictures(page):
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert pdf.count(b"/Subtype /Image") > 20 or pdf.count(b"/Subtype/Image") > 20
    assert script(page, "return [...document.images].filter(one => !one.src).length") == 0


def test_pages_of_a_class_work_alone(browser, copied):
    folder = copied()
    write_report(folder, max_bytes=350_000)
    browser.get_log("browser")
    browser.get((folder / "report.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, "#gallery .links a").click()
    wait(browser, lambda driver: driver.current_url.endswith("report/class-1.html"))
    assert cards(browser)
    browser.find_element(By.LINK_TEXT, "Back to the report").click()
    wait(browser, lambda driver: "report.html" in driver.current_url)
    assert browser.get_log("browser") == []
