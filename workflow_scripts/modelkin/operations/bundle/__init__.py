"""A study as one file that others can unpack, check and go on with.

A bundle is a zip of uncompressed members: config.yaml, ``bundle.json`` (sha256 and size of everything else),
``ro-crate-metadata.json`` and the artifacts. It is not trusted: whatever it holds is checked before the first
byte is written.

python -m modelkin unpack FILE
python -m modelkin merge FIRST SECOND --study NAME
"""

from modelkin.operations.bundle.opening import CONFIG, CRATE, LISTED, NAME, Bundle
from modelkin.operations.bundle.packing import pack
from modelkin.operations.bundle.placing import check_new, findings, place, record, removed_on_failure, unpack
from modelkin.store.paths import RESULTS

__all__ = [
    "CONFIG",
    "CRATE",
    "LISTED",
    "NAME",
    "RESULTS",
    "Bundle",
    "check_new",
    "findings",
    "pack",
    "place",
    "record",
    "removed_on_failure",
    "unpack",
]
