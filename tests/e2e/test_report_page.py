"""The report's page in a real browser, opened as a file: charts, controls, keyboard, accessibility, no network."""

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, fetch_all
from etl.page.data import MEASURES
from tests.cli import Cli
from tests.parts import require

pytestmark = pytest.mark.slow

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP, PHONE = (1280, 900), (360, 740)

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    require(
        program,
        "there is no Chromium here: install Debian's package `chromium`, or Chrome, to test the page in a browser",
    )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def report(browser: Browser, loaded_dsn: str, shared_folder: Path) -> Path:
    """The page of the whole snapshot, made once for all workers."""
    folder = shared_folder / "report"
    with (shared_folder / "report.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            assert Cli(loaded_dsn, shared_folder)("report", str(folder)).returncode == 0
    return folder / "index.html"


@pytest.fixture
def loaded(loaded_dsn: str) -> Iterator[Connection]:
    with database.connect(config.Database(loaded_dsn)) as opened:
        yield opened


@pytest.fixture(scope="session")
def small_report(few_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a few locations, for what does not hang on how many there are."""
    folder = tmp_path_factory.mktemp("small")
    assert Cli(few_dsn, folder)("report", str(folder)).returncode == 0
    return folder / "index.html"


@contextmanager
def opener_of(report: Path, browser: Browser) -> Iterator[OpenPage]:
    """Opens a page; in the end nothing was said on its console, and nothing but the file was asked for."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def opener(size: tuple[int, int] = DESKTOP, scheme: Any = "light", part: str = "", **options: Any) -> Page:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            timezone_id="America/Los_Angeles",
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url.split("#")[0]))
        page.goto(report.as_uri() + part)
        page.wait_for_selector("#nation .plot svg")
        return page

    yield opener
    for context in contexts:
        context.close()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} <= {report.as_uri()}


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[OpenPage]:
    with opener_of(report, browser) as opener:
        yield opener


@pytest.fixture
def open_small(browser: Browser, small_report: Path) -> Iterator[OpenPage]:
    with opener_of(small_report, browser) as opener:
        yield opener


def whole(page: Page) -> None:
    """Waits until everything that is open is drawn."""
    page.wait_for_function(
        "[...document.querySelectorAll('.plot, .mini')].every((each) => each.querySelector('svg'))"
    )


def cells(page: Page, table: str) -> list[list[str]]:
    found: list[list[str]] = page.eval_on_selector_all(
        f"{table} tbody tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


def written(value: Any) -> str:
    """A count, or a mean to 3 decimals, as the page writes it."""
    if value is None:
        return "n/a"
    decimals = 0 if value == int(value) or abs(value) >= 10 else 1
    return f"{float(value):,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


# --- charts ---


def test_the_six_national_charts_have_a_bar_for_every_known_figure(open_page: OpenPage, loaded: Connection) -> None:
    page = open_page()
    whole(page)
    bars = page.eval_on_selector_all(
        "#nation .plot", "plots => plots.map(plot => plot.querySelectorAll('.mark-rect path').length)"
    )
    counts = ", ".join(f"count({measure.column})" for measure in MEASURES)
    assert tuple(bars) == fetch_all(loaded, f"select {counts} from mart.rolling_7d where location_code = 'US'")[0]


def test_the_height_of_every_bar_is_its_figure(open_page: OpenPage, loaded: Connection) -> None:
    page = open_page()
    whole(page)
    heights = page.eval_on_selector_all(
        "#nation figure:first-child .mark-rect path", "bars => bars.map(bar => bar.getBBox().height)"
    )
    cases = [
        value
        for (value,) in fetch_all(
            loaded,
            "select new_cases from mart.rolling_7d where location_code = 'US' and new_cases is not null order by report_date",
        )
    ]
    highest = max(cases)
    assert heights == pytest.approx([case / highest * max(heights) for case in cases], abs=0.01)


def test_pointing_at_a_chart_shows_the_figures_of_the_day_in_all_six(open_page: OpenPage, loaded: Connection) -> None:
    page = open_page()
    whole(page)
    bar = page.locator("#nation figure:first-child .mark-rect path").nth(300)
    box = bar.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 3)
    shown = page.locator("#nation .readout").all_text_contents()
    day = page.locator("#nation .plot").first.get_attribute("aria-valuenow")
    columns = ", ".join(f"{measure.column}, {measure.column}_7d_mean" for measure in MEASURES)
    ((day_in_words, *figures),) = fetch_all(
        loaded,
        f"select to_char(report_date, 'Mon FMDD, YYYY'), {columns} from mart.rolling_7d where location_code = 'US' and report_date = date '2020-01-13' + %s",
        (int(day or 0),),
    )
    assert 299 <= int(day or 0) <= 302
    assert shown == [
        f"{day_in_words}: {written(value)} {measure.unit.removesuffix(' a day')}"
        + ("" if measure.is_level else f", 7-day mean {written(mean)}")
        for measure, value, mean in zip(MEASURES, figures[::2], figures[1::2], strict=True)
    ]


def test_the_keyboard_moves_along_a_chart_and_names_the_figures(open_small: OpenPage) -> None:
    page = open_small()
    chart = page.get_by_role(
        "slider", name=re.compile("^New deaths, United States: 7-day mean peaked at 3,335 deaths")
    )
    chart.focus()
    page.keyboard.press("End")
    assert chart.get_attribute("aria-valuetext") == "Mar 7, 2021: 842 deaths, 7-day mean 1,701"
    for key, expected in (
        ("ArrowLeft", "Mar 6"),
        ("PageDown", "Feb 27"),
        ("ArrowRight", "Feb 28"),
        ("PageUp", "Mar 7"),
        ("ArrowRight", "Mar 7"),
    ):
        page.keyboard.press(key)
        assert str(chart.get_attribute("aria-valuetext")).startswith(f"{expected}, 2021: ")
    page.keyboard.press("Home")
    assert chart.get_attribute("aria-valuetext") == "Jan 13, 2020: not published"
    page.keyboard.press("Escape")
    assert str(chart.get_attribute("aria-valuetext")).startswith("Mar 7, 2021: ")


def test_the_tables_of_a_location_hold_every_published_figure_newest_first(
    open_page: OpenPage, loaded: Connection
) -> None:
    page = open_page(part="#state-TX")
    for place, code in (("#nation", "US"), ("#state-TX", "TX")):
        for index, measure in enumerate(MEASURES):
            summary = page.locator(f"{place} figure").nth(index).locator("details summary")
            if measure.column == "currently_on_ventilator" and code == "TX":
                assert summary.count() == 0
                continue
            summary.press("Enter")
            page.wait_for_selector(f"{place} figure:nth-child({index + 1}) td")
            shown = cells(page, f"{place} figure:nth-child({index + 1})")
            rows = fetch_all(
                loaded,
                f"""
                select report_date::text, {measure.column}, {measure.column}_7d_mean from mart.rolling_7d
                where location_code = %(code)s and report_date >= (
                    select min(report_date) from mart.rolling_7d where location_code = %(code)s and {measure.column} is not null
                ) order by report_date desc
                """,
                {"code": code},
            )
            marked = page.text_content(f"{place} figure:nth-child({index + 1}) .marked th")
            assert shown == [
                [f"{day} (peak)" if marked == f"{day} (peak)" else day, written(value)]
                + ([] if measure.is_level else [written(mean)])
                for day, value, mean in rows
            ]
            judged = 1 if measure.is_level else 2
            peak = max((row for row in reversed(rows) if row[judged] is not None), key=lambda row: row[judged])
            assert marked == f"{peak[0]} (peak)"
            summary.press("Enter")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_drawing_fits_the_place_that_is_kept_for_it(open_page: OpenPage, size: tuple[int, int]) -> None:
    page = open_page(size, part="#state-WY")
    whole(page)
    sizes = page.eval_on_selector_all(
        ".plot, .mini",
        "all => all.map(each => [each.querySelector('svg').getBoundingClientRect(), each.getBoundingClientRect()]).map(([svg, kept]) => [kept.width - svg.width, kept.height - svg.height])",
    )
    assert len(sizes) > 60
    assert all(0 <= width <= 1 and 0 <= height <= 1 for width, height in sizes)


# --- the map ---


def test_the_map_and_its_table_show_the_measure_and_the_day_that_are_chosen(
    open_page: OpenPage, loaded: Connection
) -> None:
    page = open_page()
    page.locator("#map-table summary").click()
    for measure, day in zip(
        MEASURES, ("2020-04-10", "2020-07-20", "2020-11-26", "2021-01-11", "2020-12-25", "2021-03-07"), strict=True
    ):
        page.select_option("#measure", measure.column)
        page.fill("#day", day)
        judged = measure.column if measure.is_level else f"{measure.column}_7d_mean"
        rows = fetch_all(
            loaded,
            f"""
            select location_code, name, round({judged} * 100000.0 / population, {measure.decimals})::text,
                {measure.column}_7d_mean, {measure.column}, {measure.column}_7d_mean_per_100k
            from mart.rolling_7d
            where location_code <> 'US' and report_date = %s order by name
            """,
            (day,),
        )
        shares = [(share or "n/a").replace("-", "\N{MINUS SIGN}") for _, _, share, *_ in rows]
        grouped = [re.sub(r"^(\d+)(\d{3})\.", r"\1,\2.", share) for share in shares]
        assert cells(page, "#map-table") == [
            [name, share, *([] if measure.is_level else [written(mean)]), written(value)]
            for (_, name, _, mean, value, _), share in zip(rows, grouped, strict=True)
        ]
        assert page.evaluate("location.hash") == f"#map/{measure.column}/{day}"
        tiles = dict(
            page.eval_on_selector_all(
                ".tiles a", "all => all.map(tile => [tile.dataset.location, tile.lastElementChild.textContent])"
            )
        )
        assert tiles == {code: share for (code, *_), share in zip(rows, grouped, strict=True)}
        # The view's own figure is of the mean before it was rounded to 3 decimals.
        for (*_, per_100k), share in zip(rows, shares, strict=True):
            assert (
                measure.is_level
                or per_100k is None
                or abs(float(per_100k) - float(share.replace("\N{MINUS SIGN}", "-")))
                <= 0.501 * 10**-measure.decimals + 0.0015
            )


def test_the_map_is_worked_by_keyboard(open_page: OpenPage) -> None:
    page = open_page()
    page.locator("#measure").focus()
    page.keyboard.type("New d")
    page.locator("#slider").focus()
    page.keyboard.press("End")
    assert page.text_content("#map-title") == "New deaths per 100,000 people, mean of the seven days to Mar 7, 2021"
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#day") == "2021-03-06"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.location") == "AK"
    assert str(page.text_content("#map-readout")).startswith("Alaska: 0.")
    for key, code in (
        ("ArrowDown", "WA"),
        ("ArrowRight", "ID"),
        ("ArrowDown", "NV"),
        ("ArrowLeft", "OR"),
        ("ArrowUp", "WA"),
        ("ArrowUp", "AK"),
    ):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.location") == code
    page.keyboard.press("Escape")
    assert str(page.text_content("#map-readout")).startswith("Point at a tile")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('details').id") == "map-table"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#state-AK[open]")
    page.wait_for_selector("#state-AK .plot svg")


WALK = """
() => {
    const keys = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], seen = new Set(["AK"]);
    for (const code of seen) {
        for (const key of keys) {
            const tile = document.querySelector(`.tiles a[data-location=${code}]`);
            tile.focus();
            tile.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
            seen.add(document.activeElement.dataset.location);
        }
    }
    return [...seen].sort();
}
"""


def test_all_tiles_are_reached_by_arrow_keys(open_page: OpenPage) -> None:
    """The walk takes every arrow at every tile; `test_the_map_is_worked_by_keyboard` presses real keys."""
    page = open_page()
    codes = page.eval_on_selector_all(".tiles a", "all => all.map(tile => tile.dataset.location).sort()")
    assert page.evaluate(WALK) == codes
    assert len(codes) == 56
    assert page.locator(".tiles a[tabindex='0']").count() == page.locator(".multiples a[tabindex='0']").count() == 1


def test_every_printed_figure_lies_in_its_printed_class(open_page: OpenPage) -> None:
    page = open_page()
    days = ("2020-03-25", "2020-11-14", "2021-03-07")
    compared = 0
    page.click("#multiples-table summary")
    page.wait_for_selector("#multiples-table td")
    for measure in MEASURES:
        page.select_option("#measure", measure.column)
        legend = page.locator("#legend li:not(.unknown)").all_text_contents()
        assert len(legend) == 6
        limits = [float(text.replace(",", "").split(" ")[1]) for text in legend]
        assert limits[0] == limits[1]
        bounds = [float("-inf"), *limits[1:], float("inf")]
        steps = {f"step-{step}": (bounds[step], bounds[step + 1]) for step in range(6)}
        highest = max(
            float(share.replace(",", "")) for _, share, _ in cells(page, "#multiples-table") if share != "n/a"
        )
        assert legend[-1].replace(",", "").endswith(f" to {highest:.{measure.decimals}f}")
        for day in days:
            page.fill("#day", day)
            tiles = page.eval_on_selector_all(
                ".tiles a:not(.unknown)",
                "all => all.map(tile => [tile.className, tile.lastElementChild.textContent])",
            )
            for step, text in tiles:
                low, high = steps[step]
                assert low <= float(text.replace(",", "").replace("\N{MINUS SIGN}", "-")) < high
            compared += len(tiles)
    assert compared > 700


def test_the_nation_has_a_rate_only_where_places_with_nearly_all_people_report(
    open_page: OpenPage, loaded: Connection
) -> None:
    page, outcomes = open_page(), set()
    for measure in MEASURES:
        judged = measure.column if measure.is_level else f"{measure.column}_7d_mean"
        page.select_option("#measure", measure.column)
        for day in ("2020-03-25", "2020-07-20", "2021-01-11"):
            page.fill("#day", day)
            ((places, people, rate),) = fetch_all(
                loaded,
                f"""
                select count({judged}) filter (where location_code <> 'US'),
                    sum(population) filter (where location_code <> 'US' and {judged} is not null)
                        / sum(population) filter (where location_code <> 'US'),
                    round(max({judged} * 100000.0 / population) filter (where location_code = 'US'), {measure.decimals})
                from mart.rolling_7d where report_date = %s
                """,
                (day,),
            )
            finding = str(page.text_content("#map-finding"))
            rated = f"The nation: {'n/a' if rate is None else f'{rate:,}'}."
            assert (rated in finding) == ("The nation:" in finding) == ((people or 0) >= 0.95)
            assert ("too few for a rate of the nation" in finding) == ((people or 0) < 0.95)
            reported = f"Reported by {places} of 56 places, with {int((people or 0) * 100)}% of the people"
            assert (reported in finding) == (places < 56)
            outcomes.add((rated in finding, reported in finding))
        has_line = measure.column not in ("currently_in_icu", "currently_on_ventilator")
        assert page.is_visible("#nation-key") == has_line
        assert ("has no line" in str(page.text_content("#nation-coverage"))) == (not has_line)
    assert outcomes == {(True, False), (True, True), (False, True)}


@pytest.mark.parametrize("part", ["toString", "constructor", "__proto__", "%E0%A4%A", "<b>"])
def test_an_address_that_names_no_measure_leaves_the_page_as_it_is(open_small: OpenPage, part: str) -> None:
    page = open_small(part=f"#map/{part}/2021-01-11")
    assert str(page.text_content("#map-title")).startswith("New cases per 100,000 people")
    assert str(page.text_content("#multiples-title")).startswith("New cases")
    page.locator("details.state summary").first.click()
    page.wait_for_selector("details.state[open] .plot svg")


def test_ties_are_counted_and_few_places_are_not_ranked(open_page: OpenPage) -> None:
    page = open_page(part="#map/new_deaths/2020-03-20")
    assert str(page.text_content("#map-finding")).startswith("Highest: 0.11 in Washington; lowest: 0.00 in 4 places.")
    page.fill("#day", "2020-03-10")
    assert str(page.text_content("#map-finding")).startswith("Too few places to name the highest and the lowest.")
    page.fill("#day", "2020-01-13")
    assert str(page.text_content("#map-finding")).startswith("No place has figures for all of these seven days.")


def test_a_place_that_never_had_cases_shows_zero_and_not_unknown(open_page: OpenPage) -> None:
    page = open_page()
    assert page.text_content(".multiples a[data-location=AS] .peak") == "0.0"
    page.select_option("#measure", "currently_in_icu")
    assert page.text_content(".multiples a[data-location=AS] .peak") == "n/a"


def test_an_address_leads_to_a_measure_and_a_day(open_page: OpenPage) -> None:
    page = open_page(part="#map/new_deaths/2020-12-25")
    assert page.text_content("#map-title") == "New deaths per 100,000 people, mean of the seven days to Dec 25, 2020"
    assert (page.input_value("#measure"), page.input_value("#day")) == ("new_deaths", "2020-12-25")
    page.evaluate("location.hash = '#map/currently_in_icu/2021-01-01'")
    page.wait_for_function("document.getElementById('day').value === '2021-01-01'")
    title = page.text_content("#map-title")
    for wrong in ("#map/none/2021-01-02", "#map/new_cases/2031-01-01", "#map/new_cases/x", "#map/new_cases"):
        page.evaluate("hash => { location.hash = hash; }", wrong)
        page.wait_for_timeout(50)
        assert page.text_content("#map-title") == title == "In intensive care per 100,000 people, Jan 1, 2021"


def test_the_first_touch_of_a_tile_reads_it_and_the_second_follows_it(open_page: OpenPage) -> None:
    page = open_page(PHONE, has_touch=True)
    assert str(page.text_content("#map-readout")).startswith("Touch a tile")
    page.locator(".tiles a[data-location=CA]").tap()
    assert str(page.text_content("#map-readout")).startswith("California: 105.4 per 100,000 people; ")
    assert page.evaluate("location.hash") == ""
    page.locator(".tiles a[data-location=CA]").tap()
    page.wait_for_selector("#state-CA[open] .plot svg")


def test_the_slider_moves_by_mouse_and_a_tile_shows_its_figures(open_page: OpenPage) -> None:
    page = open_page()
    slider = page.locator("#slider")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert page.input_value("#day") == "2021-03-07"
    page.hover(".tiles a[data-location=CA]")
    assert page.text_content("#map-readout") == "California: 9.4 per 100,000 people; 3,816 cases, 7-day mean 3,690"


def test_a_day_out_of_the_report_is_refused_with_a_word(open_page: OpenPage) -> None:
    page = open_page()
    title = page.text_content("#map-title")
    page.fill("#day", "2019-12-31")
    assert page.text_content("#map-title") == title
    assert page.text_content("#day-trouble") == "Choose a day from Jan 13, 2020 to Mar 7, 2021."
    assert page.get_attribute("#day", "aria-invalid") == "true"
    page.fill("#day", "2020-12-31")
    assert page.text_content("#day-trouble") == ""
    assert page.get_attribute("#day", "aria-invalid") == "false"


# --- the states ---


def test_small_multiples_follow_the_measure_and_lead_to_the_states(open_page: OpenPage, loaded: Connection) -> None:
    page = open_page()
    page.select_option("#measure", "currently_in_icu")
    page.locator("#multiples-table summary").click()
    peaks = fetch_all(
        loaded,
        "select name, max(round(currently_in_icu * 100000.0 / population, 1))"
        " from mart.rolling_7d where location_code <> 'US' group by name order by name",
    )
    shown = [[name, peak] for name, peak, _ in cells(page, "#multiples-table")]
    assert shown == [[name, "n/a" if peak is None else f"{peak:.1f}"] for name, peak in peaks]
    page.click(".multiples a[data-location=NY]")
    page.wait_for_selector("#state-NY[open] .plot svg")
    assert page.evaluate("location.hash") == "#state-NY"


def test_every_state_has_a_part_with_six_curves_and_all_open_at_once(open_page: OpenPage, loaded: Connection) -> None:
    page = open_page()
    page.click("#toggle-all")
    assert page.text_content("#toggle-all") == "Close all"
    counts = ", ".join(f"count({measure.column}) > 0" for measure in MEASURES)
    published = {
        name: known
        for name, *known in fetch_all(
            loaded, f"select name, {counts} from mart.rolling_7d where location_code <> 'US' group by name"
        )
    }
    shown = page.eval_on_selector_all(
        ".state",
        "parts => parts.map(part => [part.querySelector('h3').textContent, [...part.querySelectorAll('figure')].map(each => each.querySelector('.plot') !== null)])",
    )
    assert dict(shown) == published
    assert len(shown) == 56
    page.click("#toggle-all")
    assert page.locator(".state[open]").count() == 0


# --- for everybody ---


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(open_small: OpenPage, size: tuple[int, int], scheme: str) -> None:
    page = open_small(size, scheme, part="#state-WA")
    page.locator("#nation .figures summary").first.click()
    page.locator("#map-table summary").click()
    page.locator("#quality summary").first.click()
    whole(page)
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_every_table_and_every_slider_has_a_name_of_its_own(open_small: OpenPage) -> None:
    page = open_small(part="#state-CA")
    names = page.eval_on_selector_all(
        ".figures > summary, [role=slider]",
        "all => all.map(each => each.getAttribute('aria-label') ?? each.textContent)",
    )
    assert len(names) == len(set(names)) > 20
    assert "Table: new cases, California" in names


def test_forced_colors_keep_the_steps_of_the_map(open_small: OpenPage) -> None:
    page = open_small(forced_colors="active")
    colors = page.eval_on_selector_all("#legend li", "all => all.map(each => getComputedStyle(each).backgroundColor)")
    assert len(set(colors)) == 7
    assert page.evaluate("getComputedStyle(document.querySelector('.mark-line path')).stroke") != "rgb(11, 92, 138)"


def test_without_script_the_findings_are_told_in_words(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert (
        page.locator("#nation li").all_inner_texts()[2].startswith("In hospital: Peaked at 132,474 patients on Jan 6")
    )
    for dead in ("#map", "#multiples", "#toggle-all", "#nation .charts"):
        assert not page.is_visible(dead)
    page.click("#state-TX summary")
    assert page.locator("#state-TX li").count() == len(MEASURES)
    context.close()


def test_a_phone_does_not_scroll_sideways(open_small: OpenPage) -> None:
    page = open_small((320, 640), part="#state-WA")
    page.locator("#map-table summary").click()
    whole(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_dark_and_light_have_colors_of_their_own(open_small: OpenPage) -> None:
    def color(scheme: str) -> Any:
        return open_small(scheme=scheme).evaluate(
            "['body', '.mark-line path'].map(each => { const style = getComputedStyle(document.querySelector(each)); return [style.backgroundColor, style.stroke]; })"
        )

    assert color("light") == [["rgb(255, 255, 255)", "none"], ["rgba(0, 0, 0, 0)", "rgb(11, 92, 138)"]]
    assert color("dark") == [["rgb(21, 24, 28)", "none"], ["rgba(0, 0, 0, 0)", "rgb(109, 184, 230)"]]


def test_printing_is_light_and_draws_what_is_open(open_small: OpenPage) -> None:
    page = open_small(scheme="dark")
    page.evaluate("document.querySelector('#state-CA').open = true")
    assert page.pdf().startswith(b"%PDF")
    assert page.locator("#state-CA .plot svg").count() == page.locator("#state-CA .plot").count() > 0
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.controls')).display") == "none"
