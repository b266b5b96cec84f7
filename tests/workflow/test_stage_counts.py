"""Plan, resources and run summary count what the workflow does, and all the same."""

import collections
import copy

import pytest
import yaml
from conftest import ROOT, TINY, StudyFolder

from modelkin.operations import network_costs, plan, resources, stages
from modelkin.study.config import Study

COST = network_costs.Cost(1.0, 2.0, 3.0, 10**7, 512, 224, 3, 10**9)
NARROW = {  # what a study may do without, and what only some have
    **{key: value for key, value in TINY.items() if key not in ("adversarial", "draws", "distillation")},
    "study": "narrow",
    "measures": ["linear_cka", "saliency_cosine"],
    "models": [*TINY["models"], {**TINY["models"][0], "name": "old", "retired": True}],
    "other_datasets": [{"label": "more", "name": "digits", "size": 8, "test": 80, "seed": 3}],
    "evaluation": {"steps": 2, "samples": 10**6, "autoattack": 10**6},
    "inversion": {"mode": "fast"},
}
STUDIES = {
    "tiny": TINY,
    "narrow": NARROW,
    **{
        str(path.relative_to(ROOT).with_suffix("")): yaml.safe_load(path.read_text())
        for path in [ROOT / "config.yaml", *sorted((ROOT / "studies").rglob("*.yaml"))]
    },
}


@pytest.fixture(params=[name for name in STUDIES if "twins" not in name])
def config(request):
    return copy.deepcopy(STUDIES[request.param])


@pytest.fixture
def planned(config, monkeypatch):
    """A study and its plan, with every network and comparison costing the same, so that none is made."""
    monkeypatch.chdir(ROOT)  # as paths in the configs are
    monkeypatch.setattr(plan, "_paired", lambda *_: 1.0)
    study = Study(config)
    table = plan.study_plan(study, dict.fromkeys(study.names, COST), start=0.0)
    return study, table.set_index("stage")


def test_the_plan_has_the_jobs_of_a_dry_run(planned, config, tmp_path):
    _, table = planned
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    made = collections.Counter()
    for rule, count in StudyFolder(tmp_path, config).planned().items():
        if rule not in ("all", "total"):
            made[stages.of_rule(rule).name] += count
    assert table["jobs"].to_dict() == made


def test_the_plan_has_the_passes_of_the_run_summary(planned):
    """The summary counts, for each job, what rules/runs.smk asks the resources for."""
    study, table = planned
    for stage in stages.STAGES:
        jobs = stage.subjects(study)
        passes = sum(resources.passes(study, stage.name, job.model, job.dataset) for job in jobs)
        assert passes == (table.loc[stage.name, "passes_at_most"] if jobs else 0), stage.name
    expected, most = table["passes"], table["passes_at_most"]
    assert (expected <= most).all()
    if study.section("inversion")["mode"] == "published":
        assert (expected == most).all()
    else:
        assert expected["invert"] < most["invert"]
        # Training leaves snapshots behind, unless they are asked for later.
        sure = expected.index.difference(["invert", "snapshots"])
        assert (expected[sure] == most[sure]).all()


def test_minutes_grow_with_the_passes_of_the_record(planned):
    """Resources turn the very same passes and comparisons into minutes."""
    study, _ = planned
    for stage in stages.STAGES:
        for subject in stage.subjects(study)[-1:]:
            asked = resources.minutes(study, stage.name, *subject) - resources.START - stage.extra_minutes
            passes = resources.passes(study, stage.name, *subject)
            assert 60 * asked >= passes * resources.LEAST + stage.seconds(study, subject), stage.name
