"""The choice of a source, by the name that `--source` gives, or by asking the API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

from etl import config
from etl.errors import DocumentError, UsageError, shown
from etl.extract.directory import DirectorySource
from etl.extract.source import DECODING_ERRORS, Missing, Source, without_password
from etl.logs import log

# The words that --source takes besides addresses and folders.
AUTO, API, SNAPSHOT = "auto", "api", "snapshot"
# A small document of the series' last day, and the limits to connect and for the whole request.
PROBE_ADDRESS = "us/daily/2021-03-07.json"
PROBE_SECONDS = (3.0, 5.0)


class _ProbeDay(msgspec.Struct):
    date: Literal["2021-03-07"]


class _Probe(msgspec.Struct):
    """The part of a document by which the API is known; the contract asks for more."""

    meta: msgspec.Raw
    data: _ProbeDay


def open_source(spec: str, environ: Mapping[str, str], jobs: int) -> Source:
    """The source that `--source` names, `auto` excepted; raises `UsageError` if it names none."""
    api = config.api_url(environ)
    if spec == SNAPSHOT:
        return DirectorySource(config.SNAPSHOT, SNAPSHOT)
    if spec == API or spec.startswith(("http://", "https://")):
        # A run from files does not wait for the libraries of HTTP.
        from etl.extract.http import HttpSource

        url = api if spec == API else spec.rstrip("/")
        return HttpSource(url, API if url == api else without_password(url), jobs)
    folder = Path(unquote(urlsplit(spec).path) if spec.startswith("file://") else spec).expanduser()
    if not any((folder / name).is_dir() for name in ("us", "states")):
        raise UsageError(
            f"--source {shown(spec)!r} is neither auto, api, snapshot, a URL, nor a directory with us/daily.json and "
            f"states/CODE/daily.json (or .json.gz); to make such a directory: {config.command('mirror DIR')}"
        )
    return DirectorySource(folder, str(folder.resolve()))


def resolve_auto(environ: Mapping[str, str], *, loaded_from_api: bool) -> str | None:
    """`api` if it answers or is busy; else `snapshot`, or None, to read nothing, if the data is from the API."""
    api = config.api_url(environ)
    problem = _probe(api)
    if not problem:
        return API
    taken = "nothing is read, since its documents are loaded" if loaded_from_api else "shipped snapshot used"
    log.warning(f"API unavailable: {taken}", extra={"api": without_password(api), "reason": problem})
    return None if loaded_from_api else SNAPSHOT


def _probe(api: str) -> str | None:
    """The reason why the API is gone, from one GET without retries; None if it is there or only busy."""
    from etl.extract.http import BusyError, HttpSource

    try:
        received = HttpSource(api, API, 1, PROBE_SECONDS).ask(PROBE_ADDRESS)
        msgspec.json.decode(received.body, type=_Probe)
    except BusyError:
        return None
    except (Missing, DocumentError, *DECODING_ERRORS) as error:
        return str(error)
    return None
