"""The plan of a study counts the jobs that the workflow runs."""

from conftest import TINY, StudyFolder

from modelkin.operations import network_costs, plan
from modelkin.study.config import Study

COST = network_costs.Cost(
    forward=1.0, gradient=10.0, update=100.0, parameters=1000, width=16, size=8, channels=1
)


def test_jobs_are_those_of_a_dry_run(tmp_path):
    study = Study(TINY)
    table = plan.study_plan(study, dict.fromkeys(study.names, COST), start=7.0).set_index("stage")
    rules = StudyFolder(tmp_path, TINY).planned()
    stages = {
        "train": ["train"],
        "evaluate": ["evaluate"],
        "invert": ["invert"],
        "activations, natural": ["activations_natural"],
        "activations, inverted": ["activations_inverted"],
        "attack": ["attack"],
        "activations, adversarial": ["activations_adversarial"],
        "boundaries": ["boundaries"],
        "similarity": ["similarity"],
        "draws": ["draws"],
        "distill": ["distill"],
        "dataset and probes": ["dataset", "probes"],
    }
    for stage, names in stages.items():
        assert table.loc[stage, "jobs"] == sum(rules[name] for name in names), stage


def test_the_command_says_it(tmp_path):
    study = StudyFolder(tmp_path, TINY)
    said = study.make("plan")
    assert "Study 'tiny' on cpu, one job at a time, nothing computed yet:" in said
    assert "Longest: " in said
    assert not (study.results / "dataset.json").exists()
