"""The same load without noticing anything: no row checks, no drift, no findings. For the price of noticing.

python -m bench.unnoticing load OPTIONS
"""

import sys
from typing import Any

from etl.cli import commands as cli
from etl.load import drift_record
from etl.load.definitions import DefinitionRecord
from etl.transform import bounds


def nothing(*_: Any) -> list[Any]:
    """Notices nothing."""
    return []


for owner, name in (
    (bounds, "findings"), (bounds, "empty_metrics"),
    (drift_record, "record"), (DefinitionRecord, "observe"),
):  # fmt: skip
    setattr(owner, name, nothing)
sys.exit(cli.main(sys.argv[1:]))
