"""Verifying a study: one byte anywhere, and everything that the config and the artifacts disagree on."""

import json
import shutil

import pytest
from conftest import NEW_MODEL

from modelkin.operations import verify
from modelkin.store import digests, manifests


@pytest.fixture(scope="module")
def found(finished):
    return verify.folder_content(finished.results)


def said(study):
    """Exit status of `snakemake verify`, and the lines with its findings."""
    done = study.run("--cores", "1", "verify")
    states = tuple(verify.ADVICE)
    # A study that is not whole is no job that died.
    assert "ended without a word" not in done.stdout
    assert ("FAILED verify: tiny is not whole" in done.stdout) == (done.returncode != 0)
    return done.returncode, [line for line in done.stdout.splitlines() if line.startswith(states)]


def with_bytes(found, name, data, tmp_path):
    """The study's content after one file's bytes were changed."""
    (tmp_path / "changed").write_bytes(data)
    changed = found.digests | {name: digests.digest_of(tmp_path / "changed")}
    texts = found.texts
    if name in texts:
        texts = texts | {name: data.decode(errors="replace")}
    return verify.Content(changed, texts)


def test_a_finished_study_is_fine(finished, found):
    done = finished.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout
    assert f"tiny: all fine, {len(verify.manifests(found))} artifacts." in done.stdout.splitlines()
    assert verify.manifests(found).keys() == finished.manifests().keys()


def test_one_byte_of_any_file_is_noticed(finished, found, tmp_path):
    assert verify.check_integrity(found) == ([], [])
    for name in found.digests:
        data = (finished.results / name).read_bytes()
        place = len(data) // 2
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        findings, _ = verify.check_integrity(with_bytes(found, name, changed, tmp_path))
        (first, *_) = [each for each in findings if each.state == "damaged"]
        owner = first.path.removesuffix(".json")
        assert name.startswith((f"{owner}.", f"{owner}/")), (name, first)


def test_every_byte_of_a_manifest_is_noticed(finished, found):
    data = found.texts["models/vgg-0.json"].encode()
    assert manifests.parse_intact(data.decode())
    for place in range(len(data)):
        for other in (data[place] ^ (1 << place % 8), ord(" "), ord("\n"), ord("0")):
            changed = data[:place] + bytes([other]) + data[place + 1 :]
            assert changed == data or manifests.parse_intact(changed.decode(errors="replace")) is None, place


def test_a_rewritten_manifest_is_noticed_even_if_it_means_the_same(found, tmp_path):
    name = "models/vgg-0.json"
    compact = json.dumps(json.loads(found.texts[name])).encode()
    findings, _ = verify.check_integrity(with_bytes(found, name, compact, tmp_path))
    assert [each.path for each in findings] == [name]


@pytest.mark.parametrize(
    "name", ["activations/natural/vgg-0.zarr", "models/mlp-0.5", "tables/summary.parquet"]
)
def test_a_file_more_or_less_in_a_store_is_noticed(found, name):
    inside = [each for each in found.digests if each == name or each.startswith(f"{name}/")]
    manifest = name.removesuffix(".zarr").removesuffix(".parquet") + ".json"
    fewer = verify.Content({k: v for k, v in found.digests.items() if k != inside[-1]}, found.texts)
    findings, _ = verify.check_integrity(fewer)
    assert [(each.path, each.state in ("damaged", "missing")) for each in findings] == [(manifest, True)]
    if not name.endswith(".parquet"):
        more = verify.Content(found.digests | {f"{name}/extra": "0" * 64}, found.texts)
        assert [each.path for each in verify.check_integrity(more)[0]] == [manifest]


def test_damaged_missing_stale_and_orphaned_are_named_with_what_to_do(study):
    results = study.results
    (results / "tables" / "summary.parquet").write_bytes(b"nothing")
    (results / "figures" / "heatmaps.json").unlink()
    (results / "probes" / ".pairs.parquet.partial").write_bytes(b"half")
    shutil.copytree(results / "models" / "vgg-0", results / "models" / "stray")
    study.config["evaluation"]["radius"] = 0.3
    study.config["models"].append(NEW_MODEL)
    status, lines = said(study)
    assert status != 0
    report = "\n".join(lines)
    assert (
        "damaged   tables/summary.json: tables/summary.parquet is not what was stored; delete its" in report
    )
    assert "missing   figures/heatmaps.json: it is not there;" in report
    assert "missing   models/mixer-0.json" in report
    assert "stale     cards/vgg-0.json: the config changed: evaluation; run the workflow" in report
    assert "stale     tables/models.json: the config changed: models;" in report
    assert "orphaned  probes/.pairs.parquet.partial: it belongs to no artifact; delete it" in report
    assert "orphaned  models/stray/weights.safetensors" in report
    assert "models/vgg-0.json" not in report


def test_an_artifact_made_of_another_input_is_stale(study):
    pairs = study.results / "probes" / "pairs.json"
    manifest = json.loads(pairs.read_text())
    table = study.results / "probes" / "pairs.parquet"
    manifests.write(
        pairs,
        lambda path: path.write_bytes(table.read_bytes() + b" "),
        suffix=".parquet",
        **{key: manifest[key] for key in ("stage", "version", "settings", "facts")},
        inputs=[study.results / "dataset.json"],
    )
    status, lines = said(study)
    inverted = [line for line in lines if line.startswith("stale     probes/inverted/")]
    assert status != 0
    assert len(inverted) == 4
    assert all("probes/pairs.json changed since" in line for line in inverted)


def test_an_older_stage_is_stale(finished, found):
    made = {
        name: verify.Wanted(manifest["version"], manifest["settings"], list(verify.inputs(name, manifest)))
        for name, manifest in verify.manifests(found).items()
    }
    assert verify.check_against_config(found, made) == []
    newer = made["dataset.json"]._replace(version=99)
    assert [each.why for each in verify.check_against_config(found, made | {"dataset.json": newer})] == [
        "its stage's version is 2 and now 99"
    ]
    other = made["similarity/mlp-0.json"]._replace(inputs=["dataset.json"])
    assert [
        each.why for each in verify.check_against_config(found, made | {"similarity/mlp-0.json": other})
    ] == ["it was made of other artifacts"]


def test_what_the_report_advises_cures(study):
    (study.results / "figures" / "heatmaps" / "linear_cka.png").write_bytes(b"no picture")
    status, (line,) = said(study)
    assert status != 0
    assert "figures/heatmaps.json" in line
    (study.results / "figures" / "heatmaps.json").unlink()
    study.make()
    assert said(study) == (0, [])
