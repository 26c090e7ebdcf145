"""A mirror: complete, resumable, conditional, and a source like any other."""

import gzip
import random
import resource
from pathlib import Path

import pytest

from etl.database.connection import Connection, fetch_all
from etl.errors import SourceError, UsageError
from etl.extract.choose import open_source
from etl.extract.directory import DirectorySource
from etl.extract.http import HttpSource
from etl.extract.mirror import MANIFEST, Mirror
from etl.files import write_atomically
from etl.run.pipeline import LoadOptions, run
from tests.conftest import Api, Command
from tests.documents import document, encode, nation_day, snapshot, state_history
from tests.integration.test_load import days, states_json


@pytest.fixture
def small(api: Api) -> Api:
    """An API of the nation and California, with validators."""
    api.conditional = True
    api.answers["states.json"] = states_json(5)
    api.answers["us/daily.json"] = document([nation_day("2021-01-01")["data"]])
    api.answers["states/ca/daily.json"] = state_history("CA", days(2))
    for day in ("2021-01-01", "2021-01-02"):
        api.answers[f"states/ca/{day}.json"] = document(state_history("CA", days(2))["data"][0] | {"date": day})
    return api


def mirror(api: Api, folder: Path, *, single_days: bool = False) -> Mirror:
    made = Mirror(HttpSource(api.url, "test", 2), folder, 2, lambda *_: None)
    made.update(single_days=single_days)
    return made


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_everything_is_saved_as_received(small: Api, tmp_path: Path) -> None:
    result = mirror(small, tmp_path)
    assert (result.counts, result.failed) == ({"written": 3}, {})
    assert files(tmp_path) == {"states.json.gz", "us/daily.json.gz", "states/ca/daily.json.gz", MANIFEST}
    for address in ("states.json", "us/daily.json", "states/ca/daily.json"):
        body = gzip.decompress((tmp_path / f"{address}.gz").read_bytes())
        assert body == encode(small.answers[address])


def test_single_days_are_saved_on_request(small: Api, tmp_path: Path) -> None:
    result = mirror(small, tmp_path, single_days=True)
    # The nation's single day is not published there.
    assert result.counts == {"written": 5, "not_published": 1}
    assert (tmp_path / "states/ca/2021-01-02.json.gz").exists()


def test_a_second_time_nothing_is_sent(small: Api, tmp_path: Path) -> None:
    mirror(small, tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path) if name != MANIFEST}
    assert mirror(small, tmp_path).counts == {"not_modified": 3}
    assert len(small.not_modified) == 3
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before


def test_a_page_of_maintenance_takes_the_place_of_no_good_copy(small: Api, tmp_path: Path) -> None:
    mirror(small, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    small.conditional = False
    small.answers |= dict.fromkeys(small.answers, b"<html>Maintenance</html>")
    result = mirror(small, tmp_path)
    assert (result.counts, set(result.failed)) == (
        {"failed": 3}, {"states.json", "us/daily.json", "states/ca/daily.json"},
    )  # fmt: skip
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before


def test_what_is_missing_or_damaged_is_fetched_again(small: Api, tmp_path: Path) -> None:
    mirror(small, tmp_path)
    (tmp_path / "us/daily.json.gz").unlink()
    (tmp_path / "states/ca/daily.json.gz").write_bytes(b"damaged")
    assert mirror(small, tmp_path).counts == {"written": 2, "not_modified": 1}


def test_without_validators_an_equal_document_is_not_written(small: Api, tmp_path: Path) -> None:
    small.conditional = False
    mirror(small, tmp_path)
    (tmp_path / MANIFEST).write_text((tmp_path / MANIFEST).read_text())
    assert mirror(small, tmp_path).counts == {"not_modified": 3}


def test_a_document_that_fails_is_named_and_fetched_the_next_time(small: Api, tmp_path: Path) -> None:
    answer = small.answers["us/daily.json"]
    small.answers["us/daily.json"] = 403
    result = mirror(small, tmp_path)
    assert (result.counts, result.failed) == ({"written": 2, "failed": 1}, {"us/daily.json": "status 403"})
    small.answers["us/daily.json"] = answer
    assert mirror(small, tmp_path).counts == {"written": 1, "not_modified": 2}


def test_the_command_ends_with_3_and_names_what_it_could_not_save(
    small: Api, command: Command, tmp_path: Path
) -> None:
    small.answers["us/daily.json"] = 403
    result = command("mirror", str(tmp_path / "copy"), "--source", small.url)
    assert (result.returncode, "failed: us/daily.json: status 403\n" in result.stdout) == (3, True)


def test_without_the_list_of_states_there_is_no_mirror(small: Api, tmp_path: Path) -> None:
    del small.answers["states.json"]
    with pytest.raises(SourceError, match=r"mirror needs states\.json of test"):
        mirror(small, tmp_path)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'{"us/daily.json": 5}', b"\xff"])
def test_a_manifest_that_cannot_be_read_is_made_again(small: Api, tmp_path: Path, manifest: bytes) -> None:
    mirror(small, tmp_path)
    written = (tmp_path / MANIFEST).read_bytes()
    (tmp_path / MANIFEST).write_bytes(manifest)
    assert mirror(small, tmp_path).counts == {"not_modified": 3}
    assert small.not_modified == []
    assert (tmp_path / MANIFEST).read_bytes() == written


def test_no_file_is_written_outside_of_the_folder(small: Api, tmp_path: Path) -> None:
    state = small.answers["states.json"]["data"][0]
    small.answers["states.json"] = document([state, state | {"state_code": "../../outside"}])
    small.answers["us/daily.json"] = document([{"date": "../../../outside"}])
    small.answers["/outside/daily.json"] = small.answers["/outside.json"] = document([])
    assert mirror(small, tmp_path / "one/two", single_days=True).counts["written"] == 5
    assert {name for name in files(tmp_path) if not name.startswith("one/two/")} == set()


@pytest.mark.parametrize(
    "name", ["../x", "/x", "..", ".", "a\\b", "CON", "c:", "a/b", "é1", "\u0660\u0661", "2021-01-011", "20210101"]
)
def test_a_name_that_is_no_code_or_day_becomes_no_file(small: Api, tmp_path: Path, name: str) -> None:
    state = small.answers["states.json"]["data"][0]
    small.answers["states.json"] = document([state, state | {"state_code": name}])
    small.answers["us/daily.json"] = document([{"date": name}])
    assert mirror(small, tmp_path, single_days=True).counts == {"written": 5}
    assert {path.parent.name for path in tmp_path.rglob("*")} == {tmp_path.name, "states", "us", "ca"}


def test_a_link_does_not_lead_out_of_the_folder(small: Api, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "states").mkdir(parents=True)
    outside.mkdir()
    (inside / "states/ca").symlink_to(outside)
    with pytest.raises(UsageError, match=r"mirror cannot write .*/states/ca/daily\.json\.gz: a link leads out"):
        mirror(small, inside)
    assert files(outside) == set()


def test_a_link_in_place_of_a_file_is_replaced_not_followed(tmp_path: Path) -> None:
    for name in ("file", ".file.partial"):
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / name).symlink_to(tmp_path / "other")
        write_atomically(tmp_path / "file", b"new")
        assert [(tmp_path / name).read_bytes() for name in ("file", "other")] == [b"new", b"other"]
        (tmp_path / "file").unlink()


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(small: Api, tmp_path: Path) -> None:
    mirror(small, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    noise = random.Random(1).randbytes(5000).hex()
    small.answers["us/daily.json"] = document([nation_day("2021-01-01")["data"]], license=noise)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(
            UsageError, match=r"\Amirror cannot write \S+/us/daily\.json\.gz: File too large; mend that"
        ):
            mirror(small, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    after = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    assert {name: after[name] for name in after if name != MANIFEST} == {
        name: before[name] for name in before if name != MANIFEST
    }
    assert mirror(small, tmp_path).counts["written"] == 1


def test_a_mirror_is_a_source(conn: Connection, tmp_path: Path) -> None:
    made = Mirror(open_source("snapshot", {}, 2), tmp_path, 2, lambda *_: None)
    made.update(single_days=False)
    assert made.counts == {"written": 58}
    assert DirectorySource(tmp_path, "x").fetch("us/daily.json").body == snapshot("us/daily.json")
    assert run(conn, LoadOptions(source=str(tmp_path), locations="us,vi"), {}).exit_code == 0
    assert fetch_all(conn, "select count(*) from public.cases_fact") == [(777,)]


def test_a_single_day_that_could_be_cut_from_its_history_is_saved_all_the_same(small: Api, tmp_path: Path) -> None:
    mirror(small, tmp_path / "first")
    made = Mirror(open_source(str(tmp_path / "first"), {}, 2), tmp_path / "second", 2, lambda *_: None)
    made.update(single_days=True)
    assert made.counts == {"written": 6}
    assert (tmp_path / "second/us/daily/2021-01-01.json.gz").exists()


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    write_atomically(target, b"new")
    assert (target.read_bytes(), files(tmp_path)) == (b"new", {"file"})
