"""The command line: options, environment, output, exit codes."""

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from etl import __version__
from etl.config import PROGRAM
from etl.errors import MEANINGS, EtlError, ExitCode, Interrupted, UsageError
from etl.logs import configure, get_logger

if TYPE_CHECKING:
    from etl.database.connection import Connection

# Where "today" is: the source was an American project. A day's figures came out in the afternoon there.
TIME_ZONE = "America/New_York"
ALL = "all"
FALSE_WORDS, TRUE_WORDS = ("", "0", "false", "no", "off"), ("1", "true", "yes", "on")

EXIT_CODES = "exit codes:\n" + "".join(f"  {code:<5}{meaning}\n" for code, meaning in MEANINGS.items())

DESCRIPTION = """\
Loads the COVID Tracking Project API v2 into a Postgres star schema.

Without a configured database an embedded server is used; without the API, the shipped snapshot.
"""

DATABASE_HELP = """\
database: --database-url, DATABASE_URL, DATABASE_URL_FILE, or libpq's PGHOST, PGHOSTADDR, PGSERVICE,
  PGDATABASE with the other PG* variables; PGPASSWORD_FILE for a mounted secret. None of them set:
  an embedded server, whose data is kept in COVID_ETL_HOME.
"""


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; the only place that catches every exception."""
    _install_signal_handlers()
    try:
        code = _dispatch(list(arguments), os.environ)
        sys.stdout.flush()
        return code
    except EtlError as error:
        print(f"{PROGRAM}: {error} (exit code {int(error.exit_code)})", file=sys.stderr)
        return error.exit_code
    except Interrupted as error:
        print(f"{PROGRAM}: {error} (exit code {int(error.exit_code)})", file=sys.stderr)
        # Threads may still wait for the network; an ordinary exit would wait for them.
        sys.stdout.flush()
        os._exit(error.exit_code)
    except BrokenPipeError:
        # The reader of stdout (head, less) has left: there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception:
        get_logger().exception("unexpected error; this is a bug, please report it")
        return ExitCode.BUG


def _dispatch(arguments: list[str], environ: Mapping[str, str]) -> int:
    if not arguments or arguments[0] not in (*COMMANDS, "-h", "--help", "--version"):
        if arguments and not arguments[0].startswith("-"):
            raise UsageError(f"{arguments[0]!r} is no command; there are {', '.join(COMMANDS)}")
        arguments = ["load", *arguments]
    options = build_parser(environ).parse_args(arguments)
    configure(options.log_format)
    run: Callable[[argparse.Namespace, Mapping[str, str]], int] = options.run
    return run(options, environ)


def _install_signal_handlers() -> None:
    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        # A second signal must not cut off the orderly end that the first one began.
        signal.signal(number, signal.SIG_IGN)
        raise Interrupted(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)


# --- options ---


class _Parser(argparse.ArgumentParser):
    """A parser whose options take their defaults from `COVID_ETL_*` variables."""

    def __init__(self, environ: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        kwargs |= {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter}
        super().__init__(**kwargs)
        self.environ = environ or {}

    def error(self, message: str) -> NoReturn:
        """Says what was wrong on one line, and leaves with the code for usage."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def option(self, flag: str, *, text: str, default: Any = None, **kwargs: Any) -> None:
        """Adds an option; the variable's value, if set and not empty, takes the place of its default."""
        variable = option_variable(flag)
        switch = kwargs.get("action") == "store_true"
        value = self.environ.get(variable)
        if value:
            default = self._switch(variable, value) if switch else self._checked(variable, value, kwargs)
        elif switch:
            default = False
        self.add_argument(flag, default=default, help=f"{text} [{variable}]", **kwargs)

    def _switch(self, variable: str, value: str) -> bool:
        if value.lower() not in (*TRUE_WORDS, *FALSE_WORDS):
            raise UsageError(f"{variable} is {value!r}; expected 1 or 0")
        return value.lower() in TRUE_WORDS

    def _checked(self, variable: str, value: str, kwargs: dict[str, Any]) -> Any:
        try:
            converted = kwargs.get("type", str)(value)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise UsageError(f"{variable}: {error}") from error
        if "choices" in kwargs and converted not in kwargs["choices"]:
            raise UsageError(f"{variable} is {value!r}; expected one of {', '.join(kwargs['choices'])}")
        return converted


def option_variable(flag: str) -> str:
    """The environment variable of an option: `COVID_ETL_JOBS` for `--jobs`; the database has its own."""
    name = flag.lstrip("-").upper().replace("-", "_")
    return name if name == "DATABASE_URL" else f"COVID_ETL_{name}"


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="main.py",
        description=DESCRIPTION,
        epilog=f"COMMAND may be left out: `main.py --date latest` is `main.py load --date latest`.\n\n{EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (add_options, run, help_, examples) in COMMANDS.items():
        command = commands.add_parser(
            name,
            environ=environ,
            help=help_,
            description=f"{help_[0].upper()}{help_[1:]}.",
            epilog=f"examples:\n{examples}\n\n{DATABASE_HELP}\n{EXIT_CODES}",
        )
        add_options(command)
        command.option("--database-url", metavar="URL", text="the database, as postgresql://USER@HOST:PORT/DATABASE")
        command.option(
            "--log-format",
            choices=("text", "json"),
            default="text",
            text="log lines on stderr as text or JSON",
        )
        command.set_defaults(run=run)
    return parser


def _load_options(parser: _Parser) -> None:
    parser.option(
        "--date", metavar="D", type=_day_or_word,
        text="read the documents of one day: YYYY-MM-DD, latest, yesterday or today (in New York)",
    )  # fmt: skip
    parser.option("--from", metavar="D", type=_day, dest="first_day", text="load the history from this day on")
    parser.option("--to", metavar="D", type=_day, dest="last_day", text="load the history up to this day")
    parser.option(
        "--locations",
        metavar="L",
        default="all",
        text="all, us, states, or codes such as us,ca,ny (default: all)",
    )
    parser.option(
        "--source", metavar="S", default="auto",
        text="auto (the API, or the snapshot if the API is gone), api, snapshot, a URL, or a directory "
        "that holds us/ and states/ (default: auto)",
    )  # fmt: skip
    parser.option("--dry-run", action="store_true", text="do all of it and roll back; needs a schema")
    parser.option("--force", action="store_true", text="load also what is unchanged or stale")
    parser.option(
        "--allow-withdrawals", action="store_true",
        text="accept a history that lacks more than a tenth of the known days",
    )  # fmt: skip
    parser.option("--jobs", metavar="N", type=_positive, default=4, text="parallel requests (default: 4)")
    _lock_options(parser)
    parser.option("--json", action="store_true", text="print the summary as one JSON object")
    _progress_options(parser)


def _progress_options(parser: _Parser) -> None:
    parser.option("--no-progress", action="store_true", text="no progress line on the terminal")


def _replay_options(parser: _Parser) -> None:
    parser.option(
        "--locations", metavar="L", default="all", text="all, us, states, or codes such as us,ca,ny (default: all)"
    )
    parser.option(
        "--rejected", metavar="ID", type=_positive_or_all, nargs="?", const=ALL,
        text="load the rejected documents (or one) that an alias, a tombstone or a new version allows now",
    )  # fmt: skip
    _lock_options(parser)
    parser.option("--json", action="store_true", text="print what was done as one JSON object")
    _progress_options(parser)


def _drift_options(parser: _Parser) -> None:
    parser.option("--accept", metavar="ID", type=_positive, text="accept one: take it as it is from now on")
    parser.option("--with-loss", action="store_true", text="accept also where published values become null by it")
    parser.option("--undo", metavar="ID", type=_positive, text="take back what was accepted")
    _lock_options(parser)
    _json_option(parser)


def _skip_options(parser: _Parser) -> None:
    parser.add_argument("location", metavar="LOCATION", nargs="?", help="code of the location, such as ca")
    parser.add_argument("days", metavar="DAY", nargs="*", type=_day, help="days to pass over (none: all of them)")
    parser.option("--reason", metavar="TEXT", text="why; needed, and kept")
    parser.option("--list", action="store_true", text="list the tombstones")
    parser.option("--undo", metavar="ID", type=_positive, text="end a tombstone")
    _lock_options(parser)
    _json_option(parser)


def _prune_options(parser: _Parser) -> None:
    parser.option(
        "--older-than-days", metavar="N", type=_positive, default=365,
        text="drop bytes received longer ago than this (default: 365)",
    )  # fmt: skip
    _lock_options(parser)


def _mirror_options(parser: _Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder to save to; made if it is not there")
    parser.option("--source", metavar="S", default="api", text="api, snapshot, a URL or a directory (default: api)")
    parser.option("--single-days", action="store_true", text="save the documents of single days as well")
    parser.option("--jobs", metavar="N", type=_positive, default=4, text="parallel requests (default: 4)")
    _progress_options(parser)


def _export_options(parser: _Parser) -> None:
    from etl.show.export_readme import FORMATS

    parser.add_argument("directory", metavar="DIR", help="folder to write; an export that is there is replaced")
    parser.option("--format", choices=tuple(FORMATS), default="csv", text="csv or parquet (default: csv)")
    wanted = (("--tables", "the star: its dimensions and facts; the default"), ("--views", "the views of mart"))
    for flag, what in wanted:
        parser.option(flag, metavar="NAMES", nargs="?", const="all", text=f"{what}; with NAMES (a,b) only these")
    _json_option(parser)


def _report_options(parser: _Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder to write to; made if it is not there")
    parser.option("--png", action="store_true", text="write the national curves as pictures instead of the page")


def _lock_options(parser: _Parser) -> None:
    parser.option(
        "--wait", metavar="SECONDS", type=_seconds, default=0.0,
        text="wait so long for another run to end (default: 0)",
    )  # fmt: skip


def _status_options(parser: _Parser) -> None:
    parser.option(
        "--max-age-days", metavar="N", type=_positive,
        text="exit with 7 if the last load that went well, or the newest day of a series that goes on, is older",
    )  # fmt: skip
    parser.option("--test-alerts", action="store_true", text="send a test message and ping; 7 if one does not arrive")
    _json_option(parser)


def _json_option(parser: _Parser) -> None:
    parser.option("--json", action="store_true", text="print what is found as one JSON object")


def _psql_options(parser: _Parser) -> None:
    parser.add_argument("arguments", nargs="*", metavar="-- ARGS", help="arguments for psql, behind two dashes")


def _day(text: str) -> date:
    # Only YYYY-MM-DD: date.fromisoformat also reads 20210307 and 2021-W09-7.
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no date; expected YYYY-MM-DD")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date of the calendar; expected YYYY-MM-DD") from None


def _day_or_word(text: str) -> date | str:
    if text == "latest":
        return text
    if text in ("today", "yesterday"):
        from dateutil.tz import gettz

        today = datetime.now(gettz(TIME_ZONE)).date()
        return today if text == "today" else today - timedelta(days=1)
    try:
        return _day(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, latest, yesterday or today") from None


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)


def _positive_or_all(text: str) -> int | str:
    return text if text == ALL else _positive(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return float(text)


# --- commands ---


@contextmanager
def _connected(options: argparse.Namespace, environ: Mapping[str, str]) -> Iterator["Connection"]:
    """The connection of a command, to the configured database or the embedded one."""
    from etl.database import connection as database

    with ExitStack() as stack:
        target = stack.enter_context(database.target(options.database_url, environ))
        yield stack.enter_context(database.connect(target))


def _load(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.run import alerts, pipeline

    if options.date and (options.first_day or options.last_day):
        raise UsageError("--date goes without --from and --to")
    if options.first_day and options.last_day and options.first_day > options.last_day:
        raise UsageError(f"--from {options.first_day} is after --to {options.last_day}")
    wanted = pipeline.LoadOptions(
        source=options.source,
        day=options.date,
        first_day=options.first_day,
        last_day=options.last_day,
        locations=",".join(part.strip().lower() for part in options.locations.split(",") if part.strip()),
        dry_run=options.dry_run,
        force=options.force,
        allow_withdrawals=options.allow_withdrawals,
        jobs=options.jobs,
    )
    with ExitStack() as stack:
        watched = {} if wanted.dry_run else environ
        watch = stack.enter_context(alerts.Watch(f"load {wanted.kind} {wanted.locations}", watched, heartbeat=True))
        conn = stack.enter_context(_connected(options, environ))
        stack.enter_context(database.run_lock(conn, options.wait))
        stack.enter_context(watch.during(conn))
        summary = pipeline.run(conn, wanted, environ, _progress(options))
        watch.report(alerts.of_summary(summary))
    print(json.dumps(summary.as_json()) if options.json else summary.as_text())
    return summary.exit_code


def _init_db(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema

    with _connected(options, environ) as conn, database.run_lock(conn, options.wait):
        applied = schema.upgrade(conn)
    print(f"schema up to date, {len(applied)} files applied")
    return ExitCode.OK


def _replay(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema
    from etl.run import replay
    from etl.run.summary import row_table

    if options.rejected:
        return _replay_rejected(options, environ)
    with _connected(options, environ) as conn, database.run_lock(conn, options.wait):
        schema.require(conn)
        done = replay.replay(conn, options.locations, _progress(options))
    text = [f"{done.documents} documents replayed, {len(done.rejected)} rejected", *row_table(done.rows)]
    text += [f"rejected: {each['address']}: {each['reason']}" for each in done.rejected]
    print(json.dumps(done.as_json()) if options.json else "\n".join(text))
    return done.exit_code


def _replay_rejected(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema
    from etl.run import alerts, rejected

    if options.locations != ALL:
        raise UsageError("--rejected goes without --locations; give the ID of one document, or none for all")
    with ExitStack() as stack:
        watch = stack.enter_context(alerts.Watch("replay", environ))
        conn = stack.enter_context(_connected(options, environ))
        stack.enter_context(database.run_lock(conn, options.wait))
        stack.enter_context(watch.during(conn))
        schema.require(conn)
        summary = rejected.replay_rejected(conn, None if options.rejected == ALL else options.rejected)
        # Who replays sees what is still rejected; what was only noticed now, others have not heard of.
        watch.report(alerts.Report(summary.exit_code, news=alerts.news(summary)))
    print(json.dumps(summary.as_json()) if options.json else summary.as_text())
    return summary.exit_code


def _drift(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema
    from etl.load import accept

    if options.accept and options.undo:
        raise UsageError("give either --accept or --undo")
    with ExitStack() as stack:
        conn = stack.enter_context(_connected(options, environ))
        schema.require(conn)
        if options.accept or options.undo:
            stack.enter_context(database.run_lock(conn, options.wait))
        said = accept.undo(conn, options.undo) if options.undo else None
        said = accept.accept(conn, options.accept, with_loss=options.with_loss) if options.accept else said
        found = accept.changes(conn)
    text = said or accept.as_text(found)
    print(json.dumps(accept.as_json(found) | {"done": said}) if options.json else text)
    return ExitCode.OK


def _skip(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema
    from etl.load import skip

    if (options.location is not None) + options.list + (options.undo is not None) != 1:
        raise UsageError("give either a LOCATION with --reason, or --list, or --undo ID; see main.py skip --help")
    if options.location and not options.reason:
        raise UsageError("--reason is missing: say why, for whoever finds the gap later")
    with _connected(options, environ) as conn, ExitStack() as stack:
        schema.require(conn)
        if options.list:
            found = skip.tombstones(conn)
        else:
            stack.enter_context(database.run_lock(conn, options.wait))
            found = (
                [skip.undo(conn, options.undo)]
                if options.undo
                else skip.skip(conn, options.location, options.days, options.reason)
            )
    text = "\n".join(map(str, found)) or "nothing is passed over"
    if options.undo:
        text += "\nthe next load reads it again"
    elif not options.list:
        text += "\nload what was rejected for it: main.py replay --rejected"
    print(json.dumps(skip.as_json(found)) if options.json else text)
    return ExitCode.OK


def _prune(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import connection as database
    from etl.database import schema
    from etl.run import replay

    with _connected(options, environ) as conn, database.run_lock(conn, options.wait):
        schema.require(conn)
        pruned = replay.prune(conn, options.older_than_days)
    print(f"{pruned.documents} documents dropped, {pruned.size_bytes} bytes before compression")
    for location, time in pruned.lost.items():
        print(f"{location}: can no longer be replayed, with its revisions before {time}")
    return ExitCode.OK


def _mirror(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.extract import http as extract
    from etl.extract import mirror

    spec = "api" if options.source == "auto" else options.source
    source = extract.open_source(spec, environ, options.jobs)
    folder = mirror.Mirror(source, Path(options.directory), options.jobs, _progress(options))
    result = folder.update(single_days=options.single_days)
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result.counts.items())
    print(f"{source.name} -> {options.directory}: {counts}")
    for address, reason in result.failed.items():
        print(f"failed: {address}: {reason}")
    return result.exit_code


def _export(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import schema
    from etl.show import export

    folder = Path(options.directory)
    with _connected(options, environ) as conn:
        schema.require(conn)
        done = export.export(conn, folder, options.format, options.tables, options.views)
    print(json.dumps(asdict(done)) if options.json else f"{done.as_text()}\n{done.format} -> {folder}")
    return ExitCode.OK


def _progress(options: argparse.Namespace) -> Callable[[int, int, int], None]:
    """What shows progress: a line on the terminal, rewritten in place; nothing in a pipe or under cron."""
    from etl.cli.progress import Line

    return Line(sys.stderr) if sys.stderr.isatty() and not options.no_progress else lambda _done, _total, _rows: None


def _status(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import schema
    from etl.run import alerts
    from etl.show import status

    if options.test_alerts:
        problems = alerts.test(environ)
        print("\n".join(problems) or "the test message and the ping were taken")
        return ExitCode.CHECK if problems else ExitCode.OK
    with ExitStack() as stack:
        # Only as an alarm does it tell anybody else than the one who asks.
        watch = stack.enter_context(alerts.Watch("status", environ if options.max_age_days else {}))
        conn = stack.enter_context(_connected(options, environ))
        stack.enter_context(watch.during(conn))
        schema.require(conn)
        found = status.status(conn)
        stale = status.staleness(found, options.max_age_days) if options.max_age_days else None
        code = ExitCode.CHECK if stale else ExitCode.OK
        troubles, advice = ([f"stale: {stale}"], ["does the schedule run? main.py load says what is wrong"])
        watch.report(alerts.Report(code, troubles, advice=advice) if stale else alerts.Report(code))
    text = status.as_text(found) + (f"\nSTALE: {stale}" if stale else "")
    print(json.dumps(found | {"stale": stale}) if options.json else text)
    if stale:
        # On stderr as well: cron mails it, whatever becomes of the tables.
        get_logger().error("data is stale", extra={"reason": stale})
    return code


def _check(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.database import checks as validate
    from etl.database import schema

    with _connected(options, environ) as conn:
        schema.require(conn)
        checks = validate.validate(conn)
    print(json.dumps(validate.as_json(checks)) if options.json else validate.as_text(checks))
    return validate.exit_code(checks)


def _report(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl import page as report
    from etl.database import schema

    report.require_packages()
    with _connected(options, environ) as conn:
        schema.require(conn)
        write = report.write_pictures if options.png else report.write_page
        written = write(conn, Path(options.directory))
    for path in written:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return ExitCode.OK


def _psql(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from etl.cli import psql
    from etl.database import connection as database

    program = psql.program()
    with database.target(options.database_url, environ) as target:
        return psql.run(program, target, options.arguments, environ)


COMMANDS: dict[str, tuple[Callable[[Any], None], Callable[..., int], str, str]] = {
    "load": (
        _load_options,
        _load,
        "bring the warehouse up to date, or load one day or a range",
        "  main.py load                                  everything that is published\n"
        "  main.py load --date 2021-01-02                one day, all locations\n"
        "  main.py load --date latest --locations us --json\n"
        "  main.py load --from 2021-01-01 --to 2021-01-31 --locations ca,ny\n"
        "  main.py load --source snapshot --dry-run",
    ),
    "status": (
        _status_options,
        _status,
        "show what is loaded per location, and the last runs",
        "  main.py status\n  main.py status --json\n  main.py status --max-age-days 2",
    ),
    "check": (
        _json_option,
        _check,
        "run the checks of sql/checks/validate.sql over what is loaded",
        "  main.py check\n  main.py check --json",
    ),
    "replay": (
        _replay_options,
        _replay,
        "rebuild the star and its history from the stored bytes, without network",
        "  main.py replay\n  main.py replay --locations ca,ny\n  main.py replay --rejected",
    ),
    "drift": (
        _drift_options,
        _drift,
        "list what has changed in what the source publishes, or accept a change",
        "  main.py drift\n  main.py drift --accept 3",
    ),
    "skip": (
        _skip_options,
        _skip,
        "pass over a poison report, or a location",
        "  main.py skip ca 2021-01-02 --reason 'cases are a phone number'\n"
        "  main.py skip --list\n  main.py skip --undo 1",
    ),
    "prune": (
        _prune_options,
        _prune,
        "drop stored bytes by age, and say what a replay loses by it",
        "  main.py prune --older-than-days 365",
    ),
    "mirror": (
        _mirror_options,
        _mirror,
        "save the API as files, usable later as --source DIR",
        "  main.py mirror api-copy\n  main.py mirror api-copy --source snapshot --single-days",
    ),
    "export": (
        _export_options,
        _export,
        "write the star, or the views, as CSV or Parquet files",
        "  main.py export covid-csv\n"
        "  main.py export covid-parquet --format parquet --tables --views\n"
        "  main.py export deaths --tables death_fact,location_dimension",
    ),
    "report": (
        _report_options,
        _report,
        "write a page with charts of what is loaded, or pictures of the national curves",
        "  main.py report report\n  main.py report --png pictures",
    ),
    "init-db": (
        _lock_options,
        _init_db,
        "create or upgrade the schema only",
        "  main.py init-db\n  main.py init-db --database-url postgresql://admin@db/covid",
    ),
    "psql": (
        _psql_options,
        _psql,
        "open psql on the database in use",
        "  main.py psql                                  with settings, the views and examples\n"
        "  main.py psql -- -Atc 'select count(*) from cases_dimension'",
    ),
}
