"""A study packed into one file: what comes along, and nothing that could not be unpacked again."""

import json
import stat
import zipfile

import pytest
from small_bundle import CONFIG, HERE, Whole

from modelkin.errors import ModelkinError
from modelkin.operations import bundle, verify
from modelkin.operations.bundle import opening, packing

WANTED = {
    "dataset.json": verify.Wanted(2, {}, []),
    "probes/pairs.json": verify.Wanted(2, {}, ["dataset.json"]),
}


def study(tmp_path, whole=None):
    """The folder of a finished study."""
    folder = tmp_path / "results" / "tiny"
    bundle.Bundle((whole or Whole()).write(tmp_path / "source.zip")).extract(folder)
    (tmp_path / "source.zip").unlink()
    return folder


def pack(folder, config=CONFIG, wanted=WANTED, **options):
    path = folder.parent / "tiny.zip"
    return bundle.pack(path, folder, config, wanted, **options), path


def refused(folder, said, **given):
    with pytest.raises(ModelkinError, match=said):
        pack(folder, **given)
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"], "nor is half a bundle left"


def with_models(number):
    """A config of that many models."""
    entries = [{**CONFIG["models"][0], "name": f"m{each}"} for each in range(number)]
    return {**CONFIG, "models": entries}


def test_what_is_packed_is_what_was_there(tmp_path):
    folder = study(tmp_path)
    (folder / "logs").mkdir()
    (folder / "logs" / "x.log").write_text("x")
    listed, path = pack(folder)
    found = bundle.Bundle(path)
    assert found.listed == listed
    assert (listed["study"], listed["left_out"], listed["software"]) == ("tiny", {}, {"torch": ["2"]})
    assert found.config == CONFIG
    assert set(listed["files"]) == {
        *(bundle.CONFIG, bundle.CRATE, f"{HERE}dataset.json", f"{HERE}probes/pairs.json"),
        *(f"{HERE}dataset.zarr/a", f"{HERE}dataset.zarr/zarr.json", f"{HERE}probes/pairs.parquet"),
    }
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.external_attr >> 16 for info in archive.infolist()} == {stat.S_IFREG | 0o644}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    again, _ = pack(folder)
    assert again["files"].pop(bundle.CRATE), "which says when it was made"
    assert again["files"].items() <= listed["files"].items()


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda folder: (folder / "dataset.zarr" / "a").write_text("b"), "dataset.json is damaged"),
        (lambda folder: (folder / "probes" / "pairs.parquet").unlink(), "pairs.json is missing"),
        (lambda folder: (folder / "dataset.json").write_text("{}"), "dataset.json is damaged"),
    ],
)
def test_only_what_is_whole_is_packed(tmp_path, change, state):
    folder = study(tmp_path)
    change(folder)
    refused(folder, f"tiny cannot be bundled: .*{state}")


def test_only_what_the_config_wants_is_packed(tmp_path):
    folder = study(tmp_path)
    refused(
        folder,
        "dataset.json is stale and 1 more; see `snakemake verify`",
        wanted={name: each._replace(version=3) for name, each in WANTED.items()},
    )
    listed, _ = pack(folder, wanted={"dataset.json": WANTED["dataset.json"]})
    assert not any("pairs" in name for name in listed["files"]), "what no rule makes stays"


def test_a_config_that_could_not_be_unpacked_is_not_packed(tmp_path, monkeypatch):
    """One bound stands at both ends."""
    folder = study(tmp_path)
    text = packing.write_yaml(CONFIG)
    monkeypatch.setattr(opening, "LARGEST_CONFIG", len(text))
    pack(folder)[1].unlink()
    monkeypatch.setattr(opening, "LARGEST_CONFIG", len(text) - 1)
    monkeypatch.setattr(packing.verify, "folder_content", None)  # it is said before the study is read
    refused(folder, "tiny cannot be bundled, for nobody could unpack it: config.yaml is too large")


def test_the_bound_is_far_above_any_study():
    """Some 2,000 models, as docs/security.md has it."""
    text = packing.write_yaml(with_models(2000))
    assert len(text) < opening.LARGEST_CONFIG == 512 * 2**10
    assert len(packing.write_yaml(with_models(20_000))) > opening.LARGEST_CONFIG


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**CONFIG, "components": {"file": "x" * 3000}}, "no usable YAML .it has a value of more than"),
        ({**CONFIG, "study": "other"}, "is not the config of the study 'tiny'"),
    ],
)
def test_what_no_bundle_may_hold_is_not_packed(tmp_path, config, said):
    refused(
        study(tmp_path),
        f"tiny cannot be bundled, for nobody could unpack it: config.yaml .*{said}",
        config=config,
    )


def test_a_list_that_could_not_be_read_is_not_packed(tmp_path, monkeypatch):
    """What is read into memory has its bound at both ends too."""
    folder = study(tmp_path)
    with zipfile.ZipFile(pack(folder)[1]) as archive:
        largest = max(info.file_size for info in archive.infolist() if info.filename == bundle.LISTED)
    (folder.parent / "tiny.zip").unlink()
    monkeypatch.setattr(opening, "READABLE", largest - 1)
    refused(folder, "tiny.zip cannot be made, for nobody could unpack it: .*bundle.json is too large")


def test_what_an_earlier_bundle_was_stays_until_there_is_another(tmp_path, monkeypatch):
    folder = study(tmp_path)
    path = pack(folder)[1]
    before = path.read_bytes()
    monkeypatch.setattr(opening, "READABLE", 1)
    with pytest.raises(ModelkinError, match="nobody could unpack it"):
        pack(folder)
    assert path.read_bytes() == before
    assert {each.name for each in folder.parent.iterdir()} == {"tiny", "tiny.zip"}


def test_parts_of_a_config_that_stand_twice(tmp_path):
    """YAML has aliases for them, as the user's own file may, and bundles have none."""
    shared = {"file": "parts.csv"}
    config = {**CONFIG, "imported": [{"label": "a", **shared}], "components": shared}
    config["models"] = [each | {"training": config["training"]} for each in CONFIG["models"]]
    text = packing.write_yaml(config)
    assert "&" not in text
    assert opening.parse_config(text, "tiny") == config
    assert list(opening.parse_config(text, "tiny")) == list(config), "in its order"


def left_out(folder, **options):
    listed, path = pack(folder, **options)
    assert bundle.Bundle(path).left_out == sorted(listed["left_out"])
    return set(listed["left_out"])


def test_what_is_left_out(tmp_path):
    folder = study(tmp_path)
    assert left_out(folder, without=["checkpoints", "activations"]) == set()
    assert left_out(folder, without=["dataset"]) == {"dataset.json"}
    listed, path = pack(folder, without=["dataset"])
    assert f"{HERE}dataset.zarr/a" not in listed["files"]
    made = json.loads((folder / "dataset.json").read_text())
    assert listed["left_out"] == {"dataset.json": {"digest": made["digest"]}}
    with zipfile.ZipFile(path) as archive:
        assert archive.read(f"{HERE}dataset.left_out").decode() == f"{made['digest']}\n"


def test_what_was_left_out_before_stays_so(tmp_path):
    folder = study(tmp_path)
    path = pack(folder, without=["dataset"])[1]
    again = tmp_path / "again" / "tiny"
    bundle.Bundle(path).extract(again)
    assert left_out(again) == {"dataset.json"}


@pytest.mark.parametrize(
    ("name", "without", "above", "out"),
    [
        ("models/a.json", {"checkpoints"}, 0, True),
        ("snapshots/a/1.json", {"checkpoints"}, 0, True),
        ("models/a.json", {"dataset", "activations"}, 0, False),
        ("dataset.json", {"dataset"}, 0, True),
        ("probes/pairs.json", {"dataset", "checkpoints", "activations"}, 0, False),
        ("activations/natural/a.json", {"activations"}, 0, True),
        ("activations/natural/a.json", {"activations"}, 1.999999, True),
        ("activations/natural/a.json", {"activations"}, 2, False),
        ("activations/natural/a.json", {"checkpoints", "dataset"}, 0, False),
    ],
)
def test_which_stores_are_left_out(name, without, above, out):
    assert packing._left_out({name: 2 * 10**6}, without, above) == ({name} if out else set())


def test_a_left_out_model_keeps_its_origin():
    made = {"digest": "1", "facts": {"origin": "o", "weights": "w", "size": 8}}
    assert packing._identity(made) == {"digest": "1", "origin": "o", "weights": "w"}


# its description


def crate(folder, **options):
    with zipfile.ZipFile(pack(folder, **options)[1]) as archive:
        found = json.loads(archive.read(bundle.CRATE))["@graph"]
    return {each["@id"]: each for each in found}


def test_the_description_names_everything(tmp_path):
    folder = study(tmp_path)
    found = crate(folder, license="CC-BY-4.0")
    data = json.loads((folder / "dataset.json").read_text())
    store = found[f"{HERE}dataset.zarr/"]
    assert store["identifier"] == f"sha256:{data['digest']}"
    assert store["description"] == "made by stage 'dataset', version 2"
    table = found[f"{HERE}probes/pairs.parquet"]
    assert (table["encodingFormat"], table["contentSize"]) == ("application/vnd.apache.parquet", "5")
    assert found["#license"]["name"] == "CC-BY-4.0"
    action = found["#make/probes/pairs"]
    assert action["object"] == {"@id": store["@id"]}
    assert action["result"] == {"@id": table["@id"]}
    environment = found[action["instrument"]["@id"]]
    assert (environment["name"], environment["softwareRequirements"]) == ("modelkin", [{"@id": "#torch-2"}])
    assert (found["#torch-2"]["url"], found["#torch-2"]["softwareVersion"]) == ("https://pytorch.org/", "2")
    assert crate(folder)["#license"]["description"].startswith("No licence is stated")


def test_what_was_left_out_is_described_too(tmp_path):
    found = crate(study(tmp_path), without=["dataset"])
    said = found["#left-out/dataset.zarr"]
    assert said["description"] == "left out of this bundle"
    assert found[f"{HERE}dataset.left_out"]["about"] == {"@id": "#left-out/dataset.zarr"}


def test_a_stranger_s_manifest_may_name_any_software(tmp_path):
    """A study that came in a bundle can be passed on, whatever it says of what it was made with."""
    whole = Whole()
    whole.dataset["software"] = {"torch": "2", "odd": "1"}
    whole.sign()
    found = crate(study(tmp_path, whole))
    assert "url" not in found["#odd-1"]
    assert found["#odd-1"]["version"] == "1"
