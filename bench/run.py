"""Measures the loader against floors and rivals, interleaved in one run: `make bench`.

    python -m bench.run [--rounds 5] [--only NAME ...]

Every measurement is a whole process, its wall time and peak memory taken by the operating system. Medians of the
rounds are printed as tables, for docs/performance.md, with ratios: on a noisy machine only ratios mean something.
"""

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from bench import inputs
from etl import config
from etl.database import connection as database
from etl.database import embedded as server
from etl.database import schema
from etl.transform.declaration import DETAIL_TABLE, TABLES

MAIN = str(config.ROOT / "main.py")
FACTS = [table for table in TABLES if table != DETAIL_TABLE]


@dataclass
class Measured:
    """Seconds, seconds of our own process on a processor, and peak megabytes of every round."""

    seconds: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)


class Bench:
    """The server under test, the folders that are served, the figures so far.

    `changed` and `added` count the reports that the revised history, and a day later, differ in.
    """

    def __init__(self, work: Path, server_dsn: str, stack: ExitStack) -> None:
        self.work, self.server_dsn, self.stack = work, server_dsn, stack
        self.figures: dict[str, Measured] = {}
        self.before = self.plain = self.validating = self.revised = ""
        self.changed = self.added = 0
        self.scaled: dict[int, tuple[list[tuple[int, str]], str]] = {}

    def serve(self, folder: Path, *, validators: bool = False) -> str:
        """Serves a folder until the end of the run; returns the URL."""
        port = free_port()
        command = [sys.executable, "-m", "bench.serve", str(folder), str(port)]
        process = subprocess.Popen(command + (["--validators"] if validators else []), cwd=config.ROOT)
        self.stack.callback(process.kill)
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.05)
            else:
                return f"http://127.0.0.1:{port}"

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """A database that ends with the block."""
        name = f"bench_{uuid4().hex[:12]}"
        self.admin(f"create database {name} template {template}")
        try:
            yield make_dsn(self.server_dsn, dbname=name)
        finally:
            self.admin(f"drop database {name} with (force)")

    def admin(self, statement: str) -> None:
        """Runs a statement of the administrator; a checkpoint first, so that no measurement pays for another's."""
        connection = psycopg2.connect(self.server_dsn)
        connection.autocommit = True
        connection.cursor().execute("checkpoint")
        connection.cursor().execute(statement)
        connection.close()

    def measure(self, name: str, dsn: str, *command: str) -> str:
        """Runs a command to its end; returns what it printed."""
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, *command], cwd=config.ROOT, env=os.environ | {"DATABASE_URL": dsn},
                stdout=output, stderr=log,
            )  # fmt: skip
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            log.seek(0)
            printed, said = output.read(), log.read()
        if process.returncode:
            raise SystemExit(f"{name} failed with {process.returncode}: {said}")
        figures = self.figures.setdefault(name, Measured())
        figures.seconds.append(seconds)
        figures.busy.append(usage.ru_utime + usage.ru_stime)
        figures.megabytes.append(usage.ru_maxrss / 1024)
        return printed

    def load(self, name: str, dsn: str, url: str, *options: str) -> dict[str, Any]:
        """Measures one load of ours; returns its summary."""
        summary: dict[str, object] = json.loads(
            self.measure(name, dsn, MAIN, "load", "--source", url, "--json", *options)
        )
        return summary


# --- what is measured ---


def serve_inputs(bench: Bench) -> None:
    """Makes and serves the history, the same a day before, and the same with one report in a hundred revised."""
    plain = bench.work / "plain"
    inputs.make(plain)
    before = bench.work / "before"
    inputs.make(before)
    bench.added, bench.before = inputs.forget_last_day(before), bench.serve(before)
    revised = bench.work / "revised"
    inputs.make(revised)
    changed = inputs.revise(revised)
    bench.plain, bench.validating = bench.serve(plain), bench.serve(plain, validators=True)
    bench.revised, bench.changed = bench.serve(revised), changed


def measure_history(bench: Bench) -> None:
    """One round of the floor, the full load, a day later and the reloads."""
    with bench.database() as dsn:
        with database.connect(config.Database(dsn)) as conn:
            schema.upgrade(conn)
        bench.measure("floor", dsn, "-m", "bench.floor", bench.plain, dsn)
    with bench.database() as dsn:
        bench.load("full load", dsn, bench.before)
        summary = bench.load("a day later", dsn, bench.plain)
        assert [summary["rows"][table]["inserted"] for table in FACTS] == [bench.added] * len(FACTS), summary
        assert summary["revisions"] == 0, summary
        before = physical_rows(dsn)
        bench.load("reload, nothing changed, no validators", dsn, bench.plain)
        assert physical_rows(dsn) == before
        summary = bench.load("reload, 1 % of the reports revised", dsn, bench.revised)
        assert summary["revisions"] == bench.changed, summary
    with bench.database() as dsn:
        bench.load("full load, with validators", dsn, bench.validating)
        before = physical_rows(dsn)
        summary = bench.load("reload, nothing changed, 304", dsn, bench.validating)
        assert summary["documents"]["not_modified"] == 57, summary
        assert physical_rows(dsn) == before


def physical_rows(dsn: str) -> str:
    """A checksum of the physical identity of every row of every fact."""
    with database.connect(config.Database(dsn)) as conn:
        query = "select md5(string_agg(concat(ctid, xmin, xmax), ',' order by ctid)) from public."
        return "".join(str(database.fetch_one(conn, query + table)[0]) for table in TABLES)


def measure_noticing(bench: Bench) -> None:
    """The full load with drift, row checks and findings, and without; each twice, since they differ by little."""
    for _ in range(2):
        with bench.database() as dsn:
            arguments = ("load", "--source", bench.plain, "--json")
            bench.measure("full load, nothing noticed", dsn, "-m", "bench.unnoticing", *arguments)
        with bench.database() as dsn:
            bench.load("full load, noticing", dsn, bench.plain)


def measure_day(bench: Bench) -> None:
    """One national day into a running server, beside the bare script; each several times, since they are short."""
    with bench.database() as dsn:
        with database.connect(config.Database(dsn)) as conn:
            schema.upgrade(conn)
        for _ in range(3):
            bench.measure("one day, bare script", dsn, "bench/one_day.py", bench.plain, dsn)
            options = ("--date", inputs.ONE_DAY, "--locations", "us", "--force")
            bench.load("one day", dsn, bench.plain, *options)


def measure_rivals(bench: Bench) -> None:
    """The same histories through dlt, and the nation alone through pandas and through us."""
    with bench.database() as dsn, tempfile.TemporaryDirectory() as folder:
        bench.measure("dlt, the same histories", dsn, "-m", "bench.with_dlt", bench.plain, as_url(dsn), folder)
    with bench.database() as dsn:
        bench.measure("pandas to_sql, the nation", dsn, "-m", "bench.with_pandas", bench.plain, as_url(dsn))
        bench.load("full load, the nation", dsn, bench.plain, "--locations", "us")


def as_url(dsn: str) -> str:
    """A libpq string in the form that other libraries want."""
    parts = parse_dsn(dsn)
    return f"postgresql+psycopg2://{parts['user']}:none@{parts['host']}:{parts['port']}/{parts['dbname']}"


SCALES = (1, 3, 10)


def measure_scale(bench: Bench) -> None:
    """The full load at 1, 3 and 10 times the history."""
    for times in SCALES:
        folder = bench.work / f"times-{times}"
        if not folder.exists():
            inputs.make(folder)
            bench.scaled[times] = (inputs.multiply(folder, times), bench.serve(folder))
        added, url = bench.scaled[times]
        with bench.database() as dsn:
            with database.connect(config.Database(dsn)) as conn:
                schema.upgrade(conn)
                inputs.add_locations(conn, added)
            bench.load(f"full load, {times} times the history", dsn, url)


RATIOS = (
    ("full load", "floor", 1.25, 1.05),
    ("full load, noticing", "full load, nothing noticed", 1.1, 1.05),
    ("a day later", "floor", 0.4, 0.32),
    ("reload, 1 % of the reports revised", "floor", 0.45, 0.36),
    ("reload, nothing changed, 304", "floor", 0.15, 0.12),
    ("reload, nothing changed, no validators", "floor", 0.28, 0.24),
    ("one day", "one day, bare script", 1.3, 1.15),
    ("full load", "dlt, the same histories", 0.2, 0.18),
    ("full load, 10 times the history", "full load, 1 times the history", 10.5, 10),
)
PARTS: dict[str, Callable[[Bench], None]] = {
    "history": measure_history,
    "noticing": measure_noticing,
    "day": measure_day,
    "rivals": measure_rivals,
    "scale": measure_scale,
}


def main() -> None:
    """Measures in rounds, and prints the tables."""
    parser = argparse.ArgumentParser(description="Measures the loader against floors and rivals.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=["history", "day"])
    options = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="covid-etl-bench-")))
        work.chmod(0o755)
        # On a port of loopback, since dlt knows no sockets.
        address = {"host": "127.0.0.1", "port": str(free_port())}
        listening = {"listen_addresses": address["host"], "port": address["port"]}
        stack.enter_context(server.running(work / "home", **listening))
        bench = Bench(work, make_dsn(user=server.SUPERUSER, dbname=server.DATABASE, **address), stack)
        serve_inputs(bench)
        for number in range(options.rounds):
            for part in options.only:
                PARTS[part](bench)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        print(report(bench))


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def report(bench: Bench) -> str:
    """The figures as Markdown tables."""
    lines = [f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", ""]
    lines += ["| measure | median s | fastest s | median CPU s | peak MB |", "|---|---|---|---|---|"]
    for name, found in bench.figures.items():
        lines.append(
            f"| {name} | {statistics.median(found.seconds):.2f} | {min(found.seconds):.2f}"
            f" | {statistics.median(found.busy):.2f} | {statistics.median(found.megabytes):.0f} |"
        )
    lines += ["", "| ratio | found | at most | aim |", "|---|---|---|---|"]
    for name, base, most, aim in RATIOS:
        if name in bench.figures and base in bench.figures:
            value = ratio(bench.figures[name].seconds, bench.figures[base].seconds)
            lines.append(f"| {name} over {base} | {value:.2f} | {most} | {aim} |")
    return "\n".join(lines)


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The ratio of the medians."""
    return statistics.median(ours) / statistics.median(theirs)


if __name__ == "__main__":
    main()
