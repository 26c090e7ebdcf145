"""Whatever the API does to a document is that document's own outcome, within the limits of time and memory."""

import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.errors import DocumentError, Outcome
from etl.extract import choose, http
from etl.extract.choose import resolve_auto
from etl.extract.http import HttpSource, Patience, retry_after
from etl.extract.source import Missing, NotModified
from etl.run import alerts
from etl.run.alerts import deliver, ping
from etl.transform.locations import address_of
from tests import conftest, parts
from tests.cli import Cli
from tests.conftest import Command
from tests.documents import document, encode, nation_day, state_history
from tests.faults.hostile import DRIPS, FLOODS, LIES, Fault, Hostile, every_fault

# The threads of the server, and those that a limit of time leaves behind, leave sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CODES = [
    "AK",
    "AL",
    "AR",
    "AS",
    "AZ",
    "CA",
    "CO",
    "CT",
    "DC",
    "DE",
    "FL",
    "GA",
    "GU",
    "HI",
    "IA",
    "ID",
    "IL",
    "IN",
    "KS",
    "KY",
    "LA",
    "MA",
    "MD",
    "ME",
    "MI",
    "MN",
    "MO",
    "MP",
    "MS",
    "MT",
    "NC",
    "ND",
    "NE",
    "NH",
    "NJ",
    "NM",
    "NV",
    "NY",
    "OH",
    "OK",
    "OR",
    "PA",
    "PR",
    "RI",
    "SC",
    "SD",
    "TN",
    "TX",
    "UT",
    "VA",
    "VI",
    "VT",
    "WA",
    "WI",
    "WV",
    "WY",
]
DOCUMENTS = {address_of("US"): encode(document([nation_day("2021-01-01")["data"]]))} | {
    address_of(code): encode(state_history(code, {"2021-01-01": {"cases__total": 5}})) for code in CODES
}
ADDRESS, SOUND = address_of("CA"), DOCUMENTS[address_of("CA")]
# The last words of the run that is measured: the exit code, and the largest memory in megabytes.
MEASURE = (
    "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:]);"
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that tests can wait for."""
    monkeypatch.setattr(http, "REQUEST_SECONDS", (0.5, 0.5))
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(http, "LONGEST_RETRY_AFTER", 0.05)


def at_states(faults: list[Fault]) -> dict[str, Fault]:
    """Each fault at a state of its own."""
    return {address_of(code): fault for code, fault in zip(CODES, faults, strict=False)}


def outcomes(summary: dict[str, Any]) -> dict[str, str]:
    """The outcome of each location that has trouble."""
    return {
        trouble["location"]: outcome for outcome in ("failed", "rejected") for trouble in summary[outcome]
    }  # fmt: skip


def expected(faults: list[Fault]) -> dict[str, str]:
    bad = (Outcome.FAILED, Outcome.REJECTED)
    return {code: str(fault.outcome) for code, fault in zip(CODES, faults, strict=False) if fault.outcome in bad}


# --- one document ---


@pytest.mark.usefixtures("short")
def test_requests_that_hang_leave_no_more_threads_than_a_process_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    already = threading.active_count()
    monkeypatch.setattr(http, "REQUEST_SECONDS", (0.1, 0.1))
    monkeypatch.setattr(http, "MOST_HANGING", already + 20)
    (drip,) = (fault for fault in DRIPS if fault.name == "drip of a header")
    reasons = []
    with Hostile({}, {ADDRESS: drip}) as server:
        source = HttpSource(server.url, "test", 1)
        for _ in range(30):
            with pytest.raises(DocumentError) as raised:
                source.fetch(ADDRESS)
            reasons.append(str(raised.value))
        assert threading.active_count() <= already + 30
    assert reasons[0] == "not complete after 0.1 s"
    assert reasons[-1] == "not asked for, since too many requests hang"


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("fault", [*DRIPS, *LIES], ids=lambda fault: fault.name)
def test_a_document_fails_in_time_with_a_reason_and_the_next_is_had(fault: Fault) -> None:
    with Hostile(DOCUMENTS, {ADDRESS: fault}) as server:
        ours = HttpSource(server.url, "test", 1)
        started = time.monotonic()
        try:
            # A body that is no document is found out later.
            assert ours.fetch(ADDRESS).body != SOUND
        except DocumentError as error:
            reason = str(error)
            assert reason.isprintable(), reason
        seconds = time.monotonic() - started
        assert seconds < 2
        assert ours.fetch("us/daily.json").body == DOCUMENTS["us/daily.json"]
        if fault.is_slow:
            assert seconds > 0.4
            assert server.asked.count(ADDRESS) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from([
    b"HTTP/1.1 ", b"200 OK", b"302 Found", b"503", b"\r\n", b"\r\n\r\n", b"Location: ", b"//", b"http://", b"[", b":",
    b"Content-Length: ", b"Transfer-Encoding: chunked", b"Content-Encoding: gzip", b"Retry-After: ", b"5", b"-1", b",",
    b"\xff", b"\x00", b"\x1f\x8b\x08", b"{}", b"Set-Cookie: a=b; Expires=", b"x",
]) | st.binary(max_size=9), max_size=20))  # fmt: skip
def test_no_bytes_are_a_bug(short: None, pieces: list[bytes]) -> None:
    fault = Fault("any", lambda _address: [b"HTTP/1.1 ", *pieces])
    with Hostile({}, {ADDRESS: fault}) as server:
        with suppress(DocumentError, Missing, NotModified):
            HttpSource(server.url, "test", 1).ask(ADDRESS)


@given(st.text() | st.text("0123456789-+.:, GMTWedOctzé\xb2", max_size=40))
def test_no_retry_after_is_a_bug_or_a_long_wait(header: str) -> None:
    for text in (header, f"Wed, 21 Oct 2015 07:28:00 {header}", f"Wed, {header} 07:28:00 GMT"):
        assert 0 <= (retry_after(text) or 0) <= http.LONGEST_RETRY_AFTER


# --- TLS ---


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine, with its key."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", file.with_suffix(".crt")],
        check=False, capture_output=True,
    )  # fmt: skip
    parts.require(made.returncode == 0, "openssl is missing")
    file.write_bytes(file.read_bytes() + file.with_suffix(".crt").read_bytes())
    return file


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate.with_suffix(".crt")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_the_limits_hold_within_tls(tls: ssl.SSLContext) -> None:
    faults = dict(zip(DOCUMENTS, DRIPS, strict=False))
    with Hostile(DOCUMENTS, faults, tls) as server:
        ours = HttpSource(server.url, "test", 1)
        for address in faults:
            started = time.monotonic()
            with pytest.raises(DocumentError, match=r"^not complete after 0\.5 s$"):
                ours.fetch(address)
            assert time.monotonic() - started < 1
        assert ours.fetch(address_of("WY")).body == DOCUMENTS[address_of("WY")]


@pytest.mark.usefixtures("short")
def test_a_redirect_leads_from_http_to_https_and_never_back(tls: ssl.SSLContext) -> None:
    def redirect(base: str) -> Fault:
        answer = f"HTTP/1.1 301 Moved\r\nLocation: {base}/{ADDRESS}\r\nContent-Length: 0\r\n\r\n"
        return Fault("redirect", lambda _address: [answer.encode()])

    with Hostile(DOCUMENTS, {}) as plain, Hostile(DOCUMENTS, {}, tls) as secure:
        plain.faults["up"], secure.faults["down"] = redirect(secure.url), redirect(plain.url)
        assert HttpSource(plain.url, "test", 1).fetch("up").body == SOUND
        with pytest.raises(DocumentError, match="^redirected from https to 'http'$"):
            HttpSource(secure.url, "test", 1).fetch("down")
        assert ADDRESS not in plain.asked


@pytest.mark.usefixtures("short")
def test_a_failing_tls_is_the_documents_own_failure() -> None:
    with Hostile(DOCUMENTS, {}) as server:
        ours = HttpSource(server.url.replace("http:", "https:"), "test", 1)
        for address in (ADDRESS, "us/daily.json"):
            with pytest.raises(DocumentError, match="SSL"):
                ours.fetch(address)


# --- a run ---


@pytest.mark.usefixtures("short")
def test_every_fault_is_its_own_documents_outcome_and_the_others_load(
    cli: Cli, record_property: Callable[[str, object], None]
) -> None:
    faults = [fault for fault in every_fault() if not fault.is_large]
    record_property("times", len(faults))
    with Hostile(DOCUMENTS, at_states(faults)) as server:
        started = time.monotonic()
        done = cli("load", "--source", server.url, "--json")
    summary = json.loads(done.stdout)
    assert time.monotonic() - started < 20
    assert "Traceback" not in done.stderr
    assert outcomes(summary) == expected(faults)
    assert summary["documents"]["loaded"] == len(DOCUMENTS) - len(expected(faults))
    assert summary["exit_code"] == 3


def measured(command: Command, *arguments: str) -> tuple[dict[str, Any], int, str]:
    """What the command prints with `--json`, its largest memory in MB, and its log."""
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": command.dsn, "HOME": str(command.home)}
    run = [sys.executable, str(conftest.MAIN), *arguments, "--json", "--no-progress"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *run], env=environ, capture_output=True, text=True, check=True, timeout=110
    )
    summary, measure = done.stdout.strip().splitlines()
    return json.loads(summary), int(measure.split()[1]), done.stderr


@pytest.mark.slow
def test_no_flood_takes_more_memory_than_a_run_may(command: Command) -> None:
    # The most dangerous ones come more than once, so that several threads have them at once.
    faults = [*FLOODS, *[fault for fault in FLOODS if fault.name in ("noise", "objects", "nested lists")] * 3]
    with Hostile(DOCUMENTS, at_states(faults)) as server:
        summary, megabytes, said = measured(command, "load", "--source", server.url)
    assert outcomes(summary) == expected(faults), said
    assert "Traceback" not in said
    assert megabytes < 250


@pytest.mark.slow
@pytest.mark.usefixtures("short")
def test_one_hanging_document_does_not_make_others_wait(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "REQUEST_SECONDS", (20.0, 20.0))
    (hang,) = (fault for fault in DRIPS if fault.name == "hang")
    with Hostile(DOCUMENTS, {"us/daily.json": hang}) as server:
        thread = threading.Thread(target=cli, args=("load", "--source", server.url))
        thread.start()
        until = time.monotonic() + 15
        while not set(DOCUMENTS) <= set(server.asked) and time.monotonic() < until:
            time.sleep(0.1)
        assert thread.is_alive()
        assert set(DOCUMENTS) <= set(server.asked)
    thread.join()


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("name", ["hang", "drip of a body with a length", "retry-after huge", "reset", "garbage"])
def test_an_api_that_wholly_fails_ends_a_run_in_bounded_time(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # All times are a thirtieth of the real ones.
    monkeypatch.setattr(http, "REQUEST_SECONDS", (10 / 30, 2.0))
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0.5 / 30)
    monkeypatch.setattr(http, "LONGEST_RETRY_AFTER", 2.0)
    monkeypatch.setattr(Patience, "LONGEST", 2.0)
    monkeypatch.setattr(Patience, "MOMENT", 0.4 / 30)
    (fault,) = (fault for fault in every_fault() if fault.name == name)
    with Hostile({}, dict.fromkeys(DOCUMENTS, fault)) as server:
        started = time.monotonic()
        summary = cli.json("load", "--source", server.url)
        assert time.monotonic() - started < 120 / 30 + 1
        assert set(DOCUMENTS) <= set(server.asked)
    assert (summary["documents"]["failed"], summary["exit_code"]) == (len(DOCUMENTS), 3)


def test_threads_that_wait_together_use_the_waiting_time_of_a_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "LONGEST", 0.5)
    patience, done = Patience(4), list[bool]()
    threads = [threading.Thread(target=lambda: done.append(patience.wait(0.3))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [True] * 3
    assert not patience.wait(0.3)


# --- the choice, and who is told ---


@pytest.fixture
def short_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "PROBE_SECONDS", (0.5, 0.5))


@pytest.mark.usefixtures("short_probe")
@pytest.mark.parametrize("fault", every_fault(), ids=lambda fault: fault.name)
def test_the_probe_takes_the_snapshot_unless_the_api_is_busy(fault: Fault) -> None:
    documents = {choose.PROBE_ADDRESS: encode(nation_day("2021-03-07"))}
    is_there = fault.name.startswith("retry-after") or fault.name in (
        "endless body of an error",
        "endless body of a redirect",
    )
    with Hostile(documents, {choose.PROBE_ADDRESS: fault}) as server:
        started = time.monotonic()
        chosen = resolve_auto({"COVID_ETL_API_URL": server.url}, loaded_from_api=False)
        assert time.monotonic() - started < 1
    assert chosen == ("api" if is_there else "snapshot")


@pytest.mark.parametrize("fault", [*DRIPS, *LIES], ids=lambda fault: fault.name)
def test_a_heartbeat_never_delays_or_fails_a_command(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.run.alerts.HEARTBEAT_SECONDS", 0.5)
    with Hostile({}, {"ping/start": fault}) as server:
        started = time.monotonic()
        ping(f"{server.url}/ping", "/start")
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("fault", DRIPS[:5], ids=lambda fault: fault.name)
def test_an_alert_never_delays_a_command(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl.run.alerts.ALERT_SECONDS", 0.5)
    with Hostile({}, {"alert": fault}) as server:
        url = server.url.replace("http:", "json:") + "/alert"
        recipients, _ = alerts.recipients_of({alerts.ALERT_URLS: url})
        started = time.monotonic()
        assert not deliver(recipients, "title", "message")
        assert time.monotonic() - started < 2
