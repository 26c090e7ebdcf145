"""The commands: the options, the work, the output and the exit code of each."""

import argparse
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from etl import __version__, config, ending, errors, logs
from etl.cli import options as opt
from etl.cli.options import Parser
from etl.errors import EtlError, ExitCode, Interrupted, UsageError, exit_code_of, printable
from etl.logs import log

if TYPE_CHECKING:
    from etl.database.connection import Connection
    from etl.run.alerts import Watch
    from etl.run.summary import Summary

EXIT_CODES = "exit codes:\n" + "".join(f"  {code:<5}{code.meaning}\n" for code in sorted(ExitCode))

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
    """Runs one command and returns its exit code."""
    # The format of the log is known before the options are parsed, since errors in them are logged too.
    logs.configure(logs.format_asked_for(arguments, os.environ))
    try:
        return _dispatch(list(arguments), os.environ)
    except (EtlError, *errors.MACHINE_ERRORS, Interrupted) as error:
        code = exit_code_of(error)
        log.error("command failed", extra={"exit_code": int(code), "reason": str(error) or "out of memory"})
        return code
    except Exception as error:
        log.exception("unexpected error; this is a bug, please report it")
        return exit_code_of(error)


def _dispatch(arguments: list[str], environ: Mapping[str, str]) -> int:
    _require_text(arguments, environ)
    if not arguments or arguments[0] not in (*COMMANDS, "-h", "--help", "--version"):
        if arguments and not arguments[0].startswith("-"):
            raise UsageError(f"{errors.shown(arguments[0])!r} is no command; there are {', '.join(COMMANDS)}")
        arguments = ["load", *arguments]
    options, unknown = build_parser(environ, arguments[0]).parse_known_args(arguments)
    if unknown:
        names = [errors.shown(word.partition("=")[0]) for word in unknown]
        hint = "; arguments for psql come behind --" if arguments[0] == "psql" else ""
        options.parser.error(f"unrecognized arguments: {' '.join(names)}{hint}")
    return int(options.run(options, environ))


def _require_text(arguments: Sequence[str], environ: Mapping[str, str]) -> None:
    """Raises `UsageError` where an argument or a variable of ours or of libpq is not UTF-8: it fits no database."""
    ours = (item for item in environ.items() if item[0].startswith(("COVID_ETL_", "DATABASE_URL", "PG")))
    for name, value in (*(("an argument", word) for word in arguments), *ours):
        if not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise UsageError(f"{name} is not UTF-8: write it in UTF-8")


def build_parser(environ: Mapping[str, str], chosen: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; only the chosen command reads variables.

    The help of a command is the docstring of its function: a sentence, then examples.
    """
    parser = Parser(
        prog=config.command(),
        description=DESCRIPTION,
        epilog=f"COMMAND may be left out: `main.py --date latest` is `main.py load --date latest`.\n\n{EXIT_CODES}",
    )
    parser.add_argument("--version", action="version", version=f"{config.PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        does, _, examples = (inspect.getdoc(command.run) or "").partition("\n\n")
        epilog = f"{examples}\n\n{DATABASE_HELP}\n{EXIT_CODES}"
        variables = environ if name == chosen else {}
        added = commands.add_parser(name, environ=variables, help=does, description=does, epilog=epilog)
        command.add_options(added)
        added.shared("--database-url", "--log-format")
        added.set_defaults(run=command.run, parser=added)
    return parser


@contextmanager
def _stdout() -> Iterator[TextIO]:
    """The standard output; it is no error that its reader (head, less) has left."""
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(*lines: str) -> None:
    """Prints the lines of a result, each on one line."""
    with _stdout() as stdout:
        print("\n".join(map(printable, lines)), file=stdout)


def _print_result(options: argparse.Namespace, found: Mapping[str, Any], *lines: str) -> None:
    _print(*([json.dumps(found)] if options.json else lines))


@contextmanager
def _connected(
    options: argparse.Namespace,
    environ: Mapping[str, str],
    watch: "Watch | None" = None,
    *,
    writes: bool = False,
    needs_schema: bool = True,
) -> Iterator["Connection"]:
    """The connection of a command to the database in use; with the run lock, and for a time, if the command writes.

    A `watch` tells how the command ends, while the connection is still open.
    """
    from etl.database import connection, schema

    if writes:
        ending.limit(options.wait + connection.LONGEST_RUN_SECONDS)
    with ExitStack() as stack, watch or nullcontext():
        target = stack.enter_context(connection.target(options.database_url, environ))
        conn = stack.enter_context(connection.connect(target))
        if watch:
            watch.conn = conn
        if writes:
            stack.enter_context(connection.run_lock(conn, options.wait))
        if needs_schema:
            schema.require(conn)
        yield conn


def _progress(options: argparse.Namespace) -> Callable[[int, int, int], None]:
    """The line of progress on a terminal; nothing in a pipe, under cron, or beside a log of JSON."""
    from etl.cli.progress import line

    is_shown = sys.stderr.isatty() and not options.no_progress and options.log_format == "text"
    return line(sys.stderr) if is_shown else lambda _done, _total, _rows: None


# --- load ---


def _load_options(parser: Parser) -> None:
    text = "load one day from its own documents: YYYY-MM-DD, latest, yesterday or today (in New York)"
    parser.option("--date", text, metavar="D", type=opt.day_or_word, dest="day")
    parser.option("--from", "load the histories from this day on", metavar="D", type=opt.day, dest="first_day")
    parser.option("--to", "load the histories up to this day", metavar="D", type=opt.day, dest="last_day")
    parser.option("--locations", variable="COVID_ETL_LOCATIONS", **opt.SHARED["--locations"])
    text = "auto (the API, or the snapshot if it is gone), api, snapshot, a URL, or a folder with us/ and states/"
    parser.option("--source", f"{text} (default: auto)", metavar="S", default="auto")
    parser.switch("--dry-run", "do everything and roll it back; needs a schema")
    parser.switch("--force", "load also what is unchanged or stale")
    text = "leave out the shipped past: what was published before the first load; --force brings it later"
    parser.option("--no-past", text, action="store_false", dest="past")
    parser.switch("--allow-withdrawals", "accept a history that lacks more than a tenth of the known days")
    parser.shared("--jobs", "--wait", "--json", "--no-progress")


def _load(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Bring the warehouse up to date, or load one day or a range.

    examples:
      main.py load                                  everything that is published
      main.py load --date 2021-01-02                one day, all locations
      main.py load --date latest --locations us --json
      main.py load --from 2021-01-01 --to 2021-01-31 --locations ca,ny
      main.py load --source snapshot --dry-run
    """
    from etl.run import alerts, pipeline

    if options.day and (options.first_day or options.last_day):
        raise UsageError("--date goes without --from and --to")
    if options.first_day and options.last_day and options.first_day > options.last_day:
        raise UsageError(f"--from {options.first_day} is after --to {options.last_day}")
    names = pipeline.LoadOptions.__struct_fields__
    wanted = pipeline.LoadOptions(**{name: getattr(options, name) for name in names})
    scope = f"load {wanted.kind} {wanted.locations}"
    watch = alerts.Watch({} if wanted.dry_run else environ, scope, alerts.STALENESS, is_load=True)
    with _connected(options, environ, watch, writes=True, needs_schema=False) as conn:
        watch.start()
        summary = pipeline.run(conn, wanted, environ, _progress(options))
        watch.notice = alerts.of_summary(summary)
    return _print_summary(options, summary)


def _print_summary(options: argparse.Namespace, summary: "Summary") -> int:
    from etl.run import wording

    _print_result(options, summary.as_json(), *wording.as_lines(summary))
    return summary.exit_code


# --- replay ---


def _replay_options(parser: Parser) -> None:
    text = "load the rejected documents, or one, that an alias, a tombstone or a new version allows now"
    parser.option("--rejected", text, metavar="ID", type=opt.positive_or_all, nargs="?", const=opt.ALL)
    parser.switch("--allow-rejected", "rebuild without the loaded documents that would be rejected now")
    parser.shared("--locations", "--wait", "--json", "--no-progress")


def _replay(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Rebuild the star and its history from the stored bytes, without network.

    examples:
      main.py replay
      main.py replay --locations ca,ny
      main.py replay --rejected
    """
    from etl.run import alerts, replay

    if not options.rejected:
        with _connected(options, environ, writes=True) as conn:
            progress, allowed = _progress(options), options.allow_rejected
            summary = replay.replay(conn, options.locations, allow_rejected=allowed, progress=progress)
        return _print_summary(options, summary)
    if options.locations != opt.ALL or options.allow_rejected:
        raise UsageError(
            "--rejected goes without --locations and --allow-rejected; give the ID of one document at most"
        )
    watch = alerts.Watch(environ, "replay")
    with _connected(options, environ, watch, writes=True) as conn:
        summary = replay.replay_rejected(conn, None if options.rejected == opt.ALL else options.rejected)
        # Whoever replays reads what is still rejected; others are told what is new.
        watch.notice = alerts.Notice(summary.exit_code, run_id=summary.run_id)
    return _print_summary(options, summary)


# --- drift, skip, prune ---


def _drift_options(parser: Parser) -> None:
    parser.option("--accept", "accept a change: read documents with it from now on", metavar="ID", type=opt.positive)
    parser.switch("--with-loss", "accept it also if loaded values become null by that")
    parser.option("--undo", "take back that a change was accepted", metavar="ID", type=opt.positive)
    parser.shared("--wait", "--json")


def _drift(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """List the changes in what the source publishes, or accept one.

    examples:
      main.py drift
      main.py drift --accept 3
    """
    from etl.load import drift_record
    from etl.show import drift

    if options.accept and options.undo:
        raise UsageError("give either --accept or --undo")
    done = None
    with _connected(options, environ, writes=bool(options.accept or options.undo)) as conn:
        if options.accept:
            done = drift_record.accept(conn, options.accept, with_loss=options.with_loss)
        elif options.undo:
            done = drift_record.undo(conn, options.undo)
        changes = drift_record.changes(conn)
    _print_result(options, drift.as_json(changes, done), *([done] if done else drift.as_lines(changes)))
    return ExitCode.OK


def _skip_options(parser: Parser) -> None:
    parser.add_argument("location", metavar="LOCATION", nargs="?", help="code of one location, such as ca")
    parser.add_argument("days", metavar="DAY", nargs="*", type=opt.day, help="days to pass over (default: all)")
    parser.option("--reason", "why: needed with LOCATION, and kept", metavar="TEXT")
    parser.switch("--list", "list the tombstones")
    parser.option("--undo", "end a tombstone", metavar="ID", type=opt.positive)
    parser.shared("--wait", "--json")


def _skip(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Pass over a poison report, or a location.

    examples:
      main.py skip ca 2021-01-02 --reason 'cases are a phone number'
      main.py skip --list
      main.py skip --undo 1
    """
    from etl.load import rules

    if (options.location is not None) + options.list + (options.undo is not None) != 1:
        see = config.command("skip --help")
        raise UsageError(f"give either a LOCATION with --reason, or --list, or --undo ID; see {see}")
    if options.location and not options.reason:
        raise UsageError("--reason is missing: say why, for whoever finds the gap later")
    hint = []
    with _connected(options, environ, writes=not options.list) as conn:
        if options.list:
            shown = rules.tombstones(conn)
        elif options.undo:
            undone, still_holding = rules.undo(conn, options.undo)
            shown = [undone]
            others = ", ".join(f"{other.tombstone_id} ({other.day or 'all days'})" for other in still_holding)
            hint = [f"still passed over by tombstone {others}" if others else "the next load reads it again"]
        else:
            shown = rules.skip(conn, options.location, options.days, options.reason)
            hint = [f"load what was rejected for it: {config.command('replay --rejected')}"]
    lines = [*map(str, shown), *hint] or ["nothing is passed over"]
    _print_result(options, {"tombstones": [tombstone.as_json() for tombstone in shown]}, *lines)
    return ExitCode.OK


def _prune_options(parser: Parser) -> None:
    text = "drop bytes received longer ago than this (default: 365)"
    parser.option("--older-than-days", text, metavar="N", type=opt.days, default=365)
    parser.shared("--wait", "--json")


def _prune(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Drop stored bytes by age, and say what a replay loses by that.

    examples:
      main.py prune --older-than-days 365
    """
    from msgspec.structs import asdict

    from etl.run import prune

    with _connected(options, environ, writes=True) as conn:
        pruned = prune.prune(conn, options.older_than_days)
    lines = [f"{pruned.documents} documents dropped, {pruned.size_bytes} bytes before compression"]
    for location, moment in pruned.lost.items():
        lines.append(f"{location}: can no longer be replayed; that would lose its revisions before {moment}")
    _print_result(options, asdict(pruned), *lines)
    return ExitCode.OK


# --- mirror, export, report ---


def _mirror_options(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder to save to, made if missing")
    parser.option("--source", "api, snapshot, a URL or a directory (default: api)", metavar="S", default="api")
    parser.switch("--single-days", "save the documents of single days as well")
    parser.shared("--jobs", "--json", "--no-progress")


def _mirror(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Save the API as files that can later be read with --source DIR.

    examples:
      main.py mirror api-copy
      main.py mirror api-copy --source snapshot --single-days
    """
    from etl.extract import choose, mirror

    spec = choose.API if options.source == choose.AUTO else options.source
    source = choose.open_source(spec, environ, options.jobs)
    folder = mirror.Mirror(source, Path(options.directory), options.jobs, _progress(options))
    folder.update(single_days=options.single_days)
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in folder.counts.items())
    lines = [f"{source.name} -> {options.directory}: {counts}"]
    lines += [f"failed: {address}: {reason}" for address, reason in folder.failed.items()]
    found = {"source": source.name, "documents": folder.counts, "failed": folder.failed}
    _print_result(options, found, *lines)
    return ExitCode.SOURCE if folder.failed else ExitCode.OK


def _export_options(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder to write to; an export in it is replaced")
    parser.option("--format", "csv or parquet (default: csv)", choices=("csv", "parquet"), default="csv")
    names = {"metavar": "NAMES", "nargs": "?", "const": opt.ALL}
    parser.option("--tables", "the star: its dimensions and facts (default); with NAMES (a,b) only these", **names)
    parser.option("--views", "the views of mart; with NAMES (a,b) only these", **names)
    parser.shared("--json")


def _export(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Write the star, or the views, as CSV or Parquet files.

    examples:
      main.py export covid-csv
      main.py export covid-parquet --format parquet --tables --views
      main.py export deaths --tables death_fact,location_dimension
    """
    from etl.show import export

    folder = Path(options.directory)
    with _connected(options, environ) as conn:
        done = export.export(conn, folder, options.format, options.tables, options.views)
    _print_result(options, done.as_json(), *done.as_lines(), f"{done.format} -> {folder}")
    return ExitCode.OK


def _report_options(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="folder to write to, made if missing")
    parser.switch("--png", "write the national curves as pictures instead of the page")
    parser.shared("--json")


def _report(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Write a page with charts of what is loaded, or pictures of the national curves.

    examples:
      main.py report report
      main.py report --png pictures
    """
    from etl.page import write

    with _connected(options, environ) as conn:
        written = write.write(conn, Path(options.directory), png=options.png)
    sizes = {str(path): path.stat().st_size for path in written}
    _print_result(
        options, {"bytes_by_path": sizes}, *(f"{path}: {size / 1e6:.1f} MB" for path, size in sizes.items())
    )
    return ExitCode.OK


# --- status, check, document ---


def _status_options(parser: Parser) -> None:
    text = "exit with 7 if the last successful load, or the newest day of a series that goes on, is older"
    parser.option("--max-age-days", text, metavar="N", type=opt.days)
    parser.switch("--prometheus", "print metrics, for the textfile collector of Prometheus")
    parser.switch("--test-alerts", "send a test message and a ping; exit with 7 if one does not arrive")
    parser.shared("--json")


def _status(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Show what is loaded per location, and the last runs.

    examples:
      main.py status
      main.py status --json
      main.py status --max-age-days 2
    """
    from etl.load.request import load_command
    from etl.run import alerts
    from etl.show import status

    others = bool(options.max_age_days or options.json)
    if options.test_alerts + options.prometheus + others > 1:
        raise UsageError("--test-alerts and --prometheus each go alone, without --max-age-days and --json")
    if options.test_alerts:
        problems = alerts.test(environ)
        _print(*(problems or ["the test message and the ping were taken"]))
        return ExitCode.CHECK if problems else ExitCode.OK
    if options.prometheus:
        with _connected(options, environ) as conn:
            _print(*status.as_metrics(conn))
        return ExitCode.OK
    # Only --max-age-days sends alerts: without it the command just answers whoever asks.
    watch = alerts.Watch(environ if options.max_age_days else {}, alerts.STALENESS, alerts.OLD_SERIES)
    with _connected(options, environ, watch) as conn:
        found = status.read(conn)
        stale = status.staleness(found.totals, options.max_age_days) if options.max_age_days else None
        since = found.totals.days_since_success
        if stale and since is not None and since <= options.max_age_days:
            # The load went well, but the newest report is old: that trouble has the other scope.
            watch.scopes.reverse()
        last = next((run for run in found.runs if run.command == "load"), None)
        load = load_command(last.source, last.locations) if last else config.command("load")
        watch.notice = alerts.of_staleness(stale, load)
    lines = status.as_lines(found) + ([f"STALE: {stale}"] if stale else [])
    _print_result(options, status.as_json(found) | {"stale": stale}, *lines)
    if stale:
        # It is logged as well, since cron mails stderr even where stdout is thrown away.
        log.error("data is stale", extra={"reason": stale})
    return ExitCode.CHECK if stale else ExitCode.OK


def _check(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the checks of sql/checks/validate.sql over what is loaded.

    examples:
      main.py check
      main.py check --json
    """
    from etl.database import checks
    from etl.show import check

    with _connected(options, environ) as conn:
        found = checks.validate(conn)
    _print_result(options, check.as_json(found), *check.as_lines(found))
    return check.exit_code(found)


def _document_options(parser: Parser) -> None:
    text = "number of a document, whose bytes go to stdout; or, with DAY and FIGURE, the code of a location"
    parser.add_argument("wanted", metavar="DOCUMENT", help=text)
    parser.add_argument("day", metavar="DAY", nargs="?", type=opt.day, help="day of the figure")
    text = "column of the star, or path in a report, whose place in its document is shown"
    parser.add_argument("figure", metavar="FIGURE", nargs="?", help=text)
    parser.shared("--json")


def _document(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Write the stored bytes of a document, or show the place of a figure in them.

    examples:
      main.py document 14
      main.py document ca 2021-01-02 total_deaths
      main.py document ca 2021-01-02 tests.pcr.people.positive
    """
    from msgspec import to_builtins

    from etl.show import document

    if options.figure:
        with _connected(options, environ) as conn:
            found = document.figure(conn, options.wanted, options.day, options.figure)
        _print_result(options, to_builtins(found), *found.as_lines())
        return ExitCode.OK
    is_number = options.wanted.isdecimal() and len(options.wanted) <= opt.LONGEST_NUMBER
    if options.day or options.json or not is_number:
        see = config.command("document --help")
        raise UsageError(f"give the number of a document alone, or LOCATION DAY FIGURE; see {see}")
    with _connected(options, environ) as conn:
        body = document.body_of(conn, int(options.wanted))
    with _stdout() as stdout:
        stdout.buffer.write(body)
    return ExitCode.OK


# --- init-db, psql ---


def _init_db(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Create or upgrade the schema, and do no more.

    examples:
      main.py init-db
      main.py init-db --database-url postgresql://admin@db/covid
    """
    from etl.database import schema

    with _connected(options, environ, writes=True, needs_schema=False) as conn:
        applied = schema.upgrade(conn)
        schema.require_views(conn)
    _print_result(options, {"applied": applied}, f"schema up to date, {len(applied)} files applied")
    return ExitCode.OK


def _psql_options(parser: Parser) -> None:
    parser.add_argument("arguments", nargs="*", metavar="-- ARGS", help="arguments for psql, behind two dashes")
    parser.switch("--read-only", "a session that writes nothing by mistake")


def _psql(options: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Open psql on the database in use.

    examples:
      main.py psql                                  with settings, the views and examples
      main.py psql --read-only
      main.py psql -- -Atc 'select count(*) from cases_dimension'
    """
    from etl.cli import psql
    from etl.database import connection

    program = psql.program()
    with connection.target(options.database_url, environ) as target:
        return psql.run(program, target, options.arguments, environ, read_only=options.read_only)


class Command(NamedTuple):
    """A command: the function that adds its options, and the function that does it."""

    add_options: Callable[[Parser], None]
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]


COMMANDS = {
    "load": Command(_load_options, _load),
    "status": Command(_status_options, _status),
    "check": Command(lambda parser: parser.shared("--json"), _check),
    "replay": Command(_replay_options, _replay),
    "drift": Command(_drift_options, _drift),
    "skip": Command(_skip_options, _skip),
    "prune": Command(_prune_options, _prune),
    "mirror": Command(_mirror_options, _mirror),
    "export": Command(_export_options, _export),
    "report": Command(_report_options, _report),
    "document": Command(_document_options, _document),
    "init-db": Command(lambda parser: parser.shared("--wait", "--json"), _init_db),
    "psql": Command(_psql_options, _psql),
}
