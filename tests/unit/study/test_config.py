"""Every wrong config ends in one sentence that says what is wrong and, if there is one, the nearest name."""

import copy
import inspect
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT, TINY

from modelkin.errors import ModelkinError
from modelkin.optimise import inversion
from modelkin.study import schema
from modelkin.study.config import Study, read_study


def wrong(**changes):
    return {**copy.deepcopy(TINY), **changes}


def wrong_model(**changes):
    made = copy.deepcopy(TINY)
    made["models"][1] |= changes
    return made


def without(key):
    return {name: value for name, value in TINY.items() if name != key}


def published(**changes):
    """A config whose models are all of source 'none'; the file need not be there yet."""
    models = [{"name": name, "source": "none"} for name in "abc"]
    return {"study": "paper", "models": models, "imported": [{"label": "x", "file": "x.csv"}], **changes}


def elsewhere(source, **entry):
    """The tiny study with a model from elsewhere."""
    return copy.deepcopy(wrong(models=[*TINY["models"], {"name": "other", "source": source, **entry}]))


def another_task(*, others=({"label": "big", "name": "digits", "size": 10, "probes": False},), **changes):
    """The tiny study with a model of another task."""
    model = {"name": "big-0", "source": "train", "architecture": "vgg", "dataset": "big", **changes}
    return copy.deepcopy(wrong(models=[*TINY["models"], model], other_datasets=list(others)))


BAD = {
    "no weights and no table": (published(imported=[]), "'a' is of source 'none', so only a table can say"),
    "no weights with weights": (
        published(models=[{"name": "a", "source": "none", "weights": "x.pt"}, *published()["models"][1:]]),
        "model 'a': 'weights' is not for source 'none'",
    ),
    "no weights and a dataset": (published(dataset=TINY["dataset"]), "dataset: no model is run on probes"),
    "no weights and a measure": (published(measures=["sat"]), "measures: no model is run on probes"),
    "no weights and attacks": (published(adversarial={}), "adversarial: no model is run on probes"),
    "no weights and ensembles": (published(ensembles={}), "ensembles: no model is run on probes"),
    "no weights and a student": (
        published(distillation={"student": "a"}),
        "distillation: no model is run on probes",
    ),
    "one model without weights": (published(models=published()["models"][:1]), "models needs at least 2"),
    "components read off no network": (
        published(components={"file": "c.csv"}),
        "nothing can be read off its network; say `replace: true`",
    ),
    "only one model with weights": (
        published(
            models=[TINY["models"][0], *published()["models"]],
            dataset=TINY["dataset"],
            measures=["agreement"],
        ),
        "of the models with weights 1 is left, so there is no pair to measure",
    ),
    "all models with weights retired": (
        published(
            models=[*({**entry, "retired": True} for entry in TINY["models"]), *published()["models"]],
            dataset=TINY["dataset"],
            measures=["agreement"],
        ),
        "of the models with weights 0 is left",
    ),
    "no dataset": (without("dataset"), "the config lacks the key 'dataset'"),
    "a teacher without weights": (
        wrong(
            models=[*TINY["models"], *published()["models"]],
            imported=published()["imported"],
            distillation={"student": "mlp-0", "teachers": ["a"]},
        ),
        "the teacher 'a' has no weights; name another",
    ),
    "unknown dataset of a model": (
        another_task(dataset="bog"),
        "unknown dataset of model 'big-0' 'bog'; did you mean 'big'",
    ),
    "the own dataset of a model": (another_task(dataset="digits"), "'digits' is the study's own dataset"),
    "a dataset for nobody": (
        wrong(other_datasets=[{"label": "big", "name": "digits", "size": 10, "probes": False}]),
        "nothing is to be done with 'big'",
    ),
    "a student of another task": (
        {**another_task(), "distillation": {"student": "big-0"}},
        "the student 'big-0' is a model of another task",
    ),
    "a teacher of another task": (
        {**another_task(), "distillation": {"student": "mlp-0", "teachers": ["big-0"]}},
        "the teacher 'big-0' is a model of another task",
    ),
    "only models of another task": (
        another_task() | {"models": [TINY["models"][0], another_task()["models"][-1]]},
        "at least two models",
    ),
    "unknown measure": (wrong(measures=["linear_ka"]), "did you mean 'linear_cka'"),
    "a measure like none": (wrong(measures=["umap"]), "unknown measure 'umap'; choose one of: agreement, "),
    "a value of a key that takes a list too": (
        wrong(stitching={"pairs": "all", "start": "leastsquares"}),
        "unknown stitching.start 'leastsquares'; did you mean 'least_squares'",
    ),
    "the same in its list": (
        wrong(stitching={"pairs": "all", "start": ["random", "leastsquares"]}),
        "unknown stitching.start.1. 'leastsquares'; did you mean 'least_squares'",
    ),
    "part of a measure's name": (wrong(measures=["cka"]), "did you mean 'debiased_cka' or 'linear_cka'"),
    "means of another number of channels": (
        elsewhere("torchvision", architecture="resnet18", mean=[0.5, 0.4, 0.3, 0.2]),
        "mean has 4 numbers, but the images of digits have 1 channel; give mean 1 number, or 3 for a model "
        "of colour images.$",
    ),
    "deviations of no number of channels": (
        elsewhere("timm", architecture="resnet18", std=[0.5, 0.4]),
        "std has 2 numbers, but the images of digits have 1 channel; give std 1 number, or 3",
    ),
    "unknown name of timm": (
        elsewhere("timm", architecture="resnet5"),
        "timm 'resnet5'; did you mean 'resnet5",
    ),
    "unknown tag of timm": (
        elsewhere("timm", architecture="resnet18.a1_in2k"),
        "weights of timm 'resnet18.a1_in2k'; did you mean 'resnet18.a1_in1k'",
    ),
    "a name like none of timm": (elsewhere("timm", architecture="zzz"), "is like it; `modelkin models timm`"),
    "unknown scheme of timm": (elsewhere("timm", architecture="hub:a/b"), "timm knows no 'hub:'"),
    "unknown name of torchvision": (elsewhere("torchvision", architecture="vgg12"), "did you mean 'vgg1"),
    "unknown weights of torchvision": (
        elsewhere("torchvision", architecture="resnet50", weights="IMAGENET1K_V3"),
        "torchvision's resnet50 'IMAGENET1K_V3'; did you mean 'IMAGENET1K_V2'",
    ),
    "unknown name of robustness": (
        elsewhere("robustness", architecture="cifar/resnet5", weights="x.pt"),
        "robustness library for cifar 'resnet5'; did you mean 'resnet50'",
    ),
    "unknown dataset of robustbench": (
        elsewhere("robustbench", architecture="Standard", options={"dataset": "cifar"}),
        "unknown dataset of RobustBench 'cifar'; did you mean 'cifar10'",
    ),
    "unknown dataset": (wrong(dataset={"name": "digit"}), "did you mean 'digits'"),
    "unknown architecture": (wrong_model(architecture="vg"), "did you mean 'vgg'"),
    "no architecture": (
        wrong(models=[{"name": "a", "source": "train"}, TINY["models"][0]]),
        "model 'a': source 'train' needs an architecture",
    ),
    "unknown source": (wrong_model(source="trian"), "did you mean 'train'"),
    "unknown recipe": (wrong_model(eps=1, recipe="trade"), "did you mean 'trades'"),
    "unknown key": (wrong(prob={}), "unknown key in the config 'prob'; did you mean 'probes'"),
    "unknown key of a section": (wrong(probes={"natral": 5}), "did you mean 'natural'"),
    "unknown key of a model": (wrong_model(epsilon=1), r"models\[1\]"),
    "unknown setting of a dataset": (wrong(dataset={"name": "digits", "siz": 8}), "did you mean 'size'"),
    "unknown setting of a measure": (
        wrong(measures=[{"name": "knn_jaccard", "kk": 5}]),
        "setting of measure knn_jaccard 'kk'; did you mean 'k'",
    ),
    "a setting that is no number": (wrong(measures=[{"name": "knn_jaccard", "k": "5"}]), "whole number"),
    "missing section": (without("measures"), "lacks the key 'measures'"),
    "two models of one name": (wrong_model(name="vgg-0"), "two models are named 'vgg-0'"),
    "two measures": (wrong(measures=["agreement", "agreement"]), "two measures are named 'agreement'"),
    "a slash in a name": (wrong_model(name="a/b"), "'a/b' is not usable as a name"),
    "a space in a name": (wrong_model(name="a b"), "'a b' is not usable as a name"),
    "dots for a name": (wrong_model(name=".."), "not usable as a name"),
    "a slash in the study's name": (wrong(study="../x"), "not usable as a name"),
    "a slash in an imported table's label": (
        wrong(imported=[{"label": "a/b", "file": "x.csv"}]),
        "'a/b' is not usable as a name",
    ),
    "two imported tables of one label": (
        wrong(imported=[{"label": "a", "file": "x.csv"}, {"label": "a", "file": "y.csv"}]),
        "two imported tables are named 'a'",
    ),
    "unknown Laplacian": (wrong(clusters={"laplacian": "normalized"}), "did you mean 'normalised'"),
    "negative eps": (wrong_model(eps=-1), r"models\[1\].eps must be at least 0, not -1"),
    "eps that is no number": (wrong_model(eps="1"), r"models\[1\].eps must be of type number"),
    "standard with eps": (wrong_model(recipe="standard", eps=1), "does not go with eps 1"),
    "adversarial without eps": (wrong_model(recipe="adversarial"), "does not go with eps 0"),
    "more neighbours than samples": (
        wrong(measures=["linear_cka", {"name": "knn_jaccard", "k": 40}]),
        "more neighbours than the inverted probe has other images",
    ),
    "one model": (wrong(models=TINY["models"][:1]), "models needs at least 2"),
    "one model left": (
        wrong(models=[TINY["models"][0], dict(TINY["models"][1], retired=True)]),
        "at least two models",
    ),
    "no measure": (wrong(measures=[]), "measures needs at least 1"),
    "a probe larger than the dataset": (
        wrong(probes={"natural": 101}),
        "natural asks for 101 images, but the test split of digits has 100",
    ),
    "pairs larger than the dataset": (
        wrong(probes={"inverted": 101, "natural": 50}),
        "inverted asks for 101",
    ),
    "no test images": (wrong(dataset={"name": "digits", "test": 0}), "between 1 and 1796"),
    "device": (wrong(device="gpu"), "device"),
    "more clusters than models": (wrong(clusters={"number": 5}), "number is 5, but the study has 4 models"),
    "unknown student": (wrong(distillation={"student": "mlp"}), "did you mean 'mlp-0"),
    "unknown teacher": (
        wrong(distillation={"student": "mlp-0", "teachers": ["vgg-1"]}),
        "unknown distillation teacher 'vgg-1'",
    ),
    "a student that is its own teacher": (
        wrong(distillation={"student": "mlp-0", "teachers": ["mlp-0"]}),
        "its own teacher",
    ),
    "a student that is retired": (
        wrong_model(retired=True),
        "the student 'mlp-0' is retired",
    ),
    "no ensemble that small": (wrong(ensembles={"sizes": [5, 6]}), "no size is small enough"),
    "clustering by what is not measured": (
        wrong(ensembles={"clusters_by": {"measure": "procrustes"}}),
        "unknown measure in ensembles.clusters_by",
    ),
    "clustering by saliency of inverted images": (
        wrong(ensembles={"clusters_by": {"measure": "saliency_cosine", "kind": "inverted"}}),
        "not measured on inverted probes",
    ),
    "a setting of another mode": (
        wrong(inversion={"mode": "fast", "schedule": "cosine"}),
        "inversion: 'schedule' is not for mode fast; it is for mode published",
    ),
    "an unknown mode": (wrong(inversion={"mode": "quick"}), "inversion.mode 'quick'"),
    "no attack": (wrong(adversarial=[]), "adversarial needs at least 1 entry"),
    "attacks by name alone": (wrong(adversarial="pgd"), "adversarial must be of type object"),
    "an attack of a list by name alone": (
        wrong(adversarial=["pgd"]),
        r"adversarial\[0\] must be of type obj",
    ),
    "an attack without label": (
        wrong(adversarial=[{"label": "linf"}, {"norm": "l2"}]),
        r"adversarial\[1\] lacks the key 'label'",
    ),
    "a label of the only attack": (
        wrong(adversarial={"label": "linf"}),
        r"a label tells the attacks of a list apart; write `adversarial: \[{label: linf, ...}\]`",
    ),
    "two attacks of one label": (
        wrong(adversarial=[{"label": "linf"}, {"label": "linf", "norm": "l2"}]),
        "two attacks are named 'linf'",
    ),
    "a colon in an attack's label": (
        wrong(adversarial=[{"label": "l:2"}]),
        r"adversarial\[0\].label: 'l:2' is not usable as a name",
    ),
    "an attack with the dataset's label": (
        wrong(adversarial=[{"label": "digits"}]),
        "an attack and a dataset are both labelled 'digits'",
    ),
    "an attack with another dataset's label": (
        wrong(
            adversarial=[{"label": "big"}], other_datasets=[{"label": "big", "name": "digits", "size": 10}]
        ),
        "an attack and a dataset are both labelled 'big'",
    ),
    "an unknown key of an attack of a list": (
        wrong(adversarial=[{"label": "l2", "raduis": 1}]),
        r"unknown key in adversarial\[0\] 'raduis'; did you mean 'radius'",
    ),
    "a setting of another attack in a list": (
        wrong(adversarial=[{"label": "l2", "norm": "l2"}, {"label": "mi", "neighbours": 3}]),
        "adversarial 'mi': 'neighbours' is not for attack pgd",
    ),
    "an attack of a list under another norm": (
        wrong(adversarial=[{"label": "mi", "attack": "mi_fgsm", "norm": "l2"}]),
        "adversarial 'mi': mi_fgsm is an attack under linf; use norm: linf or attack: autoattack",
    ),
    "a radius too large in a list": (
        wrong(adversarial=[{"label": "l2", "norm": "l2", "radius": 8}, {"label": "linf", "radius": 8}]),
        "adversarial 'linf': a radius of 8 under linf is more than pixels",
    ),
    "clustering by an attack that has a label": (
        wrong(
            adversarial=[{"label": "linf"}],
            ensembles={"clusters_by": {"measure": "sat", "kind": "adversarial"}},
        ),
        "unknown kind of probe in ensembles.clusters_by 'adversarial'; did you mean 'adversarial:linf'",
    ),
    "a norm and a threat": (
        wrong(adversarial={"norm": "l2", "threat": "snow"}),
        "adversarial: 'norm' and 'threat' say the same; leave one of them out",
    ),
    "an unknown threat": (wrong_model(threat="snoww"), r"models\[1\].threat 'snoww'; did you mean 'snow'"),
    "another attack under a threat": (
        wrong(adversarial={"attack": "mi_fgsm", "threat": "snow"}),
        "adversarial: mi_fgsm is an attack under linf; use norm: linf or attack: pgd",
    ),
    "AutoAttack under a threat": (
        wrong(evaluation={"threat": "gabor", "autoattack": 5}),
        "evaluation: autoattack is an attack under l2 or linf",
    ),
    "a threat that starts at the image": (
        wrong(adversarial=[{"label": "s", "threat": "snow", "starts": 0}]),
        "adversarial 's': snow has no start at the image itself; use starts: 1 or more",
    ),
    "more Gabor noise than there is": (
        wrong(adversarial={"threat": "gabor", "radius": 300}),
        "adversarial: a radius of 300 under gabor is more than pixels can change, which is 255",
    ),
    "JPEG on a size that has no whole blocks": (
        wrong(dataset={"name": "digits", "size": 12, "test": 100}, evaluation={"threat": "jpeg"}),
        "evaluation: the threat jpeg is not for grey images of 12 x 12 pixels, whose sides 8 does not divide",
    ),
    "a palette that does not exist": (wrong(figures={"palette": "colourblind"}), "did you mean 'colorblind'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name):
    given, said = BAD[name]
    with pytest.raises(ModelkinError, match=said) as found:
        Study(given)
    assert "\n" not in str(found.value)
    assert str(found.value).endswith((".", "?"))


def test_models_of_a_study_by_what_is_done_with_them():
    made = another_task()
    made["models"].insert(1, {"name": "a", "source": "none"})
    made["models"][2]["retired"] = True
    made["imported"] = published()["imported"]
    study = Study(made | {"distillation": {"student": "vgg-0"}})
    assert study.names == ["vgg-0", "a", "mlp-0", "vgg-0.5", "mlp-0.5", "big-0"]
    assert study.with_weights == ["vgg-0", "mlp-0", "vgg-0.5", "mlp-0.5", "big-0"]
    assert study.compared == ["vgg-0", "mlp-0", "vgg-0.5", "mlp-0.5"]
    assert study.active == ["vgg-0", "a", "vgg-0.5", "mlp-0.5"]
    assert study.active_compared == ["vgg-0", "vgg-0.5", "mlp-0.5"]
    assert study.of_other_tasks == study.active_of_other_tasks == ["big-0"]
    assert study.through("vgg-0.5") == ["vgg-0", "mlp-0", "vgg-0.5"]
    assert study.teachers == ["vgg-0.5", "mlp-0.5"]
    assert (study.dataset_of("vgg-0"), study.dataset_of("big-0")) == ("digits", "big")
    assert (study.datasets, study.others) == (["digits", "big"], [])
    assert study.settings("big") == {"name": "digits", "size": 10}
    assert study.kinds == ["natural", "inverted", "adversarial"]


def test_a_config_without_the_new_words_asks_for_what_it_asked():
    study = Study(TINY)
    assert study.names == study.with_weights == study.compared == study.active == study.active_compared
    assert study.of_other_tasks == []
    assert study.describe(study.active)[2] == {
        "name": "vgg-0.5",
        "eps": 0.5,
        "norm": "l2",
        "architecture": "vgg",
        "structure": "vgg",
        "regime": "adversarial l2 0.5",
        "hyper_parameters": "",
    }


def test_a_threat_is_a_norm_with_defaults_of_its_own():
    given = wrong_model(eps=2, threat="snow")
    given |= {"evaluation": {"threat": "gabor", "radius": 50}, "adversarial": {"threat": "jpeg", "steps": 7}}
    study = Study(given)
    training = study.training("mlp-0")
    assert {key: training[key] for key in ("norm", "eps", "attack_steps", "attack_step")} == {
        **{"norm": "snow", "eps": 2, "attack_steps": 4, "attack_step": 0.16},
    }
    assert study.describe(["mlp-0"])[0]["regime"] == "adversarial snow 2"
    found = {key: study.section("evaluation")[key] for key in ("norm", "radius", "steps", "step_size")}
    assert found == {"norm": "gabor", "radius": 50, "steps": 10, "step_size": 2.5}
    attack = study.attacks["adversarial"]
    assert (attack["norm"], attack["radius"], attack["steps"], attack["starts"]) == ("jpeg", 25, 7, 1)
    assert Study(wrong(adversarial={"threat": "linf"})).attacks == Study(wrong(adversarial={})).attacks


def test_what_is_known_of_a_model_without_weights():
    models = [
        {"name": "r50.a", "source": "none"},
        {"name": "r50.b", "source": "none", "architecture": "resnet50"},
    ]
    a, b = Study(published(models=models)).describe(["r50.a", "r50.b"])
    assert (a["source"], a["architecture"], a["structure"], a["regime"]) == ("none", "", "r50.a", "r50.a")
    assert (b["source"], b["architecture"], b["structure"], b["regime"]) == (
        "none",
        "resnet50",
        "resnet50",
        "r50.b",
    )


def test_a_table_must_have_every_model(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(",a,b\na,1,0\nb,0,1\n")
    with pytest.raises(ModelkinError, match="no row for model 'c'"):
        Study(published(imported=[{"label": "x", "file": str(path)}]))
    components = tmp_path / "c.csv"
    components.write_text("model,stem\na,conv\nb,patch\n")
    with pytest.raises(ModelkinError, match="no row for model 'c'"):
        Study(published(components={"file": str(components), "replace": True}))


def test_another_task_needs_what_its_own_dataset_has(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "test.npz", x=rng.integers(0, 255, (90, 8, 8, 3)).astype(np.uint8), y=np.arange(90) % 2
    )
    colours = {"label": "big", "name": "npz", "test": str(tmp_path / "test.npz")}
    with pytest.raises(ModelkinError, match="the dataset big has no train split"):
        Study(another_task(others=[colours | {"probes": False}]))
    taken = {"source": "timm", "architecture": "resnet18"}
    given = another_task(others=[colours])
    given["models"][-1] = {"name": "big-0", "dataset": "big", **taken}
    with pytest.raises(ModelkinError, match="images of 3 channels and digits of 1.*`probes: false`"):
        Study(given)
    colours["probes"] = False
    assert Study(given | {"other_datasets": [colours]}).others == []


def test_fewer_than_two_classes(tmp_path):
    for split in ("train", "test"):
        np.savez(tmp_path / f"{split}.npz", x=np.zeros((70, 8, 8), np.uint8), y=np.zeros(70, int))
    dataset = {"name": "npz", "train": str(tmp_path / "train.npz"), "test": str(tmp_path / "test.npz")}
    with pytest.raises(ModelkinError, match="at least two classes"):
        Study(wrong(dataset=dataset))


def test_dataset_file_that_is_missing_or_damaged(tmp_path):
    dataset = {"name": "npz", "train": str(tmp_path / "no.npz"), "test": "no.npz"}
    with pytest.raises(ModelkinError, match="does not exist"):
        Study(wrong(dataset=dataset))
    (tmp_path / "no.npz").write_bytes(b"<html>not found</html>")
    with pytest.raises(ModelkinError, match="not a readable .npz"):
        Study(wrong(dataset=dataset))


def test_components_of_a_file_are_those_of_its_content_even_when_it_is_gone(tmp_path):
    path = tmp_path / "components.csv"
    section = {"file": str(path)}
    study = Study(wrong(components=section))
    assert study.components is None
    assert "put it there" in study.missing()["tables/components.json"]
    names = [entry["name"] for entry in TINY["models"]]
    path.write_text("model,stem\n" + "".join(f"{name},x\n" for name in names))
    found = Study(wrong(components=section)).components
    assert found == {"replace": False, "rows": [{"model": name, "stem": "x"} for name in names]}
    path.unlink()
    stored = {"tiny/tables/components.json": {"settings": {"components": found}}}
    study = Study(wrong(components=section), stored.get)
    assert study.components == found
    assert study.missing() == {}
    path.write_text("model,stem\nvgg-0,x\n")
    with pytest.raises(ModelkinError, match="no row for model 'mlp-0'"):
        Study(wrong(components=section), stored.get)


def test_file_that_is_no_config(tmp_path):
    fault = "line 3, column 1: could not find expected ':', in what begins in line 2"
    for text, said in (
        ("a: [1", r"not valid YAML: line 1, column 6: expected ',' or '\]'"),
        ("a: 1\nb\nc: 2\n", fault),
        ("a: 1\n\tb: 2", "line 2, column 1: found character"),
        ("- a", "must hold keys"),
    ):
        (tmp_path / "c.yaml").write_text(text)
        with pytest.raises(ModelkinError, match=said):
            read_study(tmp_path / "c.yaml")
    with pytest.raises(ModelkinError, match="cannot be read"):
        read_study(tmp_path / "missing.yaml")


def test_defaults_are_filled_in():
    study = Study(TINY)
    assert study.section("evaluation") == {
        **{"norm": "l2", "radius": 0.5, "steps": 2, "step_size": 0.125},
        **{"samples": None, "autoattack": 0},
    }
    assert study.training("vgg-0.5")["recipe"] == "adversarial"
    assert study.training("vgg-0")["recipe"] == "standard"
    assert study.training("vgg-0")["epochs"] == 2
    assert study.earlier("vgg-0.5") == ["vgg-0", "mlp-0"]
    assert study.teachers == ["vgg-0", "vgg-0.5", "mlp-0.5"]


def test_each_attack_of_a_list_makes_a_kind_of_probe():
    listed = [{"label": "linf", "radius": 0.1}, {"label": "mi", "attack": "mi_fgsm", "steps": 3}]
    study = Study(wrong(adversarial=listed))
    assert study.kinds == ["natural", "inverted", "adversarial:linf", "adversarial:mi"]
    assert study.resampled_kinds == ["natural", "adversarial:linf", "adversarial:mi"]
    assert list(study.attacks) == ["adversarial:linf", "adversarial:mi"]
    single = [Study(wrong(adversarial={k: v for k, v in each.items() if k != "label"})) for each in listed]
    # To the byte what a single attack's rule is given, for Snakemake compares how it is written.
    assert list(map(repr, study.attacks.values())) == [repr(each.attacks["adversarial"]) for each in single]
    assert study.with_one_more("more").attacks == study.attacks
    assert Study(without("adversarial") | {"measures": ["linear_cka"]}).attacks == {}


def test_a_single_attack_is_written_as_ever():
    """Snakemake compares params as they are written, so their order is part of a finished study."""
    assert repr(Study(wrong(adversarial={"steps": 5, "radius": 0.2})).attacks) == (
        "{'adversarial': {'steps': 5, 'radius': 0.2, 'norm': 'linf', 'attack': 'pgd', 'stored': 'uint16', "
        "'step_size': 0.1, 'starts': 0}}"
    )


@pytest.mark.parametrize("mode", inversion.MODES)
def test_each_mode_of_inversion_has_the_defaults_of_its_function(mode):
    section = Study(wrong(inversion={"mode": mode})).section("inversion")
    known = {name: each.default for name, each in inspect.signature(inversion.MODES[mode]).parameters.items()}
    common = {"mode": mode, "batch_size": None, "failed_above": 0.2}
    assert section == known | common


def test_the_mode_of_inversion_that_no_config_names():
    """The fast one, unless keys are named that only the other takes, or the images are there."""

    def mode(section, made=None):
        return Study(wrong(inversion=section), (made or {}).get).section("inversion")["mode"]

    stored = {"tiny/probes/inverted/vgg-0.5.json": {"settings": {"inversion": {"mode": "published"}}}}
    assert mode({}) == mode({"steps": 9}) == mode({"memory": 3}) == "fast"
    assert mode({"schedule": "cosine"}) == "published"
    assert mode({}, stored) == mode({"steps": 9}, stored) == "published"
    assert mode({"mode": "fast"}, stored) == "fast"
    unnamed = Study(without("inversion"), stored.get)
    # In the order of finished studies, which Snakemake compares.
    common, own = ["mode", "batch_size", "failed_above"], ["steps", "step_size", "momentum", "schedule"]
    assert list(unnamed.section("inversion")) == [*common, *own, "stop_below"]
    with pytest.raises(ModelkinError, match="'schedule' is not for mode fast"):
        mode({"schedule": "cosine", "memory": 3})


def test_a_config_that_names_no_second_try_has_no_key_for_one():
    """Params of rules, which Snakemake compares, are what they were before there was one."""
    assert "rescue" not in Study(wrong(inversion={})).section("inversion")
    assert Study(wrong(inversion={"rescue": True})).section("inversion")["rescue"] is True
    with pytest.raises(ModelkinError, match=r"inversion\.rescue must be of type boolean, not 0\.3"):
        Study(wrong(inversion={"rescue": 0.3}))


def test_numbers_of_images_that_no_config_names_fit_the_data():
    assert Study(wrong(probes={})).section("probes") == {"natural": 100, "inverted": 100, "saliency": 500}
    assert Study(wrong(probes={"natural": 60})).section("probes")["inverted"] == 100
    larger = Study(wrong(probes={}, dataset={**TINY["dataset"], "test": 400}))
    assert larger.section("probes") == {"natural": 400, "inverted": 300, "saliency": 500}
    other = {"label": "few", "name": "digits", "size": 8, "test": 50}
    assert Study(wrong(probes={}, other_datasets=[other])).section("probes")["natural"] == 50
    layers = {"maps": [{"models": "all"}], "images": ["natural"]}
    assert Study(wrong(probes={}, layers=layers)).layers["estimator"]["batch"] == 100
    with pytest.raises(ModelkinError, match="fewer than a batch of 200"):
        Study(wrong(probes={}, layers=layers | {"estimator": {"batch": 200}}))


def test_settings_that_a_recipe_does_not_use_retrain_nothing():
    before, after = (Study(wrong(training={"trades_beta": beta})) for beta in (1, 2))
    assert before.training("vgg-0") == after.training("vgg-0")
    assert before.training("vgg-0.5") == after.training("vgg-0.5")
    trades = [wrong_model(eps=1, recipe="trades") | {"training": {"trades_beta": beta}} for beta in (1, 2)]
    before, after = map(Study, trades)
    assert before.training("mlp-0") != after.training("mlp-0")


def test_a_model_overrides_the_training_section():
    study = Study(wrong_model(training={"width": 2}))
    assert study.training("mlp-0")["width"] == 2
    assert study.training("vgg-0")["width"] == 4


def test_the_default_config_is_valid_and_described():
    read_study(ROOT / "config.yaml")
    page = (ROOT / "docs" / "config.md").read_text()
    described = yaml.safe_load(schema.SCHEMA.read_text())
    keys = set(described["properties"]) | set(described["$defs"]["model"]["properties"])
    for part in ("training", "attack"):
        keys |= set(described["$defs"][part]["properties"])
    for section in described["properties"].values():
        keys |= set(section.get("properties", {}))
    missing = [key for key in sorted(keys) if f"`{key}`" not in page]
    assert not missing


def test_validating_a_config_imports_nothing_heavy():
    code = (
        "import sys; from modelkin.study.config import read_study; read_study('config.yaml');"
        "heavy = {'torch.nn', 'pandas.core', 'xarray.core', 'sklearn'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("measures", "asked", "found"),
    [
        (["agreement", "linear_cka"], {}, ("linear_cka", "inverted")),
        (["saliency_cosine", "procrustes"], {}, ("procrustes", "inverted")),
        (["saliency_cosine"], {}, ("saliency_cosine", "natural")),
        (["linear_cka", "saliency_cosine"], {"measure": "saliency_cosine"}, ("saliency_cosine", "natural")),
        ([{"name": "knn_jaccard", "k": 5}], {"kind": "natural"}, ("knn_jaccard-k5", "natural")),
    ],
)
def test_clusters_before_ensembles_are_by_what_the_study_has(measures, asked, found):
    config = wrong(measures=measures, ensembles={**TINY.get("ensembles", {}), "clusters_by": asked})
    assert Study(config).section("ensembles")["clusters_by"] == dict(
        zip(("measure", "kind"), found, strict=True)
    )


def test_a_config_without_ensembles_or_linear_cka_is_valid():
    config = without("ensembles") | {"measures": ["agreement"]}
    by = Study(config).section("ensembles")["clusters_by"]
    assert by == {"measure": "agreement", "kind": "inverted"}
