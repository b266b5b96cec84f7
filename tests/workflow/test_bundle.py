"""A study as one file: packed, carried away, unpacked, gone on with; and files that nobody should unpack."""

import copy
import importlib
import io
import json
import os
import random
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import requests
import requests_cache
import rocrate
import urllib3
import yaml
from conftest import AFTER_TABLES, NEW_MODEL, TINY, StudyFolder

from modelkin.errors import ModelkinError
from modelkin.operations import bundle
from modelkin.store import digests, manifests
from modelkin.study.config import Study

CONTEXT = "https://w3id.org/ro/crate/1.3/context"


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """The bundle of the finished tiny study."""
    study = finished.copied(tmp_path_factory.mktemp("packed"))
    study.make("bundle")
    return study.folder / "results" / "tiny.zip"


@pytest.fixture(scope="module")
def light(finished, tmp_path_factory):
    """A bundle without the dataset, checkpoints and activations."""
    study = finished.copied(tmp_path_factory.mktemp("light"))
    study.make("bundle", "--config", "bundle={without: [dataset, checkpoints, activations]}")
    return study.folder / "results" / "tiny.zip"


@pytest.fixture(scope="module")
def unpacked(packed, tmp_path_factory):
    """The tiny study in a fresh place; tests that change it take a copy."""
    return unpack(packed, tmp_path_factory.mktemp("unpacked"))


def unpack(file, folder) -> StudyFolder:
    done = subprocess.run(
        [sys.executable, "-m", "modelkin", "unpack", str(file)],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Go on with: snakemake --cores 2 --configfile tiny.yaml" in done.stdout
    return StudyFolder(folder, yaml.safe_load((folder / "tiny.yaml").read_text()))


def shuffle(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    ages = list(range(len(files)))
    random.Random(0).shuffle(ages)
    for file, age in zip(files, ages, strict=True):
        os.utime(file, (10**9 + 1000 * age,) * 2)


def nothing_to_do(study):
    return "Nothing to be done" in study.run("--dry-run").stdout


def test_an_unpacked_study_is_the_one_that_was_packed(finished, unpacked):
    assert unpacked.config == TINY
    assert {k: v[0] for k, v in unpacked.stamps().items()} == {k: v[0] for k, v in finished.stamps().items()}
    assert nothing_to_do(unpacked)
    done = unpacked.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("of", ["unpacked", "finished"])
@pytest.mark.parametrize("carry", ["tar", "copy", "results alone"])
def test_ages_do_not_matter(unpacked, finished, tmp_path, carry, of):
    study = {"unpacked": unpacked, "finished": finished}[of]
    there = tmp_path / "there"
    there.mkdir()
    if carry == "tar":
        archive = shutil.make_archive(str(tmp_path / "carried"), "tar", study.folder)
        shutil.unpack_archive(archive, there)
    else:
        # As rsync without --times: everything is as old as its copy, in the order of the copying.
        only = None if carry == "copy" else shutil.ignore_patterns(".snakemake")
        shutil.copytree(study.folder, there, copy_function=shutil.copyfile, ignore=only, dirs_exist_ok=True)
    shuffle(there)
    assert nothing_to_do(StudyFolder(there, study.config))


def test_one_model_more_adds_its_own_jobs_and_touches_nothing(unpacked, tmp_path):
    study = unpacked.copied(tmp_path / "study")
    shuffle(study.folder)
    before = study.stamps()
    study.config["models"].append(NEW_MODEL)
    rules = study.planned()
    made = {f"activations_{kind}" for kind in ("natural", "inverted", "adversarial")}
    own = made | {"train", "evaluate", "invert", "attack", "boundaries", "similarity", "distill"}
    assert {rule: rules[rule] for rule in own} == dict.fromkeys(own, 1)
    assert (
        not {rule for rule in rules if not rule.startswith("figure_")} - own - AFTER_TABLES - {"all", "total"}
    )
    study.make("--until", "similarity")
    after = study.stamps()
    assert all(after[name][0] == stamp[0] for name, stamp in before.items())
    assert "similarity/mixer-0.json" in after


def test_a_setting_changed_after_unpacking_is_noticed(unpacked, tmp_path):
    study = unpacked.copied(tmp_path / "study")
    study.config["figures"] = {"gallery": 2}
    assert set(study.planned()) == {"figure_inversions", "all", "total"}


def test_an_input_that_changed_is_not_passed_over(study, unpacked):
    """Ages are put in order only where the inputs are the very ones that were used."""
    shutil.rmtree(study.folder / ".snakemake")
    pairs = study.results / "probes" / "pairs.json"
    made = json.loads(pairs.read_text())
    manifests.write(
        pairs,
        lambda path: path.write_bytes((unpacked.results / "probes" / "pairs.parquet").read_bytes()),
        suffix=".parquet",
        **{key: made[key] for key in ("stage", "version", "settings")},
        facts={**made["facts"], "more": 1},
        inputs=[study.results / "dataset.json"],
    )
    assert study.planned()["invert"] == 4


def test_it_is_a_valid_ro_crate(packed, light, tmp_path):
    # The validator wants the context from the network; the library that made the crate has it too.
    with requests_cache.CachedSession(str(tmp_path / "cache"), expire_after=-1) as session:
        session.mount("https://", Packaged())
        assert session.get(CONTEXT).status_code == 200
    for file in (packed, light):
        done = subprocess.run(
            [Path(sys.executable).with_name("rocrate-validator"), "-y", "validate", "--no-paging", "-v"]
            + ["--offline", "--cache-path", str(tmp_path / "cache"), str(file)],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:]


class Packaged(requests.adapters.HTTPAdapter):
    """Answers every request with the JSON-LD context of the rocrate package."""

    def send(self, request, **_):
        body = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
        headers = {"Content-Type": "application/ld+json"}
        return self.build_response(
            request, urllib3.HTTPResponse(io.BytesIO(body), headers, status=200, preload_content=False)
        )


def test_the_crate_names_every_artifact_its_inputs_and_its_software(packed, finished):
    with zipfile.ZipFile(packed) as archive:
        entities = {each["@id"]: each for each in json.loads(archive.read(bundle.CRATE))["@graph"]}
        names = archive.namelist()
    for name in finished.manifests():
        manifest = manifests.read(finished.results / name)
        made = entities[f"#make/{name.removesuffix('.json')}"]
        store = entities[made["result"]["@id"]]
        assert store["identifier"] == f"sha256:{manifest['digest']}"
        assert any(each.startswith(store["@id"]) for each in names)
        sources = made.get("object", [])
        assert len([sources] if isinstance(sources, dict) else sources) == len(manifest["inputs"])
        used = {each["@id"] for each in entities[made["instrument"]["@id"]]["softwareRequirements"]}
        assert f"#torch-{manifest['software']['torch']}" in used


def test_what_was_left_out_is_not_made_again(light, packed, tmp_path):
    assert light.stat().st_size < 0.95 * packed.stat().st_size
    study = unpack(light, tmp_path)
    assert not list((study.results / "models").glob("*/*"))
    assert not list(study.results.rglob("activations/*/*.zarr"))
    assert manifests.read(study.results / "models" / "vgg-0.json")["facts"]["origin"] == "trained here: vgg"
    shuffle(study.folder)
    assert nothing_to_do(study)
    done = study.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout
    assert re.search("all fine, [0-9]+ artifacts, 17 of them left out by the bundle.", done.stdout)
    # It can be passed on.
    again = tmp_path / "again"
    again.mkdir()
    study.make("bundle")
    again = unpack(study.folder / "results" / "tiny.zip", again)
    assert nothing_to_do(again)


def test_what_needs_what_was_left_out_says_so(light, tmp_path):
    study = unpack(light, tmp_path)
    study.config["models"].append(NEW_MODEL)
    done = study.run("--cores", "1")
    assert done.returncode != 0
    assert (
        "dataset.zarr was left out of the bundle that this study came in; ask for a bundle with it"
        in done.stdout
    )


def test_large_activations_alone_can_be_left_out(finished, tmp_path):
    study = finished.copied(tmp_path)
    stores = {
        p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file())
        for p in study.results.rglob("activations/*/*.zarr")
    }
    limit = sorted(stores.values())[len(stores) // 2] / 1e6
    study.config["bundle"] = {"without": ["activations"], "activations_above": limit}
    study.make("bundle")
    out = bundle.Bundle(study.folder / "results" / "tiny.zip").left_out
    assert set(out) == {
        path.with_suffix(".json").relative_to(study.results).as_posix()
        for path, size in stores.items()
        if size > limit * 1e6
    }
    assert 0 < len(out) < len(stores)


def test_a_damaged_study_is_not_bundled(study):
    (study.results / "tables" / "summary.parquet").write_bytes(b"nothing")
    done = study.run("--cores", "1", "bundle")
    assert done.returncode != 0
    assert "cannot be bundled: tables/summary.json is damaged; see `snakemake verify`." in done.stdout
    assert not (study.folder / "results" / "tiny.zip").exists()


def test_a_study_that_is_there_is_not_overwritten(packed, tmp_path):
    for there in ("results/tiny/mine", "tiny.yaml"):
        folder = tmp_path / there.replace("/", "-")
        (folder / there).parent.mkdir(parents=True)
        (folder / there).write_text("mine")
        with pytest.raises(ModelkinError, match="is there already and is not overwritten"):
            bundle.unpack(packed, folder)
        assert [path for path in folder.rglob("*") if path.is_file()] == [folder / there]


# what nobody should unpack


class Forged:
    """A bundle whose members can be changed before it is written again."""

    def __init__(self, packed):
        with zipfile.ZipFile(packed) as archive:
            self.members = [(copy.copy(info), archive.read(info)) for info in archive.infolist()]
        self.listed = json.loads(self.get(bundle.LISTED))

    def get(self, name) -> bytes:
        return next(data for info, data in self.members if info.filename == name)

    def put(self, name, data, *, listed=True, mode=stat.S_IFREG | 0o644, compress=zipfile.ZIP_STORED):
        """Replace or add a member, and by default give the list the digest that goes with it."""
        info = zipfile.ZipInfo(name)
        info.external_attr, info.compress_type = mode << 16, compress
        self.members = [each for each in self.members if each[0].filename != name] + [(info, data)]
        if listed:
            (digest, size) = digests.digest_of_text(data.decode()), len(data)
            self.listed["files"][name] = {"sha256": digest, "bytes": size}
        return self

    def drop(self, name):
        """Leave out an artifact, as if it had not been made yet."""
        self.members = [each for each in self.members if not each[0].filename.startswith(name)]
        self.listed["files"] = {
            path: each for path, each in self.listed["files"].items() if not path.startswith(name)
        }
        return self

    def write(self, path):
        self.put(bundle.LISTED, json.dumps(self.listed).encode(), listed=False)
        with zipfile.ZipFile(path, "w") as archive:
            for info, data in self.members:
                archive.writestr(info, data, compress_type=info.compress_type)
        return path


def config_with(forged, **changes):
    config = yaml.safe_load(forged.get(bundle.CONFIG)) | changes
    return forged.put(bundle.CONFIG, yaml.safe_dump(config).encode())


def manifest_with(forged, name, **changes):
    """A manifest that was changed by somebody who knows how its own digest is made."""
    manifest = json.loads(forged.get(f"results/tiny/{name}")) | changes
    manifest[manifests.OWN] = manifests.own_digest(manifest)
    return forged.put(f"results/tiny/{name}", manifests.text_of(manifest).encode())


def renamed(forged, name):
    forged.listed["study"] = name
    return forged


def twice(forged):
    forged.members.append(forged.members[-1])
    return forged


def dropped(forged, name):
    forged.members = [each for each in forged.members if each[0].filename != name]
    forged.listed["files"].pop(name, None)
    return forged


def circular(forged):
    """Two figures that are said to be made of each other."""
    names = ["figures/cards.json", "figures/levels.json"]
    digests = {name: json.loads(forged.get(f"results/tiny/{name}"))["digest"] for name in names}
    for name, other in (names, names[::-1]):
        manifest_with(forged, name, inputs={Path(other).name: digests[other]})
    made = {name: json.loads(forged.get(f"results/tiny/{name}")) for name in names}
    for name, other in (names, names[::-1]):
        manifest_with(forged, name, manifests={Path(other).name: manifests.identity(made[other])})
    return forged


BOMB = b"a: &a [x, x]\nb: &b [*a, *a]\nstudy: tiny\n"
HOSTILE = {
    "above": (lambda f: f.put("../evil", b"x"), "leads out"),
    "deep above": (lambda f: f.put("results/tiny/../../../evil", b"x"), "leads out"),
    "absolute": (lambda f: f.put("/tmp/evil", b"x"), "leads out"),
    "backslash": (lambda f: f.put("results\\tiny\\..\\evil", b"x"), "not a usable path"),
    "drive": (lambda f: f.put("C:evil", b"x"), "not a usable path"),
    "line feed": (lambda f: f.put("results/tiny/a\nb", b"x"), "not a usable path"),
    "dots": (lambda f: f.put("results/./tiny/x", b"x"), "leads out"),
    "another study": (lambda f: f.put("results/other/x.json", b"x"), "belongs to no study"),
    "another place": (lambda f: f.put("workflow_scripts/train.py", b"x"), "belongs to no study"),
    "link": (lambda f: f.put("results/tiny/link", b"/etc", mode=stat.S_IFLNK | 0o777), "is a link"),
    "device": (lambda f: f.put("results/tiny/null", b"", mode=stat.S_IFCHR | 0o666), "a device"),
    "pipe": (lambda f: f.put("results/tiny/pipe", b"", mode=stat.S_IFIFO | 0o666), "a device"),
    "folder": (lambda f: f.put("results/tiny/more/", b""), "leads out|a folder"),
    "twice": (twice, "stands there twice"),
    "twice but for case": (lambda f: f.put("results/tiny/DATASET.json", b"{}"), "stands there twice"),
    "in a file": (lambda f: f.put("results/tiny/dataset.json/x", b"x"), "is in a file"),
    "compressed": (lambda f: f.put("results/tiny/zeros", bytes(10**7), compress=8), "is compressed"),
    "not listed": (lambda f: f.put("results/tiny/x", b"x", listed=False), "does not name"),
    "listed only": (lambda f: f.listed["files"].update(more={"bytes": 1}) or f, "does not fit"),
    "wrong digest": (
        lambda f: f.listed["files"][bundle.CRATE].update(sha256="0" * 64) or f,
        "not what its digest says",
    ),
    "no digest": (lambda f: f.listed["files"][bundle.CRATE].pop("sha256") and f, "not what its digest says"),
    "nested too deep": (lambda f: f.put("results/tiny/dataset.json", b"[" * 10**5), "is damaged"),
    "altered store": (lambda f: f.put("results/tiny/tables/summary.parquet", b"PAR1"), "is damaged"),
    "altered manifest": (lambda f: f.put("results/tiny/dataset.json", b"{}"), "is damaged"),
    "suffix that leads out": (
        lambda f: manifest_with(f, "dataset.json", suffix="/../../x"),
        "dataset.json is damaged",
    ),
    "inputs of another type": (
        lambda f: manifest_with(f, "dataset.json", inputs=["x.json"]),
        "dataset.json is damaged",
    ),
    "forged input": (lambda f: manifest_with(f, "probes/pairs.json", facts={}), "not the manifest that"),
    "circle": (circular, "were made of themselves"),
    "missing input": (
        lambda f: manifest_with(f, "figures/cards.json", inputs={"../x.json": "0"}),
        "is not in it",
    ),
    "orphan": (lambda f: f.put("results/tiny/notes.txt", b"x"), "orphaned"),
    "falsely left out": (lambda f: f.listed["left_out"].update({"dataset.json": {}}) or f, "left out"),
    "wrong config": (lambda f: config_with(f, measures=["linear_ka"]), "did you mean 'linear_cka'"),
    "another config": (lambda f: config_with(f, study="other"), "not the config of the study"),
    "no config": (lambda f: dropped(f, bundle.CONFIG), "lacks config.yaml"),
    "config of aliases": (lambda f: f.put(bundle.CONFIG, BOMB), "it has aliases"),
    "config of objects": (
        lambda f: f.put(bundle.CONFIG, b"study: !!python/object/apply:os.system [ls]"),
        "is no usable YAML",
    ),
    "config of nothing": (lambda f: f.put(bundle.CONFIG, b"\x00"), "is no usable YAML"),
    "name that leads out": (lambda f: renamed(f, "../tiny"), "names no usable study"),
    "name of a dot": (lambda f: renamed(f, ".."), "names no usable study"),
    "another seed": (lambda f: config_with(f, seed=7), "is stale"),
    "a table without an end": (
        lambda f: config_with(f, imported=[{"label": "x", "file": "/dev/zero"}]),
        "is stale",
    ),
    "a dataset of another type": (
        lambda f: config_with(f, dataset={"name": "digits", "size": "8"}),
        "size must be a whole number, not '8'",
    ),
    "facts of another type": (
        lambda f: manifest_with(f.drop("results/tiny/explorer."), "tables/draws.json", facts={"columns": 3}),
        "not those of its stage",
    ),
    "another format": (lambda f: f.listed.update(format=99) or f, "is not of format 1"),
    "list of nothing": (lambda f: f.listed.clear() or f, "is not of format 1"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_bundle_is_refused_before_anything_is_written(packed, tmp_path, what):
    change, said = HOSTILE[what]
    folder = tmp_path / "here"
    folder.mkdir()
    file = change(Forged(packed)).write(tmp_path / "forged.zip")
    with pytest.raises(ModelkinError, match=said) as caught:
        bundle.unpack(file, folder)
    assert "refused" in str(caught.value)
    assert not list(folder.iterdir())


def test_what_a_bundle_would_reach_for_is_named_and_untrusted(packed, tmp_path):
    """A table without an end: nothing opens it, and nothing is made of it until the user says so."""
    file = config_with(Forged(packed), components={"file": "/dev/zero"}).write(tmp_path / "forged.zip")
    done = subprocess.run(
        [sys.executable, "-m", "modelkin", "unpack", str(file)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "1 entries of its config are untrusted, and no job touches them" in done.stdout
    assert "  components reads /dev/zero (an absolute path)" in done.stdout
    study = StudyFolder(tmp_path, yaml.safe_load((tmp_path / "tiny.yaml").read_text()))
    assert study.config["components"] == {"file": "/dev/zero", "untrusted": True}
    assert nothing_to_do(study)
    study.config["components"]["untrusted"] = False
    done = study.run("--dry-run")
    assert done.returncode != 0
    assert "the table of components, /dev/zero, is a device or a pipe" in done.stdout


def test_a_manifest_that_names_code_does_not_run_it(study, tmp_path):
    """All its digests are in order; torch's own collect_env.run gives its argument to a shell."""
    model, mark = study.results / "models" / "vgg-0.json", tmp_path / "run"
    made, code = manifests.read(model), importlib.util.find_spec("torch.utils.collect_env").origin
    made["facts"]["build"] = {
        **{"source": "file", "head": "1", "mean": [0.0], "std": [1.0], "size": 8, "resize": "bilinear"},
        **{
            "classes": 10,
            "network": {"architecture": f"{code}:run", "options": {"command": f"touch {mark}"}},
        },
    }
    made[manifests.OWN] = manifests.own_digest(made)
    model.write_text(manifests.text_of(made))
    done = study.run("--cores", "1", "results/tiny/boundaries/vgg-0.json")
    assert done.returncode != 0
    assert "but the config's entry says otherwise" in done.stdout
    assert not mark.exists()


def test_names_that_are_of_something_else(tmp_path):
    with pytest.raises(ModelkinError, match="cannot be called 'config'"):
        bundle.check_new(tmp_path, "config")
    for name in ("README.md", "calibration.json", "tiny.zip"):
        with pytest.raises(ModelkinError, match="is the name of another file"):
            Study({**TINY, "study": name})


@pytest.mark.parametrize("size", [0, 10, 1000, -1000, -10])
def test_a_cut_bundle_is_refused(packed, tmp_path, size):
    (tmp_path / "cut.zip").write_bytes(packed.read_bytes()[:size])
    with pytest.raises(ModelkinError, match="is damaged or not a bundle|is empty"):
        bundle.unpack(tmp_path / "cut.zip", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.zip"]


def test_one_byte_of_a_bundle_is_noticed(packed, tmp_path):
    data, good, refused = packed.read_bytes(), bundle.Bundle(packed), 0
    for place in range(0, len(data), len(data) // 40):
        (tmp_path / "flipped.zip").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = bundle.Bundle(tmp_path / "flipped.zip")
        except ModelkinError:
            refused += 1
        else:  # what the archive says of a member's age and the like stands for nothing
            assert (found.listed, found.config) == (good.listed, good.config)
    assert refused > 35


def test_members_that_claim_more_than_there_is(packed, tmp_path):
    """Entries that share their bytes, as zip bombs do without compression."""
    file = Forged(packed).write(tmp_path / "bomb.zip")
    with zipfile.ZipFile(file, "a") as archive:
        largest = max(archive.infolist(), key=lambda info: info.file_size)
        for number in range(100):
            twin = copy.copy(largest)
            twin.filename = twin.orig_filename = f"results/tiny/{number}"
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin
        archive._didModify = True
    with pytest.raises(ModelkinError, match="claims more than it holds"):
        bundle.unpack(file, tmp_path)


def test_a_disk_that_is_too_small_is_known_before(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle.placing.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1))
    with pytest.raises(ModelkinError, match="has 0.0 free"):
        bundle.unpack(packed, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_files_of_a_config_need_not_be_where_it_says(packed, tmp_path):
    """Somebody else's dataset and checkpoints were at paths that are not here; what was taken in is."""

    with pytest.raises(ModelkinError):
        Study(elsewhere())
    made = {
        "tiny/dataset.json": {
            "settings": {"dataset": elsewhere()["dataset"]},
            "facts": {
                "images": {"test": 100, "train": 1697},
                "classes": list("0123456789"),
                "shape": [1, 8, 8],
            },
        },
        "tiny/models/theirs.json": {"settings": {"entry": {k: v for k, v in FOREIGN.items() if k != "name"}}},
    }
    study = Study(elsewhere(), made.get)
    assert study.counts[study.dataset] == {"train": 1697, "test": 100, "classes": 10, "size": 8}
    assert "theirs.pth, does not exist" in study.missing()["models/theirs.json"]


FOREIGN = {"name": "theirs", "source": "timm", "architecture": "resnet18", "weights": "elsewhere/theirs.pth"}


def elsewhere():
    changed = copy.deepcopy(TINY)
    changed["dataset"] = {"name": "npz", "test": "elsewhere/test.npz", "train": "elsewhere/train.npz"}
    changed["models"].append(dict(FOREIGN))
    return changed
