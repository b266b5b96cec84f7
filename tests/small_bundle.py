"""A sound bundle of two artifacts, whose parts tests change before it is written."""

import json
import stat
import zipfile

import yaml
from conftest import TINY

from modelkin.operations import bundle
from modelkin.store import digests, manifests

CONFIG = {key: value for key, value in TINY.items() if key != "distillation"}
HERE = "results/tiny/"
DATASET = {"images": {"test": 1}, "classes": ["a"], "shape": [1, 8, 8], "modes": {}}


def artifact(stage, digest, suffix, facts, **made_of):
    made = {
        **{"stage": stage, "version": 2, "settings": {}, "digest": digest, "suffix": suffix, "facts": facts},
        "inputs": {name: each["digest"] for name, each in made_of.items()},
        "manifests": {name: manifests.identity(each) for name, each in made_of.items()},
        "software": {"torch": "2"},
    }
    return made | {manifests.OWN: manifests.own_digest(made)}


class Whole:
    """A sound bundle of two artifacts, whose parts may be changed before it is written."""

    def __init__(self):
        inside = {name: digests.digest_of_text(name) for name in ("a", "zarr.json")}
        self.dataset = artifact("dataset", digests.digest_of_files(inside), ".zarr", DATASET)
        self.pairs = artifact(
            "pairs", digests.digest_of_text("pairs"), ".parquet", {}, **{"../dataset.json": self.dataset}
        )
        self.files = {bundle.CONFIG: yaml.safe_dump(CONFIG), bundle.CRATE: "{}"}
        self.files |= {f"{HERE}dataset.zarr/{name}": name for name in inside}
        self.files[f"{HERE}probes/pairs.parquet"] = "pairs"
        self.listed = {"format": 1, "study": "tiny", "left_out": {}, "files": {}}

    def write(self, path):
        self.files[f"{HERE}dataset.json"] = manifests.text_of(self.dataset)
        self.files[f"{HERE}probes/pairs.json"] = manifests.text_of(self.pairs)
        about = {
            name: {"sha256": digests.digest_of_text(text), "bytes": len(text.encode())}
            for name, text in self.files.items()
        }
        self.listed["files"] = about | self.listed["files"]
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in {**self.files, bundle.LISTED: json.dumps(self.listed)}.items():
                info = zipfile.ZipInfo(name)
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, text)
        return path

    def sign(self):
        for made in (self.dataset, self.pairs):
            made[manifests.OWN] = manifests.own_digest(made)
