"""The records of the stages: what they count is what the stages' own code does, and rules agree with them."""

import copy
import dataclasses
import re
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, TINY

from modelkin import seeds
from modelkin.comparison import activations, boundaries
from modelkin.data import datasets, probes
from modelkin.errors import ModelkinError
from modelkin.networks import building
from modelkin.operations import stage_page, stages
from modelkin.operations.stages import Passes, Stage, Subject, counts, record
from modelkin.operations.stages.columns import COLUMNS
from modelkin.optimise import attacks, inversion
from modelkin.optimise.adversarial_probe import attack_parts
from modelkin.study.config import Study, read_study
from modelkin.training import distillation, evaluation, fit


def tiny(**sections) -> Study:
    return Study({**copy.deepcopy(TINY), **sections})


# what is counted, against the stages' own code


class Counter:
    """Counts the images that pass through networks, by type of pass."""

    def __init__(self):
        self.passes = {}

    def watch(self, name: str, model):
        """The model, whose network's passes are counted under this name from now on."""
        self.passes[name] = Passes()

        def count(network, inputs):
            images = len(inputs[0])
            if not torch.is_grad_enabled():
                found = Passes(forwards=images)
            elif network.training:
                found = Passes(updates=images)
            else:
                found = Passes(gradients=images)
            self.passes[name] += found

        model.network.register_forward_pre_hook(count)
        return model


class Parts:
    """A study's images and an untrained network, as the stages' scripts make them."""

    def __init__(self, study: Study):
        self.study = study
        split = datasets.load(**study.settings(study.dataset))
        self.train, self.test = split["train"], split["test"]
        self.subject = Subject(study.names[-1], study.dataset, "adversarial")
        self.counter = Counter()
        wanted = study.section("probes")["natural"]
        self.natural = probes.natural_probe(self.test, wanted, seeds.generator(0))

    def model(self, name=None):
        shape = {"channels": 1, "size": 8, "classes": 10, "width": 4, "representation": 16}
        return self.counter.watch(name or self.subject.model, building.new_model("mlp", **shape).eval())

    def counted(self, stage: str):
        return stages.get(stage).passes(self.study, self.subject)


RECIPES = [{}, {"eps": 0.5}, {"eps": 0.5, "recipe": "trades"}]


@pytest.mark.parametrize("recipe", RECIPES, ids=["standard", "adversarial", "trades"])
def test_training_makes_the_passes_of_its_record(recipe, monkeypatch):
    last = {"name": "last", "source": "train", "architecture": "mlp", **recipe}
    parts = Parts(tiny(models=[*TINY["models"], last]))
    new = building.new_model
    monkeypatch.setattr(
        building, "new_model", lambda *args, **keys: parts.counter.watch("last", new(*args, **keys))
    )
    fit.train(parts.train, parts.test, parts.study.training("last"), seed=0)
    assert parts.counter.passes == parts.counted("train")


def test_distillation_makes_the_passes_of_its_record(monkeypatch):
    student = "mlp-0.5"  # whose own recipe has an attack, which its students do not see
    study = tiny(distillation={"student": student, "repeats": 2})
    parts = Parts(study)
    parts.subject = Subject("vgg-0", study.dataset)
    teacher, new = parts.model(), building.new_model
    found = Passes()
    for repeat in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(
                building, "new_model", lambda *args, **keys: parts.counter.watch(student, new(*args, **keys))
            )
            taught, _ = fit.train(
                parts.train,
                parts.test,
                study.training(student),
                seed=repeat,
                objective=distillation.Distillation(0.5, 2, 0.1).objective(teacher),
            )
        evaluation.model_accuracy(taught, parts.test)
        evaluation.model_agreement(taught, teacher, parts.test)
        found += parts.counter.passes[student]
    assert {student: found, "vgg-0": parts.counter.passes["vgg-0"]} == parts.counted("distill")


@pytest.mark.parametrize("samples", [None, 30, 10**6])
def test_evaluation_makes_the_passes_of_its_record(samples):
    parts = Parts(tiny(evaluation={"steps": 2, "samples": samples}))
    evaluation.evaluate_model(parts.model(), parts.test, **parts.study.section("evaluation"))
    assert parts.counter.passes == parts.counted("evaluate")


def test_autoattack_in_evaluation_is_counted_for_images_that_are_there():
    none, some, more = (
        Parts(tiny(evaluation={"steps": 2, "autoattack": n})).counted("evaluate")["mlp-0.5"]
        for n in (0, 7, 10**6)
    )
    _, strong = attacks.passes_per_image("autoattack")
    assert (some.gradients - none.gradients, some.forwards - none.forwards) == (7 * strong, 7)
    assert more.gradients - none.gradients == 100 * strong


@pytest.mark.parametrize(("mode", "stop"), [("published", None), ("published", 0.9), ("fast", 0.9)])
def test_inversion_makes_the_passes_of_its_record(mode, stop):
    parts = Parts(tiny(inversion={"mode": mode, "steps": 12, "stop_below": stop}))
    settings = dict(parts.study.section("inversion"))
    for key in ("batch_size", "mode", "failed_above"):
        settings.pop(key)
    pairs = probes.seed_target_pairs(parts.test, 40, seeds.generator(0))
    descent = inversion.MODES[mode](**settings)
    for invert in inversion.inversion_parts(parts.model(), parts.test, pairs, descent):
        invert()
    made, counted = parts.counter.passes["mlp-0.5"], parts.counted("invert")["mlp-0.5"]
    assert made.forwards == counted.forwards
    if stop is None:
        assert made == counted
    else:
        assert made.gradients < counted.gradients, "some images finish early"


@pytest.mark.parametrize("failing", [1.0, 0.5])
def test_images_that_are_tried_again_make_the_passes_of_the_record(failing):
    """Two more descents of each image that failed, which may be all."""
    parts = Parts(tiny(inversion={"mode": "published", "steps": 12, "rescue": True}))
    pairs = probes.seed_target_pairs(parts.test, 40, seeds.generator(0))
    descent, model = inversion.published(12), parts.model()
    (plain,) = inversion.inversion_parts(model, parts.test, pairs, descent)
    above = 1e-9 if failing == 1 else float(plain()["loss"].median())
    parts.counter.passes["mlp-0.5"] = Passes()
    (invert,) = inversion.inversion_parts(model, parts.test, pairs, descent, rescue_above=above)
    invert()
    counted = parts.counted("invert")["mlp-0.5"]
    assert counted == Passes(forwards=40, gradients=3 * 40 * 13)
    made = Passes(forwards=40, gradients=(1 + 2 * failing) * 40 * 13)
    assert parts.counter.passes["mlp-0.5"] == made
    assert made.gradients <= counted.gradients


def test_what_is_expected_of_second_tries_is_less_than_the_upper_bound():
    stage, subject = stages.get("invert"), Subject("vgg-0", "digits")
    for mode in inversion.MODES:
        once, again = (
            tiny(inversion={"mode": mode, "steps": 100, "rescue": rescue}) for rescue in (False, True)
        )
        first = stage.expected_passes(once, subject)["vgg-0"].gradients
        expected = stage.expected_passes(again, subject)["vgg-0"].gradients
        most = stage.passes(again, subject)["vgg-0"].gradients
        assert first < expected < most == 3 * 40 * 101
        assert stage.passes(once, subject)["vgg-0"].gradients == 40 * 101


def test_an_inversion_has_an_upper_bound_and_an_expectation():
    for mode, share in (("published", 1.0), ("fast", 0.4)):
        study = tiny(inversion={"mode": mode, "steps": 100})
        stage, subject = stages.get("invert"), Subject("vgg-0", "digits")
        assert stage.passes(study, subject)["vgg-0"].gradients == 40 * 101
        assert stage.expected_passes(study, subject)["vgg-0"].gradients == 40 * (100 * share + 1)


ATTACKS = [
    {"attack": "pgd", "steps": 3},
    {"attack": "pgd", "steps": 3, "starts": 2},
    {"attack": "mi_fgsm", "steps": 3, "starts": 1},
    {"attack": "vmi_fgsm", "steps": 2, "neighbours": 3},
]


@pytest.mark.parametrize("section", ATTACKS, ids=lambda section: "-".join(map(str, section.values())))
def test_an_attack_makes_the_passes_of_its_record(section):
    parts = Parts(tiny(adversarial=section))
    settings = dict(parts.study.attacks["adversarial"])
    form = settings.pop("stored")
    made = attack_parts(
        parts.model(),
        parts.natural,
        lambda part: attacks.from_settings(**settings),
        threat=settings["norm"],
        stored=form,
    )
    for part in made:
        part()
    assert parts.counter.passes == parts.counted("attack")


@pytest.mark.parametrize("direction", ["other_class", "gradient"])
@pytest.mark.parametrize("samples", [20, 10**6])
def test_boundaries_make_the_passes_of_their_record(direction, samples):
    parts = Parts(tiny(boundaries={**TINY["boundaries"], "direction": direction, "samples": samples}))
    model, asked = parts.model(), parts.study.boundaries
    boundaries.decision_regions_of(model, parts.natural, seeds.generator(0), **asked["regions"])
    boundaries.boundary_distances_of(model, parts.natural, seeds.generator(0), **asked["distances"])
    assert parts.counter.passes == parts.counted("boundaries")


def test_natural_activations_make_the_passes_of_their_record():
    parts = Parts(tiny(probes={"natural": 60, "inverted": 40, "saliency": 25}))
    model = parts.model()
    list(activations.activation_chunks(model, parts.natural))
    list(activations.saliency_chunks(model, parts.natural.spread(25)))
    assert parts.counter.passes == parts.counted("activations_natural")


def test_no_saliency_of_another_dataset_is_counted():
    study = tiny(other_datasets=[{"label": "more", "name": "digits", "size": 8, "test": 100, "seed": 3}])
    found = stages.get("activations_natural").passes(study, Subject("vgg-0", "more"))
    assert found == {"vgg-0": Passes(forwards=60)}


def test_a_shell_runs_earlier_models_once_and_the_newest_on_all_probes():
    found = stages.get("activations_inverted").passes(tiny(), Subject("vgg-0.5", "digits"))
    assert {name: each.forwards for name, each in found.items()} == {"vgg-0": 40, "mlp-0": 40, "vgg-0.5": 120}


def test_pairs_are_those_that_are_compared():
    """The last shell's rows and the draws' of the tiny study, whose every measure is undefined nowhere."""
    study, subject = tiny(), Subject("mlp-0.5", "digits")
    pairs = {(c.kind, c.measure.label): c for c in stages.get("similarity").comparisons(study, subject)}
    assert {kind for kind, _ in pairs} == {"natural", "inverted", "adversarial"}
    assert pairs["natural", "linear_cka"].pairs == 4
    assert pairs["inverted", "linear_cka"].pairs == 7
    assert ("inverted", "saliency_cosine") not in pairs, "it is measured on the natural probe only"
    assert pairs["natural", "decision_regions"].samples == 6
    assert pairs["natural", "boundary_distance"].samples == 20
    assert pairs["adversarial", "sat"].permutations == 0, "it has no chance level"
    draws = {(c.kind, c.measure.label): c for c in stages.get("draws").comparisons(study, subject)}
    assert {kind for kind, _ in draws} == {"natural", "adversarial"}
    assert draws["natural", "linear_cka"][2:] == (2 * 10, 30, 0)


def test_what_follows_from_similarities_grows_with_their_table():
    """With as many rows as all shells together make."""
    study = tiny()
    shells = [stages.get("similarity").comparisons(study, Subject(name, "digits")) for name in study.compared]
    rows = sum(each.pairs for shell in shells for each in shell)
    assert counts.for_each_similarity(2.0)(study, Subject("", "")) == 2 * rows
    for name in ("tables", "clusters", "ensembles"):
        stage = stages.get(name)
        more = tiny(models=[*TINY["models"], {"name": "new", "source": "train", "architecture": "mlp"}])
        for grown in (stage.seconds, stage.held):
            assert grown(more, Subject("", "")) > grown(study, Subject("", "")) > 0, name


# the registry


def test_records_are_read_without_torch_or_pandas():
    code = "import sys, modelkin.operations.resources; print({'torch', 'pandas'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_table_is_made_by_one_stage_and_described():
    names = [table.name for stage in stages.STAGES for table in stage.tables]
    assert sorted(names) == sorted(COLUMNS)


def test_a_record_that_contradicts_another_is_refused():
    stage = stages.get("activations_natural")
    with pytest.raises(ValueError, match="two records of the stage activations_natural"):
        record.register(stage)
    other = dataclasses.replace(stage, name="activations_of_more", rule="", version=stage.version + 1)
    with pytest.raises(ValueError, match="both recorded as activations, but differ"):
        record.register(other)
    with pytest.raises(ModelkinError, match="did you mean 'activations_inverted' or 'invert'"):
        stages.get("inverted")


RULES = re.compile(r"^ *(?:use )?rule ?(\w+)?(?: as (\w+) with)?:(.*?)(?=^ *(?:use )?rule\b|\Z)", re.M | re.S)


def rules() -> dict[str, str]:
    """The text of each rule by its name; figures' rules, which have no fixed name, as figure_."""
    texts = [path.read_text() for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]]
    found = [match for text in texts for match in RULES.findall(text)]
    return {copy_ or name or "figure_": body for name, copy_, body in found}


def test_every_rule_reads_its_own_record():
    made = rules()
    made.pop("all")
    assert {stages.of_rule(rule).name for rule in made} == set(record.RECORDS)
    for rule, body in made.items():
        stage = stages.of_rule(rule)
        assert f'**needs("{stage.name}")' in body, rule
        assert (f'version=version("{stage.name}")' in body) == (stage.version is not None), rule


def test_manifests_call_a_stage_as_its_record_says():
    for rule, body in rules().items():
        script = re.search(r'"(?:\.\./)?workflow_scripts/(\w+)\.py"', body)
        stage = rule != "all" and stages.of_rule(rule)
        if not script or stage.version is None:
            continue
        code = (ROOT / "workflow_scripts" / f"{script[1]}.py").read_text()
        said = set(re.findall(r"""(?:stage=|"stage": )"(\w+)\"""", code))
        assert said == {stage.recorded}, (rule, said)


def test_a_stage_is_a_stage():
    assert all(isinstance(stage, Stage) and stage.description.endswith(".") for stage in stages.STAGES)
    assert list(stages.VERSIONS) == list(dict.fromkeys(stage.recorded for stage in stages.STAGES))


def test_the_page_of_the_stages_is_current():
    page = stage_page.stage_page(read_study(ROOT / "config.yaml"))
    assert (ROOT / "docs" / "stages.md").read_text() == page, f"write it anew: {page.splitlines()[2]}"
