"""The report in a browser without network: Debian's chromium, driven by selenium.

Opened as a file, as a person would. Every test ends with an empty console.
"""

from __future__ import annotations

import base64
import json
import shutil

import pytest

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
    return browser.find_elements(By.CSS_SELECTOR, "#gallery-cards .card")


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
    ids = page.find_elements(By.CSS_SELECTOR, "#gallery-cards .card h3 .id")
    assert ids[0].text == nasty
    alt = cards(page)[0].find_element(By.CSS_SELECTOR, "img").get_attribute("alt")
    assert alt.startswith(f"Photo {nasty} with 1 box of {nasty}")


def test_a_table_sorts_by_click_and_by_keyboard(page):
    button = heading(page, "AP")
    assert state(button) == "none"
    button.click()
    values = [float(value) for value in column(page, 3)]
    assert state(button) == "descending"
    assert values == sorted(values, reverse=True)
    button.send_keys(Keys.ENTER)
    assert state(button) == "ascending"
    assert [float(value) for value in column(page, 3)] == sorted(values)
    first = heading(page, "Class")
    first.send_keys(Keys.SPACE)
    assert state(first) == "ascending"
    assert state(button) == "none"
    names = column(page, 0)
    assert names.index("boat") < names.index("cat")


def test_the_gallery_filters_by_class_context_errors_and_group(page):
    assert len(cards(page)) == 12
    page.find_element(By.ID, "gallery-more").click()
    assert len(cards(page)) == 17  # three of them are wrongly predicted
    options = [option.text for option in Select(page.find_element(By.ID, "gallery-filter")).options]
    assert options[:3] == [
        "all photos (17)",
        "highest context first, Fisher vectors (14)",
        "lowest context first, Fisher vectors (14)",
    ]
    choose(page, "gallery-filter", options[1])
    ratios = [float(card.text.split("μ ")[1].split()[0]) for card in cards(page)]
    assert ratios == sorted(ratios, reverse=True)
    choose(page, "gallery-filter", next(text for text in options if text.startswith("errors: missed")))
    assert all("missed by" in card.text for card in cards(page))
    choose(page, "gallery-filter", next(text for text in options if text.startswith("group 2, Fisher")))
    assert all("group 2" in card.text for card in cards(page))
    choose(page, "gallery-class", "boat")
    options = [option.text for option in Select(page.find_element(By.ID, "gallery-filter")).options]
    choose(page, "gallery-filter", next(text for text in options if text.startswith("errors: wrongly")))
    assert all("does not show boat" in card.text for card in cards(page))
    assert cards(page)
    assert page.find_element(By.ID, "gallery-count").text.endswith("shown")


def test_the_slider_mixes_heatmap_and_photo_and_boxes_can_be_hidden(page):
    opacity = "return getComputedStyle(document.querySelector('.card .map')).opacity"
    slider = page.find_element(By.ID, "overlay")
    assert script(page, opacity) == "0.8"
    slider.send_keys(Keys.ARROW_LEFT)
    assert script(page, opacity) == "0.75"
    slider.send_keys(Keys.HOME)
    assert script(page, opacity) == "0"
    assert slider.get_attribute("aria-valuetext") == "0 % heatmap"
    box = page.find_element(By.CSS_SELECTOR, ".card .frame rect")
    assert box.is_displayed()
    page.find_element(By.ID, "show-boxes").click()
    assert not box.is_displayed()


def test_a_map_of_strategies_shows_photos_by_keyboard_and_pointer(page):
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
    chosen = """const figure = document.querySelector('.curves');
        return figure.querySelector('img').currentSrc === figure.querySelector('source').srcset"""
    wait(page, lambda driver: script(driver, chosen))
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert script(page, "return document.documentElement.scrollWidth") <= 400
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


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
