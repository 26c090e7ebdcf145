"""The image's roots of RDS are those of the locked package, and certificates that can be used."""

import re
import subprocess
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from etl.config import ROOT
from tests.deploy.conftest import NODE_MODULES
from tests.deploy.template import AWS

BUNDLE = AWS / "rds-ca.pem"
SCRIPT = Path(__file__).with_name("node") / "write_bundle.mjs"


def certificates() -> list[x509.Certificate]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[x509.Certificate] = x509.load_pem_x509_certificates(BUNDLE.read_bytes())
    return found


def test_the_bundle_is_the_package_s(node: Path) -> None:
    written = subprocess.run([node, SCRIPT, NODE_MODULES], capture_output=True, text=True, check=True).stdout
    assert BUNDLE.read_text() == written, "run `make .venv/deploy rds-ca`"


def test_the_bundle_holds_a_root_for_each_region_that_stays_valid() -> None:
    found = certificates()
    names = [certificate.subject.rfc4514_string() for certificate in found]
    assert len(names) == len(set(names)) == 86
    assert all(certificate.subject == certificate.issuer for certificate in found)
    assert all(certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=90) for certificate in found)
    # Each algorithm that RDS offers, for a region, and the roots of its proxies.
    for algorithm in ("RSA2048", "RSA4096", "ECC384"):
        assert any(re.search(rf"us-east-1 Root CA {algorithm} G1", name) for name in names), algorithm
    assert any("Amazon Root CA 1" in name for name in names)


def test_the_image_has_the_bundle_where_the_tasks_look_for_it() -> None:
    assert "COPY deploy/aws/rds-ca.pem /opt/rds-ca.pem\n" in (ROOT / "Dockerfile").read_text()
    assert (AWS / "template.yaml").read_text().count("{Name: PGSSLROOTCERT, Value: /opt/rds-ca.pem}") == 2
