"""A study of attacks with labels: what is made under each, and what another one leaves as it is."""

import copy
import json
import math

import pandas as pd
import pytest
from conftest import TINY, StudyFolder

from modelkin.data.images import load_images

LINF = {"label": "linf", "radius": 0.2, "steps": 5, "starts": 1}
L2 = {"label": "l2", "norm": "l2", "radius": 1.5, "steps": 5}
KINDS = ["adversarial:linf", "adversarial:l2"]
NAMES = ["vgg-0", "mlp-0", "vgg-0.5"]


class Grown:
    """A finished study of one attack in a list, to which another was appended."""

    def __init__(self, folder):
        config = {key: value for key, value in TINY.items() if key not in ("distillation", "boundaries")}
        config |= {"study": "attacks", "models": TINY["models"][:3], "measures": ["linear_cka", "sat"]}
        self.study = StudyFolder(folder, config | {"adversarial": [LINF]})
        self.study.make("--until", "tables", "draws")
        self.before = self.study.stamps()
        self.shell = pd.read_parquet(self.study.results / "similarity" / "vgg-0.5.parquet")
        self.study.config["adversarial"].append(L2)
        self.planned = self.study.planned()
        self.study.make()

    def table(self, name):
        return pd.read_parquet(self.study.results / "tables" / f"{name}.parquet")

    def facts(self, kind, model):
        folder = self.study.results / "probes" / kind.replace(":", ".")
        return json.loads((folder / f"{model}.json").read_text())["facts"]


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    return Grown(tmp_path_factory.mktemp("attacks"))


def test_another_attack_adds_its_own_jobs_and_touches_nothing_of_the_first(grown):
    """Similarity shells run anew, for they hold pairs of all kinds; of these only what is of attacks."""
    jobs = {rule: grown.planned.get(rule, 0) for rule in ("attack", "activations_adversarial", "similarity")}
    assert jobs == {"attack": 3, "activations_adversarial": 3, "similarity": 3}
    made_before = {"train", "evaluate", "invert", "activations_natural", "activations_inverted"}
    assert not made_before & set(grown.planned)
    after = grown.study.stamps()
    joined = ("tables/", *(f"similarity/{name}.json" for name in NAMES))
    for name, stamp in grown.before.items():
        if not name.startswith(joined) and not name.endswith("/sat.json"):
            assert after[name] == stamp, name
    assert any(name.startswith("similarity/") and name.endswith("linear_cka.json") for name in grown.before)
    shell = pd.read_parquet(grown.study.results / "similarity" / "vgg-0.5.parquet")
    old = shell[shell["kind"] != "adversarial:l2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        *(rows.sort_values(list(rows), ignore_index=True) for rows in (old, grown.shell)), check_like=True
    )


def test_every_pair_is_compared_under_each_attack(grown):
    rows = grown.table("similarity")
    assert set(rows.loc[rows["measure"] == "sat", "kind"]) == set(KINDS)
    values = {}
    for kind in KINDS:
        part = rows[rows["kind"] == kind]
        assert len(part) == 6
        own = part[part["model_a"] == part["model_b"]].set_index("model_a")
        for name in NAMES:
            success = grown.facts(kind, name)["success"]
            assert math.exp(own.loc[name, "value"]) == pytest.approx(100 * success, rel=1e-6)
            assert own.loc[name, "attack_success"] == success
        values[kind] = part["value"].tolist()
    assert values[KINDS[0]] != values[KINDS[1]], "both attacks fool alike, so this tests nothing"
    assert grown.table("draws")["kind"].tolist().count("adversarial:l2") == 1


def test_tables_say_of_which_attack_a_number_is(grown):
    models = grown.table("models").set_index("name")
    assert not {"attack_success", "attack_median_distance"} & set(models)
    for kind, norm in zip(KINDS, ("linf", "l2"), strict=True):
        for name in NAMES:
            facts = grown.facts(kind, name)
            assert models.loc[name, f"attack_success:{norm}"] == facts["success"]
            assert models.loc[name, f"attack_median_distance:{norm}"] == facts["median_distance"]
    assert models["attack_median_distance:linf"].max() <= 0.2 + 1e-6
    assert 0.2 < models["attack_median_distance:l2"].max() <= 1.5 + 1e-6
    full = grown.table("sat_shortcut").set_index(["kind", "model_a", "model_b"])["full"]
    similarity = grown.table("similarity").query("measure == 'sat'").set_index(["kind", "model_a", "model_b"])
    for kind in KINDS:
        assert full[kind, "mlp-0", "vgg-0"] == pytest.approx(
            similarity.loc[(kind, "vgg-0", "mlp-0"), "value"]
        )
    success = grown.table("sat_shortcut_models").set_index(["kind", "model"])["attack_success"]
    assert success["adversarial:l2", "vgg-0"] == grown.facts("adversarial:l2", "vgg-0")["success"]


def test_the_dictionary_describes_the_columns_of_each_attack(grown):
    described = grown.table("dictionary").groupby("table")["column"].agg(set)
    assert {"models", "sat_shortcut", "sat_shortcut_models"} <= set(described.index)
    for name, columns in described.items():
        assert columns == set(grown.table(name).columns), name


def test_the_whole_study_is_finished_and_verified(grown):
    assert "Nothing to be done" in grown.study.run("--dry-run").stdout
    done = grown.study.run("--cores", "1", "verify")
    assert done.returncode == 0, done.stdout[-2000:]
    for figure in (
        "heatmaps/sat.png",
        "robustness/robustness.png",
        "shortcut/shortcut.png",
        "cards/cards.html",
    ):
        assert (grown.study.results / "figures" / figure).exists(), figure


def test_an_attack_of_another_label_draws_otherwise(grown, tmp_path):
    study = grown.study.copied(tmp_path / "again")
    study.config = copy.deepcopy(study.config)
    study.config["adversarial"].append(LINF | {"label": "again"})
    study.make("results/attacks/probes/adversarial.again/vgg-0.json")
    first, again = (
        load_images(study.results / "probes" / f"adversarial.{label}" / "vgg-0.json").floats()
        for label in ("linf", "again")
    )
    assert first.shape == again.shape
    assert (first != again).any(axis=(1, 2, 3)).mean() > 0.5
