"""Files that a stranger wrote, at random: whatever they hold, a sentence or a result.

The examples are the same every time. MODELKIN_FUZZ=100 tries a hundred times as many.
"""

import copy
import hashlib
import io
import json
import os
import pickle
import resource
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from conftest import TINY
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from modelkin.data import datasets
from modelkin.errors import ModelkinError
from modelkin.networks import checkpoint_claims
from modelkin.networks.checkpoints import read_checkpoint
from modelkin.networks.stored_builds import check_taken, check_trained, stored_network
from modelkin.operations.bundle import Bundle
from modelkin.store import facts_schema, manifests
from modelkin.study import untrusted
from modelkin.study.component_table import read_component_table
from modelkin.study.config import Study, load_config
from modelkin.study.imported import read_imported

SECONDS, BYTES = 10, 2**31
TIMES = int(os.environ.get("MODELKIN_FUZZ", "1"))
often = settings(
    max_examples=200 * TIMES,
    deadline=SECONDS * 1000,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
seldom = settings(often, max_examples=40 * TIMES)  # where an example takes longer
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def _bounded(monkeypatch):
    """No more memory than two gigabytes above what the process has, and no call of the system."""
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (used + BYTES, before[1]))
    for name in ("system", "popen", "fork", "execv", "posix_spawn"):
        monkeypatch.setattr(os, name, _never)
    yield
    resource.setrlimit(resource.RLIMIT_DATA, before)


def _never(*_, **__):
    raise AssertionError("a stranger's file was run")


def sentence(function, *arguments):
    """What a function returns, None if it ends in a sentence; anything else fails the test."""
    try:
        return function(*arguments)
    except ModelkinError as error:
        said = str(error)
    assert len(said) < 3000
    return None


def with_changes(value, changes):
    """The value with some of its parts, at any depth, put in place of others."""
    value = copy.deepcopy(value)
    for path, new in changes:
        inner = value
        for step in path[:-1]:
            keys = (
                list(inner)
                if isinstance(inner, dict)
                else range(len(inner) if isinstance(inner, list) else 0)
            )
            if not keys:
                break
            inner = inner[keys[step % len(keys)]]
        if isinstance(inner, dict | list) and inner:
            keys = list(inner) if isinstance(inner, dict) else range(len(inner))
            inner[keys[path[-1] % len(keys)]] = new
    return value


CHANGES = st.lists(
    st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=4), JSON), min_size=1, max_size=3
)


@often
@given(CHANGES)
def test_configs(changes):
    config = with_changes({**TINY, "imported": [{"label": "x", "file": "/dev/zero"}]}, changes)
    marked = untrusted.marked_untrusted(config)
    sentence(Study, marked)


MANIFEST = {
    **{
        "stage": "dataset",
        "version": 2,
        "settings": {"dataset": {"name": "digits"}},
        "inputs": {},
        "manifests": {},
    },
    **{"digest": "0" * 64, "suffix": ".zarr", "software": {"torch": "2"}, "device": "cpu"},
    "outside": {"x.npz": {"sha256": "0" * 64, "bytes": 1, "files": 1}},
    "facts": {"images": {"test": 1}, "classes": ["a"], "shape": [1, 8, 8], "modes": {}},
}


@often
@given(CHANGES)
def test_manifests(changes):
    made = with_changes(MANIFEST, changes)
    made[manifests.OWN] = manifests.own_digest(made)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.json")
        path.write_text(manifests.text_of(made))
        found = sentence(manifests.read, path)
    if found is not None and (whole := manifests.parse_intact(manifests.text_of(made))):
        facts_schema.why_wrong(whole["stage"], whole["facts"])


@often
@given(st.text(max_size=300) | JSON.map(json.dumps))
def test_manifests_of_any_text(text):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "m.json").write_text(text, errors="replace")
        sentence(manifests.read, Path(folder, "m.json"))
    manifests.parse_intact(text)


TIMM = {"architecture": "resnet18", "classes": 10, "options": {"drop_rate": 0.1}}
BUILD = {
    **{"source": "timm", "network": TIMM, "head": "fc", "mean": [0.0], "std": [1.0], "size": 8},
    **{"resize": "bilinear", "classes": 10},
}


@often
@given(CHANGES)
def test_builds(changes):
    build = with_changes(BUILD, changes)
    sentence(check_trained, build)
    found = sentence(check_taken, build)
    if found is not None and found["network"] != TIMM:
        sentence(stored_network, found["source"], found["network"], None)


OPCODES = [
    getattr(pickle, name)
    for name in dir(pickle)
    if name.isupper() and isinstance(getattr(pickle, name), bytes) and len(getattr(pickle, name)) == 1
]
NAMES = [
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"cos\nsystem\n",
    b"cbuiltins\nbytearray\n",
    b"ccollections\nOrderedDict\n",
]
VALUES = [b"X\x01\x00\x00\x00a", b"K\x05", b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"("]


@often
@given(st.lists(st.sampled_from(OPCODES + 4 * NAMES + 4 * VALUES) | st.binary(max_size=4), max_size=60))
def test_pickles(parts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.pt")
        path.write_bytes(b"\x80\x02" + b"".join(parts) + b".")
        sentence(checkpoint_claims.check_claims, path)


CELL = st.text(max_size=8) | st.floats().map(str) | st.sampled_from(["model", "a", "b", '"', "1e999", "nan"])
CSV = st.binary(max_size=200) | st.lists(st.lists(CELL, max_size=5).map(",".join), max_size=6).map(
    lambda lines: "\n".join(lines).encode(errors="replace")
)


@often
@given(CSV)
def test_tables(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        path.write_bytes(data)
        sentence(read_imported, path, ["a", "b"])
        sentence(read_component_table, path, ["a", "b"], ["a", "b"])


# Tags that say of a value what it is not, brackets, anchors, aliases.
YAML = ["!!bool ", "!!int ", "!!float ", "!!timestamp ", "!!set ", "!!omap ", "!!binary ", "<<: ", "? ", "| "]
YAML += [
    "a: ",
    "- ",
    "\n",
    " ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "x",
    "''",
    "1",
    ":1",
    "2026-99-99",
    "0x",
]


@often
@given(
    st.binary(max_size=200)
    | st.text(max_size=200).map(lambda text: text.encode(errors="replace"))
    | st.lists(st.sampled_from(YAML), max_size=20).map(lambda parts: "".join(parts).encode())
)
def test_config_files_of_any_bytes(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.yaml")
        path.write_bytes(data)
        found = sentence(load_config, path)
    if found is not None:
        sentence(Study, untrusted.marked_untrusted(found))


STAGES = sorted(facts_schema.FACTS)


@often
@given(st.sampled_from([*STAGES, "no stage"]), JSON)
def test_facts_of_every_stage(stage, facts):
    said = facts_schema.why_wrong(stage, facts if isinstance(facts, dict) else {"x": facts})
    assert said is None or isinstance(said, str)


# Damage: bytes put in place of others, and an end that is cut off.
DAMAGE = st.tuples(
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=8)), max_size=4),
    st.none() | st.integers(0, 2**16),
)


def damaged(data, damage):
    data, (places, end) = bytearray(data), damage
    for place, new in places:
        place %= len(data)
        data[place : place + len(new)] = new
    return bytes(data if end is None else data[: end % len(data)])


def saved(legacy):
    stream = io.BytesIO()
    content = {"model": {"w": torch.ones(4, 3), "b": torch.arange(3)}, "epoch": 3}
    torch.save(content, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


CHECKPOINTS = {"new": saved(False), "legacy": saved(True), "safetensors": save({"w": torch.ones(4, 3)})}


@seldom
@given(st.sampled_from(sorted(CHECKPOINTS)), DAMAGE)
def test_damaged_checkpoints(form, damage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.safetensors" if form == "safetensors" else "x.pt")
        path.write_bytes(damaged(CHECKPOINTS[form], damage))
        sentence(read_checkpoint, path)


HEADER = {"w": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}, "__metadata__": {"a": "b"}}


@seldom
@given(CHANGES, st.none() | st.integers(0, 2**64 - 1))
def test_headers_of_safetensors(changes, length):
    header = json.dumps(with_changes(HEADER, changes)).encode(errors="replace")
    size = len(header) if length is None else length
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.safetensors")
        path.write_bytes(size.to_bytes(8, "little") + header + bytes(48))
        sentence(read_checkpoint, path)


def npz():
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 10)
    return stream.getvalue()


NPZ = npz()


@seldom
@given(DAMAGE)
def test_damaged_images(damage):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.npz")
        path.write_bytes(damaged(NPZ, damage))
        sentence(lambda: datasets.counts(name="npz", test=str(path)))
        sentence(lambda: datasets.load(name="npz", test=str(path)))


BUNDLED = {key: value for key, value in TINY.items() if key != "distillation"}


def bundled(config, made, listed, name):
    """A bundle whose digests are in order, whatever its parts say."""
    made = {**made, manifests.OWN: manifests.own_digest(made)}
    files = {
        "config.yaml": yaml.safe_dump(config).encode(errors="replace"),
        "ro-crate-metadata.json": b"{}",
        "results/tiny/dataset.json": manifests.text_of(made).encode(errors="replace"),
        name: b"store",
    }
    about = {
        each: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for each, data in files.items()
    }
    whole = {"format": 1, "study": "tiny", "left_out": {}, "files": about}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for each, data in {**files, "bundle.json": json.dumps(with_changes(whole, listed)).encode()}.items():
            archive.writestr(each, data)
    return stream.getvalue()


DATASET = {**MANIFEST, "digest": hashlib.sha256(b"store").hexdigest()}
NAMES_OF_MEMBERS = st.just("results/tiny/dataset.zarr") | st.sampled_from(
    [
        "../x",
        "/tmp/x",
        "results/tiny/../../x",
        "results/tiny/x\x00y",
        "C:x",
        "results/TINY/dataset.json",
        "a" * 999,
    ]
)


@seldom
@given(
    st.just([]) | CHANGES, st.just([]) | CHANGES, st.just([]) | CHANGES, NAMES_OF_MEMBERS, st.none() | DAMAGE
)
def test_bundles(config, made, listed, name, damage):
    data = bundled(with_changes(BUNDLED, config), with_changes(DATASET, made), listed, name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zip")
        path.write_bytes(data if damage is None else damaged(data, damage))
        found = sentence(Bundle, path)
        if found is not None:
            found.extract(Path(folder, "to"))
        assert {each.name for each in Path(folder).iterdir()} <= {"x.zip", "to"}


def test_the_bundle_that_is_changed_is_one(tmp_path):
    (tmp_path / "x.zip").write_bytes(bundled(BUNDLED, DATASET, [], "results/tiny/dataset.zarr"))
    assert Bundle(tmp_path / "x.zip").study.name == "tiny"
