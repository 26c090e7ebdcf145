"""The API documentation is complete, and the check of that finds what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import api_docs
import pytest

from etl.config import ROOT

pytestmark = pytest.mark.slow


def make_docs(root: Path) -> "subprocess.CompletedProcess[str]":
    """Runs the tool on another root, as `make docs` does on ours."""
    script = "import api_docs, sys; from pathlib import Path; sys.exit(api_docs.main(Path(sys.argv[1])))"
    paths = os.pathsep.join(map(str, (root, root / "tools", ROOT / "tools")))
    return subprocess.run(
        [sys.executable, "-c", script, str(root)],
        env=os.environ | {"PYTHONPATH": paths}, cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip


COMPLETE = {
    "main.py": '"""The entry."""\n',
    "etl/__init__.py": '"""The package."""\n',
    "etl/part.py": '"""A part."""\n\nclass Thing:\n    """A thing."""\n\n    def use(self) -> None:\n        """Uses it."""\n',
    "tools/tool.py": '"""A tool."""\n\ndef _private(): pass\n\ndef run() -> None:\n    """Runs."""\n',
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_every_public_name_of_ours_is_documented_and_shown(tmp_path: Path) -> None:
    sources = api_docs.modules(ROOT)
    assert {"main", "etl", "etl.cli", "api_docs"} <= set(sources)
    # In a process of its own, since it imports every module.
    script = "import api_docs, sys; from pathlib import Path; api_docs.build(sys.argv[2:], Path(sys.argv[1]))"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tools")))
    built = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *sources],
        # pdoc warns of default values that are in the environment, as PGUSER may be.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    assert list(api_docs.problems(sources, tmp_path)) == []
    assert "Writes an export" in (tmp_path / "etl/show/export.html").read_text()


def test_complete_docstrings_pass(tmp_path: Path) -> None:
    write(tmp_path, COMPLETE | {"docs/api/etl/gone.html": "a page of a module that is no more"})
    result = make_docs(tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert not (tmp_path / "docs/api/etl/gone.html").exists()


@pytest.mark.parametrize(
    ("file", "docstring", "name"),
    [
        ("main.py", '"""The entry."""', "main"),
        ("etl/part.py", '"""A part."""', "etl.part"),
        ("etl/part.py", '"""A thing."""', "etl.part.Thing"),
        ("etl/part.py", '"""Uses it."""', "etl.part.Thing.use"),
        ("tools/tool.py", '"""Runs."""', "tool.run"),
    ],
)
def test_an_undocumented_name_fails(file: str, docstring: str, name: str, tmp_path: Path) -> None:
    write(
        tmp_path, COMPLETE | {file: COMPLETE[file].replace(docstring, "..." if docstring != '"""A part."""' else "")}
    )
    result = make_docs(tmp_path)
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith(f"{name} has no docstring"), result.stderr


def test_a_name_that_no_page_shows_fails(tmp_path: Path) -> None:
    write(tmp_path, COMPLETE)
    (tmp_path / "etl/part.py").write_text(COMPLETE["etl/part.py"] + "\n__all__ = []\n")
    result = make_docs(tmp_path)
    assert result.returncode == 1
    assert "etl.part.Thing is not in" in result.stderr
    assert "etl.part.Thing.use is not in" in result.stderr
