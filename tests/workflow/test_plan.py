"""The command that says what a study costs."""

from conftest import TINY, StudyFolder


def test_the_command_says_it(tmp_path):
    study = StudyFolder(tmp_path, TINY)
    said = study.make("plan")
    assert "Study 'tiny' on cpu, one job at a time, nothing computed yet:" in said
    assert "Longest: " in said
    assert not (study.results / "dataset.json").exists()
