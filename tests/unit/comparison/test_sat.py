"""Similarity by attack transferability: equation (1), and the attack that it rests on."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from conftest import TINY

from modelkin import compare
from modelkin.analysis import tables
from modelkin.comparison import measures, similarity
from modelkin.comparison.activations import compute_activations
from modelkin.comparison.pairs import completed_pairs
from modelkin.comparison.recorded import outcomes
from modelkin.data.images import Images
from modelkin.errors import ModelkinError, Undefined
from modelkin.networks import classifier
from modelkin.optimise import attacks
from modelkin.optimise.adversarial_probe import attack_parts
from modelkin.optimise.attacks import from_settings
from modelkin.store import paths
from modelkin.study.config import Study

LABELLED = {"adversarial:l2": 0.9, "adversarial:linf": 0.3}  # success of two attacks


def random_outcomes(seed, n=60, right=0.8, fooled=0.3):
    return (np.random.default_rng(seed).random((n, 2)) < [right, fooled]).astype(np.float32)


def equation_1(a, b, floor=0.01):
    """hwang2024, equation (1), image by image."""
    fooled = [float(p[1]) + float(q[1]) for p, q in zip(a, b, strict=True) if p[0] and q[0]]
    return math.log(max(floor, 100 * sum(fooled) / (2 * len(fooled)))), len(fooled)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_equation_1(seed):
    a, b = random_outcomes(seed), random_outcomes(seed + 100)
    value, n = equation_1(a, b)
    found = compare("sat", a, b)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert found.n == n
    without = [
        equation_1(np.delete(a, i, 0), np.delete(b, i, 0))[0] for i in range(60) if a[i, 0] and b[i, 0]
    ]
    spread = (n - 1) / n * sum((v - np.mean(without)) ** 2 for v in without)
    assert found.stderr == pytest.approx(spread**0.5, abs=1e-9)


def test_its_ends():
    a = random_outcomes(0)
    always, never = a.copy(), a.copy()
    always[:, 1], never[:, 1] = 1, 0
    assert compare("sat", always, always).value == pytest.approx(math.log(100))
    assert compare("sat", never, never).value == pytest.approx(math.log(0.01))
    assert compare("sat", always, never).value == pytest.approx(math.log(50))
    assert measures.get("sat").bounds == (math.log(0.01), math.log(100))


def test_without_a_common_image_there_is_no_answer():
    a, b = random_outcomes(0), random_outcomes(1)
    a[:30, 0], b[30:, 0] = 0, 0
    with pytest.raises(Undefined, match="no image is classified correctly by both"):
        compare("sat", a, b)
    b[40, 0] = 1
    a[40, 0] = 1
    assert compare("sat", a, b).n == 1
    assert math.isnan(compare("sat", a, b).stderr)


def dataset(logits, ids, label):
    rows = {
        "logits": (("sample", "class"), np.asarray(logits, np.float32)),
        "label": ("sample", np.asarray(label)),
    }
    return xr.Dataset(rows, coords={"sample": np.asarray(ids, object)})


def test_outcomes_are_of_the_same_images():
    clean = dataset([[1, 0], [0, 1], [1, 0]], ["a", "b", "c"], [0, 1, 1])
    attacked = dataset([[1, 0], [1, 0], [0, 1]], ["a", "b", "c"], [0, 1, 1])
    found = outcomes(clean, attacked)
    assert found.to_numpy().tolist() == [[1, 0], [1, 1], [0, 0]]
    with pytest.raises(ModelkinError, match="other images"):
        outcomes(clean, attacked.isel(sample=[1, 0, 2]))


def test_one_pair_without_a_common_image_leaves_the_others_alone():
    """Nor does a model that is right on nothing: its pairs are NaN, with n = 0, and are told of."""
    right = {"good": slice(0, 60), "first": slice(0, 30), "last": slice(30, 60), "few": slice(0, 5)}
    values = {name: random_outcomes(i, right=0) for i, name in enumerate((*right, "dead"))}
    for name, rows in right.items():
        values[name][rows, 0] = 1

    def read(run, what):
        ids = [f"{i}" for i in range(60)]
        return xr.DataArray(values[run.observer], dims=("sample", "outcome"), coords={"sample": ids})

    names = list(values)
    wanted = [pair for i, name in enumerate(names) for pair in completed_pairs(name, names[:i], "digits")]
    wanted = [pair._replace(kind="adversarial") for pair in wanted if pair.kind == "natural"]
    found = similarity.similarity_rows(
        wanted, read, [measures.ConfiguredMeasure("sat")], permutations=1, seed=0
    )
    unknown = found[found["value"].isna()]
    assert (unknown["n"] == 0).all()
    assert unknown[["stderr", "ci_low", "ci_high", "chance"]].isna().all(axis=None)
    pairs = set(zip(unknown["model_a"], unknown["model_b"], strict=True))
    assert pairs == {(name, "dead") for name in names} | {("first", "last"), ("last", "few")}
    undefined, few = similarity.remarks(found)
    assert undefined.startswith("sat is not defined for 7 of 15 pairs, first 'first' and 'last'")
    assert few.startswith("sat rests on fewer than 30 samples for 3 of 15 pairs")
    own = {name: {"success": 1 - i / 10} for i, name in enumerate(names)} | {"dead": {"success": None}}
    facts = {"adversarial": own}
    told = tables.with_attack_success(found, facts).set_index(["model_a", "model_b"])["attack_success"]
    assert told["good", "few"] == pytest.approx(0.7)
    assert math.isnan(told["good", "dead"])
    assert tables.with_attack_success(found.assign(kind="natural"), facts)["attack_success"].isna().all()
    weak = {kind: {name: {"success": share} for name in names} for kind, share in LABELLED.items()}
    both = pd.concat([found.assign(kind=kind) for kind in LABELLED])
    told = tables.with_attack_success(both, weak).groupby("kind")["attack_success"].agg(["min", "max"])
    assert told.loc["adversarial:l2"].tolist() == [0.9, 0.9]
    assert told.loc["adversarial:linf"].tolist() == [0.3, 0.3]


def test_attacked_images_are_scaled_for_a_model_of_another_size():
    """From a model of 6 pixels to one of 4: what the latter sees is the attacked image, scaled."""

    def model(size, seed):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size**2, 3))
        return classifier.frozen(classifier.Classifier(network, "1", [0.5], [0.5], size))

    source, observer = model(6, 0), model(4, 1)
    pixels = np.random.default_rng(0).random((20, 1, 4, 4)).astype(np.float32)
    natural = Images(pixels, np.zeros(20, int), np.array([f"{i}" for i in range(20)]), list("abc"))
    attack = from_settings("pgd", "linf", 0.2, **attacks.defaults()["pgd"])
    parts = attack_parts(source, natural, lambda part: attack, threat="linf")
    probe = xr.concat([attacked() for attacked in parts], "sample")
    probe.attrs["classes"] = list("abc")
    assert probe["image"].shape == (20, 1, 6, 6)
    attacked = Images.from_dataset(probe)
    found = outcomes(compute_activations(observer, natural), compute_activations(observer, attacked))
    scaled = classifier.resized(torch.from_numpy(attacked.floats()), 4)
    wrong = observer(scaled).argmax(1).numpy() != 0
    assert found.to_numpy()[:, 1].tolist() == wrong.astype(float).tolist()
    assert 0 < wrong.sum() < 20, "all or none is fooled, so this tests nothing"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"measures": ["sat"], "adversarial": None},
            "measure sat needs adversarial probes; add `adversarial: {}`",
        ),
        ({"adversarial": {"norn": "l2"}}, "did you mean 'norm'"),
        ({"adversarial": {"steps": 0}}, "at least 1"),
        ({"adversarial": {"radius": 0}}, r"adversarial.radius must be greater than 0, not 0"),
        ({"adversarial": {"radius": 8}}, "adversarial: a radius of 8 under linf is more than pixels"),
        ({"evaluation": {"norm": "linf", "radius": 1.5}}, "evaluation: a radius of 1.5 under linf"),
        ({"adversarial": {"attack": "pdg"}}, "did you mean 'pgd'"),
        ({"adversarial": {"momentum": 1.0}}, "'momentum' is not for attack pgd; it is for attack mi_fgsm or"),
        ({"adversarial": {"attack": "autoattack", "steps": 5}}, "'steps' is not for attack autoattack"),
        ({"adversarial": {"attack": "vmi_fgsm", "norm": "l2"}}, "vmi_fgsm is an attack under linf"),
    ],
)
def test_wrong_configs(change, said):
    changed = {key: value for key, value in {**TINY, **change}.items() if value is not None}
    with pytest.raises(ModelkinError, match=said):
        Study(changed)


def test_published_settings_are_the_default():
    study = Study({**TINY, "adversarial": {}, "measures": ["sat", "linear_cka"]})
    found = dict(study.attacks["adversarial"])
    assert found.pop("stored") == "uint16"
    assert found["starts"] == 0
    descent = from_settings(**found).keywords["attack"]
    assert (descent.rule.norm, descent.ball.norm, descent.steps) == ("linf", "linf", 50)
    assert descent.ball.radius == pytest.approx(8 / 255)
    assert descent.rule.size == pytest.approx(0.1 * 8 / 255)
    tuned = Study({**TINY, "adversarial": {"attack": "mi_fgsm"}}).attacks["adversarial"]
    descent = from_settings(**{key: tuned[key] for key in tuned if key != "stored"}).keywords["attack"]
    assert (descent.rule.of, descent.rule.decay, descent.steps) == ("gradient", 1.0, 10)
    with pytest.raises(ModelkinError, match="under linf"):
        from_settings("mi_fgsm", "l2", 1.0, **attacks.defaults()["mi_fgsm"])
    study = Study({**TINY, "adversarial": {"norm": "l2", "radius": 3}})
    assert study.attacks["adversarial"]["radius"] == 3


def test_another_attack_is_of_those_measures_alone_that_are_taken_on_its_images():
    """Of a study's only attack every measure's part names the activations, as it always did."""
    taken = {
        kind: [
            name
            for name in ("linear_cka", "sat", "boundary_distance")
            if measures.takes_artifact(name, f"results/tiny/{paths.activations(kind, 'vgg-0')}")
        ]
        for kind in ("natural", "inverted:big", "adversarial", "adversarial:l2")
    }
    assert taken == {
        "natural": ["linear_cka", "sat"],
        "inverted:big": ["linear_cka", "sat"],
        "adversarial": ["linear_cka", "sat"],
        "adversarial:l2": ["sat"],
    }
    assert measures.takes_artifact("boundary_distance", paths.boundaries("vgg-0"))
    assert not measures.takes_artifact("sat", paths.boundaries("vgg-0"))
