"""The image is built once, pushed, and found again by its digest, in a registry on this machine."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import deploy
from etl.config import ROOT
from tests.deploy.task import docker
from tests.deploy.template import AWS, Template
from tests.parts import require

pytestmark = pytest.mark.docker

CONFIGURATION = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A repository in an empty registry."""
    program = shutil.which("docker-registry")
    require(program and docker("info").returncode == 0, "no docker-registry or no Docker engine here")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder / "data", port=port))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([str(program), "serve", folder / "config.yml"], stdout=log, stderr=log)
    name = f"127.0.0.1:{port}/covid-tracking-etl"
    try:
        wait_for(port)
        yield name
    finally:
        process.terminate()
        process.wait(timeout=10)
        docker("image", "rm", f"{name}:v1")


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the registry does not start")


def test_an_image_is_known_by_its_digest_and_by_its_tables(repository: str) -> None:
    built = subprocess.run([AWS / "build.sh", repository, "v1"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    assert re.fullmatch(rf"{re.escape(repository)}@sha256:[0-9a-f]{{64}}", image)
    assert re.fullmatch(Template("template.yaml").parameters["Image"]["AllowedPattern"], image)
    # Nothing of it is left here, so that it comes from the registry.
    docker("image", "rm", f"{repository}:v1")
    docker("image", "rm", image)
    files = {f"{path.parent.name}/{path.name}" for path in (ROOT / "sql").glob("*/*.sql")}
    found = deploy.schema_of(image)
    assert found.keys() == {name for name in files if name.startswith(("ddl/", "migrations/"))}
    assert docker("run", "--rm", image, "--version").returncode == 0


def test_a_registry_is_logged_in_to_with_a_password_from_the_provider(tmp_path: Path) -> None:
    for name, line in (("aws", "echo secret"), ("docker", f'echo "$@" "$(cat)" >{tmp_path}/told')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    script = AWS / "registry_login.sh"
    subprocess.run([script, "1.dkr.example/covid@sha256:1"], check=True, env=os.environ | {"PATH": path})
    assert (tmp_path / "told").read_text() == "login --username AWS --password-stdin 1.dkr.example secret\n"
