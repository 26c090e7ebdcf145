"""The report as files: its figures against the database, what it escapes, and how it fails."""

import functools
import json
import re
import struct
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from etl import config
from etl.database import connection as database
from etl.database.connection import Connection, fetch_all
from etl.page import charts, data, page, pictures, quality, words
from etl.page.data import MEASURES, Curve
from tests.cli import Cli
from tests.conftest import Command, few_only, whole_only
from tests.documents import document, nation_day
from tests.integration.test_load import days
from tests.warehouse import Warehouse

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture
def loaded(any_dsn: str) -> Iterator[Connection]:
    with database.connect(config.Database(any_dsn)) as opened:
        yield opened


@pytest.fixture
def warehouse(conn: Connection, tmp_path: Path) -> Warehouse:
    return Warehouse(conn, tmp_path)


@pytest.fixture(autouse=True, scope="module")
def drawn_once() -> Iterator[None]:
    """The script that draws is the same in every page, and takes seconds to put together."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "embedder", functools.cache(charts.embedder))
        yield


class Texts(HTMLParser):
    """The text of each element of a page, by tag; and the attributes of each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def embedded(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def rendered(conn: Connection) -> str:
    return page.render(data.read(conn), NOON)


@pytest.fixture(scope="module")
def contents(any_dsn: str) -> data.Contents:
    """What the page of a part of the snapshot is made of."""
    with database.connect(config.Database(any_dsn)) as opened:
        return data.read(opened)


@pytest.fixture(scope="module")
def html(contents: data.Contents) -> str:
    """The page of that part."""
    return page.render(contents, NOON)


@pytest.fixture(scope="module")
def text(html: str) -> str:
    """The text of the page, without its markup."""
    return " ".join(" ".join(Texts(html).texts).split())


# --- figures ---


def test_every_figure_of_the_page_is_that_of_the_database(loaded: Connection, html: str) -> None:
    shown = embedded(html)
    first = date.fromisoformat(shown["first_day"])
    compared = 0
    for measure in MEASURES:
        columns = {"values": measure.column} | ({} if measure.is_level else {"means": f"{measure.column}_7d_mean"})
        for key, column in columns.items():
            rows = fetch_all(loaded, f"select location_code, report_date, {column} from mart.rolling_7d")
            expected = {(code, day): None if figure is None else float(figure) for code, day, figure in rows}
            found = {
                (code, first + timedelta(days=location["first"] + index)): figure
                for code, location in shown["locations"].items()
                for index, figure in enumerate(location["curves"][measure.column][key])
            }
            assert found == expected
            compared += len(found)
    (reports,) = fetch_all(loaded, "select count(*) from mart.rolling_7d")[0]
    assert compared == reports * 9 > 0


def test_the_populations_and_the_peaks_are_those_of_the_database(loaded: Connection, html: str) -> None:
    shown = embedded(html)
    population = {code: location["population"] for code, location in shown["locations"].items()}
    assert population == dict(fetch_all(loaded, "select location_code, population from mart.latest"))
    for measure in MEASURES:
        column = measure.column if measure.is_level else f"{measure.column}_7d_mean"
        peaks = fetch_all(
            loaded,
            f"select distinct on (location_code) location_code, report_date - date %s from mart.rolling_7d"
            f" where {column} > 0 order by location_code, {column} desc, report_date",
            (shown["first_day"],),
        )
        found = {code: location["curves"][measure.column]["peak"] for code, location in shown["locations"].items()}
        assert {code: peak for code, peak in found.items() if peak is not None} == dict(peaks)


def test_the_totals_of_every_location_are_in_the_text(loaded: Connection, text: str) -> None:
    totals = fetch_all(
        loaded,
        "select name, location_code, total_cases, total_deaths, population from mart.daily_summary where report_date = '2021-03-07'",
    )
    assert totals
    for name, code, cases, deaths, population in totals:
        if code == "US":
            assert f"had reported {cases:,} cases and {deaths:,} deaths" in text
        else:
            assert f"{name} {cases:,} cases {deaths:,} deaths {population:,} inhabitants" in text


@whole_only
def test_the_page_says_from_what_and_when_it_was_made(loaded: Connection, text: str) -> None:
    ((run_id, started_at),) = fetch_all(loaded, "select run_id, started_at from ops.run")
    assert "Newest day Mar 7, 2021" in text
    assert "21,200 of 56 states and territories and the nation" in text
    assert f"run {run_id} of {started_at:%Y-%m-%d %H:%M} UTC" in text
    assert "from snapshot" in text
    assert "2026-01-02 12:00 UTC" in text
    assert "licensed under CC BY 4.0" in text
    assert "from the shipped snapshot: as last published, with what" in text


def test_only_the_snapshot_is_said_to_be_calculated_again(warehouse: Warehouse) -> None:
    warehouse.history(days(10))
    assert "shipped snapshot" not in rendered(warehouse.conn)


def test_one_state_alone_is_said_to_be_one(warehouse: Warehouse) -> None:
    warehouse.history(days(10))
    assert "10 of 1 state or territory</" in rendered(warehouse.conn)


def test_every_check_is_in_the_page_with_its_outcome(contents: data.Contents, text: str) -> None:
    assert contents.checks
    for check in contents.checks:
        outcome = {"PASSED": "none", "NOT CHECKED": "not checked"}.get(check.outcome, "found")
        assert f"{check.name} {check.kind} {outcome} {check.findings:,} {check.meaning}" in text
    assert "No required check failed; all" in text


def test_what_was_found_is_told_check_by_check_with_its_newest_rows(
    loaded: Connection, contents: data.Contents, text: str
) -> None:
    rows = fetch_all(
        loaded,
        """
        select finding, count(*), count(distinct location_code),
            (array_agg(name order by in_place desc, name))[1], max(in_place)
        from (select *, count(*) over (partition by finding, location_code) as in_place from mart.data_quality) as doubt
        group by finding order by 1
        """,
    )
    assert len(rows) > 5
    for check, findings, places, most_in, most in rows:
        where = f"{places} places, most in {most_in} ({most:,})" if places > 1 else "1 place "
        assert f"{check} : {findings:,} found in {where}" in text
    newest = {
        each.check.name: [(row.report_date, row.name) for row in each.findings[:10]]
        for each in quality.by_check(contents)
    }
    assert newest["jumps of new cases"] == fetch_all(
        loaded,
        "select report_date, name from mart.data_quality where finding = 'jumps of new cases' order by 1 desc, 2 limit 10",
    )


@few_only
def test_a_required_check_that_fails_is_shown_open(contents: data.Contents) -> None:
    failing = [replace(check, findings=3, outcome="FAILED") for check in contents.checks[:1]]
    html = page.render(replace(contents, checks=[*failing, *contents.checks[1:]]), NOON)
    assert '<details class="check" id="all-checks" open>' in html
    assert "1 required check failed" in html
    assert '<td class="failed">found</td>' in html


def test_every_state_is_compared_with_the_nation(loaded: Connection, contents: data.Contents, text: str) -> None:
    rows = fetch_all(
        loaded,
        """
        select latest.name, round(total_cases * 100000.0 / latest.population), rate, to_char(day, 'Mon FMDD, YYYY'),
            data_quality_grade, findings
        from mart.latest
        cross join lateral (
            select round(new_cases_7d_mean * 100000 / population, 1) as rate, report_date as day
            from mart.rolling_7d as rolling
            where rolling.location_code = latest.location_code and new_cases_7d_mean > 0
            order by new_cases_7d_mean desc, report_date limit 1
        ) as peak
        cross join lateral (
            select count(*) as findings from mart.data_quality as doubt where doubt.location_code = latest.location_code
        ) as doubts
        where location_type <> 'nation'
        """,
    )
    # American Samoa has never had cases.
    assert len(rows) == len(contents.states) - 1
    for _, cases, rate, day, grade, findings in rows:
        found = "no findings" if findings == 0 else f"{findings:,} finding{'' if findings == 1 else 's'} ("
        assert (
            f"{cases:,} cases per 100,000 people (nation 8,693); 7-day peak {rate} per 100,000 on {day}"
            f" (nation 74.7 on Jan 11, 2021); {f'grade {grade}' if grade else 'no grade'}; {found}"
        ) in text
    assert (
        "0 cases per 100,000 people (nation 8,693); no grade; 192 findings (poor grades 138, grades that are none 54)."
        in text
    )


def test_every_location_has_a_tile_and_no_two_share_a_place(loaded: Connection, html: str) -> None:
    codes = {code for (code,) in fetch_all(loaded, "select location_code from public.location_dimension")}
    (areas,) = re.findall(r"grid-template-areas: (.*?);", html)
    rows = [row.split() for row in re.findall(r'"(.*?)"', areas)]
    tiles = [code for row in rows for code in row if code != "."]
    assert {len(row) for row in rows} == {11}
    assert sorted(tiles) == sorted(codes - {"US"})
    assert tiles == re.findall(r"grid-area: (\w+)", html)


@whole_only
def test_the_steps_of_the_map_are_equally_wide_and_round(contents: data.Contents) -> None:
    assert page.bounds(MEASURES[0], contents.states) == [20, 40, 60, 80, 100]
    assert page.bounds(MEASURES[0], []) == [0.2, 0.4, 0.6, 0.8, 1]


def test_the_steps_of_a_measure_that_is_nearly_nothing_have_a_width(warehouse: Warehouse) -> None:
    warehouse.history(days(10))
    assert page.bounds(MEASURES[0], data.read(warehouse.conn).states) == [0.02, 0.04, 0.06, 0.08, 0.1]


# --- words ---


@pytest.mark.parametrize(
    ("values", "means", "sentence"),
    [
        ([None] * 9, [None] * 9, "Not published."),
        ([0] * 9, [None] * 9, "Never known for seven days in a row."),
        ([0] * 9, [None, *[0.0] * 8], "7-day mean never above zero; 0 on Jan 1, 2021."),
        ([-9] * 9, [-3.5] * 8 + [-1.286], "7-day mean never above zero; \N{MINUS SIGN}1.3 on Jan 1, 2021."),
        ([1] * 9, [1.0] * 8 + [2.143], "7-day mean highest on the last day: 2.1 cases a day on Jan 1, 2021."),
        (
            [1] * 9,
            [1.0] * 7 + [1234567.143, 12.6],
            "7-day mean peaked at 1,234,567 cases a day on Dec 31, 2020; 13 on Jan 1, 2021.",
        ),
        ([1] * 10, [1.0] * 8 + [99.9, 2.0], "7-day mean peaked at 100 cases a day on Jan 1, 2021; 2 on Jan 2."),
        (
            [1] * 10,
            [1.0] * 7 + [9.0, 1.0, None],
            "7-day mean peaked at 9 cases a day on Dec 31, 2020; 1 on Jan 1, 2021.",
        ),
        (
            [None, *[1] * 9],
            [None, 9.0, *[2.0] * 8],
            "Figures from Dec 25, 2020; highest 7-day mean since: 9 cases a day on Dec 25, 2020; 2 on Jan 2, 2021.",
        ),
    ],
)
def test_a_finding_of_new_figures_says_peak_and_newest_mean(
    values: list[int | None], means: list[float | None], sentence: str
) -> None:
    assert words.finding(MEASURES[0], Curve(date(2020, 12, 24), values, means)) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([None] * 9, "Not published."),
        ([*range(9), 40, 12], "Peaked at 40 patients on Jan 2, 2021; 12 on Jan 3."),
        ([*range(9)], "Highest on the last day: 8 patients on Jan 1, 2021."),
        ([0, 0], "Never above zero; 0 on Dec 25, 2020."),
        (
            [None] * 14 + [1] * 7 + [9, 2],
            "Peaked at 9 patients on Jan 14, 2021; 2 on Jan 15.",
        ),
        (
            [None] * 15 + [1] * 7 + [9, 2],
            "Peaked at 9 patients on Jan 15, 2021; 2 on Jan 16. Figures from Jan 8, 2021.",
        ),
        (
            [None] * 15 + [1] * 6 + [9, 2],
            "Figures from Jan 8, 2021; highest since: 9 patients on Jan 14, 2021; 2 on Jan 15.",
        ),
        ([None] * 15 + [7, 5], "Figures from Jan 8, 2021; highest since: 7 patients on Jan 8, 2021; 5 on Jan 9."),
        (
            [1] * 7 + [9, 2] + [None] * 8,
            "Peaked at 9 patients on Dec 31, 2020; 2 on Jan 1, 2021, none since.",
        ),
    ],
)
def test_a_finding_of_a_level_says_what_was_published(values: list[int | None], sentence: str) -> None:
    assert words.finding(MEASURES[2], Curve(date(2020, 12, 24), values, None)) == sentence


def test_the_levels_of_the_nation_are_told_by_their_published_figures(loaded: Connection, html: str) -> None:
    findings = {column: curve["finding"] for column, curve in embedded(html)["locations"]["US"]["curves"].items()}
    assert findings["new_cases"] == "7-day mean peaked at 247,111 cases a day on Jan 11, 2021; 57,900 on Mar 7."
    for measure in (measure for measure in MEASURES if measure.is_level):
        ((peak, day, last),) = fetch_all(
            loaded,
            f"""
            select {measure.column}, to_char(report_date, 'Mon FMDD, YYYY'), newest.figure
            from mart.rolling_7d
            cross join (
                select {measure.column} as figure from mart.rolling_7d where location_code = 'US' and report_date = '2021-03-07'
            ) as newest
            where location_code = 'US' and {measure.column} is not null order by {measure.column} desc limit 1
            """,
        )
        assert findings[measure.column].startswith(f"Peaked at {peak:,} patients on {day}; {last:,} on Mar 7")


# --- revisions ---


def test_revisions_are_listed_by_size(warehouse: Warehouse) -> None:
    """The last day has no figure at first: what is published late is no revision of a size."""
    warehouse.history(days(20) | {"2021-01-20": {"cases__total": None}})
    empty = rendered(warehouse.conn)
    ((first,),) = fetch_all(warehouse.conn, "select min(known_at) from ops.document_load")
    assert f"first load on {words.day(first)}; the source" in empty
    assert 'href="#revisions"' not in empty
    changed = {f"2021-01-{day:02}": {"cases__total": day * 10 + day} for day in range(1, 13)}
    warehouse.history(days(20) | changed)
    report = data.read(warehouse.conn)
    assert [(each.measure, each.report_date.day, each.old_value, each.new_value) for each in report.revisions] == [
        ("total_cases", day, day * 10, day * 11) for day in (12, 11, 10, 9, 8)
    ]
    assert {revision.revised_numbers for revision in report.revisions} == {13}
    text = " ".join(" ".join(Texts(page.render(report, NOON)).texts).split())
    assert "13 changes of published counts" in text
    assert f"first load on {words.day(first)}, and earlier ones if the shipped past was loaded" in text
    assert 'href="#revisions"' in page.render(report, NOON)
    assert "total cases California Jan 12, 2021 120 132 12" in text


# --- what is published is text, never markup ---


def test_text_of_the_database_is_escaped(warehouse: Warehouse) -> None:
    warehouse.history(days(10))
    hostile = "</script><!--<script><img src=x onerror=alert(1)> & \u2028 \"Cali'"
    with warehouse.conn.cursor() as cursor:
        cursor.execute("update public.location_dimension set name = %s where location_code = 'CA'", (hostile,))
        cursor.execute("update ops.run set source = %s", (hostile,))
    html = rendered(warehouse.conn)
    assert embedded(html)["locations"]["CA"]["name"] == hostile
    parsed = Texts(html)
    assert hostile in parsed.texts
    assert {tag for tag, _ in parsed.elements}.isdisjoint({"img", "iframe", "object"})


def test_the_page_reads_nothing_from_elsewhere(html: str) -> None:
    assert len(html.encode()) < 3_000_000
    elements = Texts(html).elements
    loading = [
        (tag, attributes[name])
        for tag, attributes in elements
        for name in ("src", "srcset", "data")
        if name in attributes
    ]
    assert loading == []
    assert [attributes["href"] for tag, attributes in elements if tag == "link"] == ["data:,"]
    styles = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in styles
    assert "@import" not in styles


# --- determinism, parts that are missing ---


@few_only
def test_two_pages_of_one_database_differ_in_their_time_alone(loaded: Connection, html: str) -> None:
    late = page.render(data.read(loaded), NOON + timedelta(days=400))
    assert html != late
    time = r"<time .*?</time>"
    assert re.sub(time, "", html) == re.sub(time, "", late)


def test_without_the_nation_the_states_are_shown(warehouse: Warehouse) -> None:
    warehouse.history(days(10))
    html = rendered(warehouse.conn)
    assert "The national figures are not loaded." in html
    assert list(embedded(html)["locations"]) == ["CA"]


def test_without_states_the_nation_is_shown_and_no_link_leads_nowhere(warehouse: Warehouse) -> None:
    nation = [nation_day(f"2021-01-{day:02}", cases__total=day * 10)["data"] for day in range(1, 11)]
    warehouse.publish("us/daily.json", document(nation))
    warehouse.load(locations="us")
    elements = Texts(rendered(warehouse.conn)).elements
    anchors = {attributes.get("id") for _, attributes in elements}
    links = {str(attributes["href"]) for tag, attributes in elements if tag == "a"}
    inner = {link[1:] for link in links if link.startswith("#")}
    assert inner == {"content", "nation", "quality", "about"} <= anchors


def test_a_day_without_a_report_leaves_a_gap(warehouse: Warehouse) -> None:
    published = days(10)
    del published["2021-01-04"]
    warehouse.history(published)
    curve = data.read(warehouse.conn).locations["CA"].curves["new_cases"]
    assert (len(curve.values), curve.values[3]) == (10, None)


# --- the command ---


def test_the_command_writes_the_page_and_replaces_it(few_dsn: str, tmp_path: Path) -> None:
    cli = Cli(few_dsn, tmp_path)
    folder = tmp_path / "made" / "on the way"
    for _ in range(2):
        result = cli("report", str(folder))
        assert (result.returncode, result.stderr) == (0, "")
        assert re.fullmatch(rf"{re.escape(str(folder / 'index.html'))}: \d\.\d MB\n", result.stdout)
        assert [path.name for path in folder.iterdir()] == ["index.html"]
    assert embedded((folder / "index.html").read_text(encoding="utf-8"))["days"] == 420


@pytest.mark.slow
def test_the_pictures_are_png_files_of_the_national_curves(few_dsn: str, tmp_path: Path) -> None:
    result = Cli(few_dsn, tmp_path)("report", "--png", str(tmp_path / "pictures"))
    assert result.returncode == 0, result.stderr
    files = {path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert set(files) == {f"{measure.column}.png" for measure in MEASURES} | {pictures.ALL}
    assert len(set(files.values())) == len(files)
    for content in files.values():
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        assert width > 1200
        assert height > 600


@pytest.mark.slow
@few_only
def test_a_picture_says_its_source_and_when_it_was_made(contents: data.Contents) -> None:
    drawn, again = (pictures.draw(contents, NOON) for _ in range(2))
    assert drawn == again
    assert all(drawn[name] != picture for name, picture in pictures.draw(contents, NOON + timedelta(days=1)).items())


def test_without_the_nation_there_are_no_pictures(warehouse: Warehouse, dsn: str, tmp_path: Path) -> None:
    warehouse.history(days(10))
    result = Cli(dsn, tmp_path)("report", "--png", str(tmp_path / "pictures"))
    assert result.returncode == 2
    assert "the nation is not loaded" in result.stderr
    assert not (tmp_path / "pictures").exists()


def test_an_empty_database_is_an_error_and_leaves_no_page(cli: Cli, tmp_path: Path) -> None:
    result = cli("report", str(tmp_path / "report"))
    assert result.returncode == 2
    assert result.stderr.endswith(
        " ERROR command failed exit_code=2 reason=nothing is loaded yet, so there is nothing to report: run `main.py load` first\n"
    )
    assert not (tmp_path / "report").exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(few_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = Cli(few_dsn, tmp_path)("report", str(tmp_path / "file" / "report"))
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"{tmp_path / 'file' / 'report'} cannot be written: Not a directory" in result.stderr


@pytest.mark.parametrize("package", ["jinja2", "vl_convert"])
def test_a_missing_package_is_said_with_what_installs_it(command: Command, tmp_path: Path, package: str) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(name={package!r})\n")
    result = command("report", str(tmp_path / "report"), PYTHONPATH=str(tmp_path))
    assert result.returncode == 2
    assert result.stderr.endswith(
        f" ERROR command failed exit_code=2 reason=the report needs a package that is not installed ({package}): "
        "run `make .venv/report`, or pip install -r requirements/report.txt\n"
    )
