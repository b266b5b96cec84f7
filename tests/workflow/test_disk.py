"""A full disk, results that cannot be written, bytes that change on the disk: a sentence, then a rerun."""

import os
import shutil
import subprocess

import faults
import pytest
from conftest import TINY, StudyFolder

# Makes root subject to permissions like everybody else.
AS_OTHERS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

# Rule, an artifact of it, its store, and kilobytes that are free when it is to be made again.
WRITTEN = [
    ("train", "models/vgg-0.5", "", 8),
    ("invert", "probes/inverted/vgg-0.5", ".zarr", 12),
    ("similarity", "similarity/mlp-0.5", ".parquet", 0),
    ("figure_heatmaps", "figures/heatmaps", "", 100),
]


class Disk:
    """The results of a study on a file system of their own, in memory."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self._mount("-t", "tmpfs", "-o", "size=512m", "tmpfs")

    def _mount(self, *arguments):
        subprocess.run(["mount", *arguments, self.folder], check=True, capture_output=True, text=True)

    def resize(self, size):
        """Make it so large, in bytes."""
        self._mount("-o", f"remount,rw,size={size // 1024}k")

    def leave(self, kilobytes):
        """Leave so much free."""
        self.resize(shutil.disk_usage(self.folder).used + 1024 * kilobytes)

    def protect(self):
        """Let nobody write."""
        self._mount("-o", "remount,ro")

    def end(self):
        subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def disk(tmp_path):
    try:
        disk = Disk(tmp_path / "study" / "results")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"a small disk needs root that may mount: {error.stderr.strip()}")
    yield disk
    disk.end()


def last_lines(done):
    """The failures that a run ends with."""
    said = done.stdout
    assert "FAILED" in said, said[-3000:]
    return said[said.index("FAILED") :]


def test_a_full_disk_is_a_sentence_and_a_larger_one_is_enough(finished, disk):
    study, undisturbed = finished.copied(disk.folder.parent), finished.digests()
    for rule, artifact, suffix, kilobytes in WRITTEN:
        manifest = study.results / f"{artifact}.json"
        manifest.unlink()
        faults.remove(manifest.with_suffix(suffix))
        disk.leave(kilobytes)
        done = study.run("--cores", "2", "--until", rule)
        assert done.returncode != 0, (rule, done.stdout[-3000:])
        said = last_lines(done)
        assert f"FAILED {rule}" in said
        assert "No space left on device; make room" in said or "no space is left" in said, said
        faults.check_finished_is_right(study, undisturbed)
        disk.resize(2**29)
        study.make("--until", rule)
        assert study.digests()[f"{artifact}.json"] == undisturbed[f"{artifact}.json"]
    study.make()
    faults.check_whole(study, undisturbed)


def test_a_disk_that_cannot_be_written_is_refused_at_once(finished, disk):
    study = finished.copied(disk.folder.parent)
    (study.results / "cards" / "vgg-0.json").unlink()
    disk.protect()
    done = study.run("--cores", "1")
    assert done.returncode != 0
    assert "config: results cannot be written in results/tiny: there is no write permission" in done.stdout
    disk.resize(2**29)
    study.make("--until", "evaluate")
    assert study.digests().items() <= finished.digests().items()


def test_a_folder_that_cannot_be_written_is_a_sentence(finished, study):
    if AS_OTHERS and not shutil.which(AS_OTHERS[0]):
        pytest.skip("setpriv is needed to take root's rights away")
    cards = study.results / "cards"
    (cards / "vgg-0.json").unlink()
    cards.chmod(0o555)
    command = study.command("--cores", "1", "--until", "evaluate")
    done = subprocess.run([*AS_OTHERS, *command], cwd=study.folder, text=True, capture_output=True)
    assert done.returncode != 0
    said = done.stderr[done.stderr.index("FAILED") :]
    assert "FAILED evaluate vgg-0: cannot write in results/tiny/cards: Permission denied; give write" in said
    cards.chmod(0o755)
    study.make("--until", "evaluate")
    assert study.digests().items() <= finished.digests().items()


# A file in a store, its artifact, and what reads it and is to be made again.
DAMAGED = [
    ("probes/natural.zarr/image/c/0/0/0/0", "probes/natural", "probes/adversarial/vgg-0"),
    ("activations/natural/mlp-0.zarr/logits/c/0/0", "activations/natural/mlp-0", "similarity/mlp-0"),
    ("models/vgg-0.5/weights.safetensors", "models/vgg-0.5", "cards/vgg-0.5"),
    ("tables/similarity.parquet", "tables/similarity", "tables/clusters"),
]


@pytest.mark.parametrize(("name", "artifact", "made"), DAMAGED)
def test_a_changed_byte_in_what_a_job_reads_is_named(finished, study, name, artifact, made):
    flip(study.results / name)
    wanted = f"results/tiny/{made}.json"
    (study.folder / wanted).unlink()
    if made.startswith("similarity/"):
        shutil.rmtree(study.results / made)  # its parts would be used again
    done = study.run("--cores", "2", wanted)
    assert done.returncode != 0
    said = last_lines(done)
    assert "is damaged" in said
    assert f"results/tiny/{artifact}.json" in said
    assert "run again" in said
    assert not (study.folder / wanted).exists()
    (study.results / f"{artifact}.json").unlink()
    study.make(wanted)
    faults.check_finished_is_right(study, finished.digests())


def test_a_chunk_that_is_gone_is_not_taken_for_zeros(finished, study):
    (study.results / "probes" / "natural.zarr" / "image" / "c" / "0" / "0" / "0" / "0").unlink()
    wanted = "results/tiny/probes/adversarial/vgg-0.json"
    (study.folder / wanted).unlink()
    done = study.run("--cores", "1", wanted)
    assert done.returncode != 0
    said = last_lines(done)
    assert "probes/natural.zarr is damaged" in said
    assert "delete results/tiny/probes/natural.json and run again to make it anew" in said
    assert not (study.folder / wanted).exists()
    (study.results / "probes" / "natural.json").unlink()
    study.make(wanted)
    faults.check_finished_is_right(study, finished.digests())


def test_a_damaged_manifest_is_named(study):
    manifest = study.results / "models" / "vgg-0.json"
    manifest.write_text(manifest.read_text()[:-20])
    (study.results / "cards" / "vgg-0.json").unlink()
    done = study.run("--cores", "1", "results/tiny/cards/vgg-0.json")
    assert done.returncode != 0
    assert "results/tiny/models/vgg-0.json is damaged" in last_lines(done)


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04 half a zip"])
def test_a_dataset_of_garbage_is_named(tmp_path, content):
    (tmp_path / "test.npz").write_bytes(content)
    data = {"name": "npz", "train": "test.npz", "test": "test.npz", "classes": ["cat", "dog"]}
    done = StudyFolder(tmp_path, TINY | {"dataset": data}).run("--cores", "1", "results/tiny/dataset.json")
    assert done.returncode != 0
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("config: ")
    assert "test.npz is not a readable .npz file" in last


def flip(path):
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_a_file_where_a_folder_should_be_is_named_before_anything_runs(tmp_path):
    study = StudyFolder(tmp_path, TINY)
    path = study.results / "logs"
    path.parent.mkdir(parents=True)
    path.touch()
    done = study.run("--dry-run")
    assert done.returncode == 1
    assert "results/tiny/logs is no folder, and the study needs one there" in done.stdout
    assert "Traceback" not in done.stdout
