"""The command line on a finished study, with Snakemake."""

import re
import subprocess
import sys

import pytest
import yaml


@pytest.fixture(scope="module")
def folder(finished, tmp_path_factory):
    """A copy of the finished study whose config is the folder's config.yaml."""
    study = finished.copied(tmp_path_factory.mktemp("commands") / "study")
    (study.folder / "config.yaml").write_text(yaml.safe_dump(study.config, sort_keys=False))
    return study


def modelkin(folder, *arguments, status=0):
    done = subprocess.run(
        [sys.executable, "-m", "modelkin", *arguments],
        cwd=folder.folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == status, done.stdout[-3000:]
    return done.stdout


def test_a_finished_study_is_run_and_says_what_it_found(folder):
    said = modelkin(folder, "run")
    assert "Nothing to be done" in said
    assert re.search(r"alike .*CKA|CKA .*alike", said, re.IGNORECASE | re.DOTALL)
    assert said.rstrip().endswith("`modelkin explore` says more, and opens it.")


def test_the_answer_on_a_terminal_is_that_of_the_page(folder):
    said = modelkin(folder, "explore", "--no-browser")
    page = (folder.results / "explorer.html").read_text()
    assert "results/tiny/explorer.html" in said
    sections = re.findall(r"<section><h3>(.*?)</h3><ul>(.*?)</ul>", page)
    assert sections
    flat = re.sub(r"\s+", " ", said)
    for title, items in sections:
        assert title in said
        assert flat.count(f" {title} - ") <= 1
        first = re.search(r"<li[^>]*><span>(.*?)</span>", items)[1]
        words = re.sub(r"<[^>]+>", "", first).replace("&#x27;", "'").replace("&quot;", '"')
        assert re.sub(r"\s+", " ", words)[:60] in flat


def test_a_study_can_be_checked_and_planned_and_its_rules_listed(folder):
    assert "is fine" in modelkin(folder, "check")
    listed = folder.run("--list")
    assert listed.returncode == 0
    lines = [line for line in listed.stdout.splitlines() if re.match(r"^\w+( \(|$)", line)]
    assert "invert (" in listed.stdout
    assert all(re.match(r"\w+ \(.+\)$", line) for line in lines if not line.startswith("config"))


def test_a_bundle_says_how_to_deposit_it(folder):
    said = modelkin(folder, "bundle", "--quiet", "all")
    assert "results/tiny.zip" in said
    assert "it names no licence yet" in said
    assert "`modelkin unpack tiny.zip`" in said


def test_a_command_for_a_study_that_is_not_finished(folder, tmp_path):
    config = {**folder.config, "study": "other"}
    (folder.folder / "other.yaml").write_text(yaml.safe_dump(config))
    assert "run the study first" in modelkin(folder, "explore", "other.yaml", "--no-browser", status=1)
    assert re.search(r"^train +4$", modelkin(folder, "run", "other.yaml", "-n", "-q", "rules"), re.MULTILINE)
