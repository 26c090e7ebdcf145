"""The units of deploy/systemd are what systemd can run, and stand for one day and one failure."""

import re
import shutil
import subprocess

import pytest

from etl.config import ROOT
from etl.errors import ExitCode
from tests.parts import require

FOLDER = ROOT / "deploy" / "systemd"
SERVICE = (FOLDER / "covid-tracking-etl.service").read_text()


# The service names Docker's own, which systemd looks for.
@pytest.mark.docker
def test_systemd_takes_the_units() -> None:
    require(shutil.which("systemd-analyze") and shutil.which("docker"), "no systemd or no Docker here")
    units = sorted(str(path) for path in FOLDER.iterdir() if path.suffix in {".service", ".timer"})
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_the_timer_keeps_to_the_zone_and_to_the_days() -> None:
    timer = (FOLDER / "covid-tracking-etl.timer").read_text()
    assert "OnCalendar=*-*-* 17:30:00 America/New_York\n" in timer
    assert "Persistent=true\n" in timer
    assert "RandomizedDelaySec=" in timer


def test_a_failure_is_told() -> None:
    (unit,) = re.findall(r"OnFailure=(.*)", SERVICE)
    assert (FOLDER / unit).exists()
    well = set(map(int, re.findall(r"SuccessExitStatus=(.*)", SERVICE)[0].split()))
    assert well == {ExitCode.NOT_PUBLISHED, ExitCode.LOCKED}
    minutes = re.search(r"TimeoutStartSec=(\d+)min", SERVICE)
    assert minutes is not None
    assert int(minutes[1]) > 65
