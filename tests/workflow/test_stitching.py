"""Stitches in a study: what is made, what leaves them alone, and numbers that change with the version."""

import numpy as np
import pandas as pd
import pytest
from conftest import TINY, StudyFolder

from modelkin.comparison.pairs import Run
from modelkin.comparison.recorded import Recorded
from modelkin.data.images import load_images
from modelkin.operations import data_dictionary, stages
from modelkin.stitching.retraining import retrained_answers

SECTION = {
    "pairs": [["vgg-0", "vgg-0.5"]],
    "objective": ["matching", "plain", {"adversarial": {"alpha": 0.5}}],
    "start": ["least_squares", "random"],
    "repeats": 1,
    "epochs": 2,
    "learning_rate": 0.05,
    "train_images": 256,
    "attacked": 20,
    "attack_steps": 2,
    "baselines": False,
    "inversions": 3,
    "t_sne": 30,
    "agreement": {"retrained": True},
}
OWN = {"stitch_views": 1, "stitching_views": 1}
OWN |= {"stitch": 1, "stitching": 1, "training_activations": 4, "stitched_heads": 4, "stitching_agreement": 1}
TABLES = ("stitching", "stitching_matching", "stitching_agreement", "stitching_replaceable")
TABLES += ("stitching_inversions", "stitching_t_sne")
# Raise a stage's version, and these with it, when its results change.
PINNED = {"stitch": 1, "stitching": 3, "stitch_views": 1, "stitching_views": 1}
PINNED |= {"training_activations": 1, "stitched_heads": 2, "stitching_agreement": 2}
NUMBERS = {
    "adversarial-0.5 least_squares": 10.07,
    "adversarial-0.5 random": 15.08,
    "plain least_squares": 10.09,
    "plain random": 15.16,
    "matching": 9.719,
    "least_squares r2": 0.2828,
    "orthogonal r2": 0.2009,
    "ridge r2": 0.2826,
    "r2": 0.7851,
    "agreement_all": 0.7583,
    "agreement_differ": 0.5419,
    "agreement_inverted": 0.375,
    "agreement_natural": 0.7167,
    "inverted stitched": 1.082,
    "inverted whole end": 1.316,
    "inverted whole front": 1.249,
    "silhouette front": 0.1528,
    "silhouette stitched": 0.06085,
}


@pytest.fixture(scope="module")
def asked(finished, tmp_path_factory):
    """The finished study, and what was planned when it asked for stitches."""
    study = finished.copied(tmp_path_factory.mktemp("stitching") / "study")
    study.config["stitching"] = SECTION
    planned = study.planned()
    study.make(*(f"{study.results.relative_to(study.folder)}/tables/{name}.json" for name in TABLES))
    return study, planned


def table(study, name):
    return pd.read_parquet(study.results / "tables" / f"{name}.parquet")


def test_a_finished_study_that_asks_for_stitches_makes_only_them(asked):
    made = {name: count for name, count in asked[1].items() if not name.startswith("figure_")}
    assert made == OWN | {"dictionary": 1, "explorer": 1, "all": 1, "total": asked[1]["total"]}


def test_tables_have_the_columns_of_the_dictionary(asked):
    for name in TABLES:
        assert list(table(asked[0], name).columns) == list(data_dictionary.COLUMNS[name]), name


def test_stitches_do_not_ask_for_heads_nor_heads_for_stitches(asked):
    study = asked[0]
    pairs = {key: value for key, value in SECTION.items() if key != "agreement"}
    for section in (pairs, {"agreement": SECTION["agreement"]}):
        study.config["stitching"] = section
        assert not {*study.planned()} & {*OWN}
    study.config["stitching"] = SECTION


def test_numbers_change_only_with_the_version(asked):
    assert {name: stages.VERSIONS[name] for name in PINNED} == PINNED
    assert numbers(asked[0]) == pytest.approx(NUMBERS, rel=0.02, abs=0.01)


def numbers(study):
    """A few for each stage."""
    stitched, matched = (table(study, name) for name in TABLES[:2])
    trained = stitched[stitched["start"].notna()].groupby(["objective", "start"])
    found = {" ".join(key): own["distance"].mean() for key, own in trained}
    found |= {"matching": stitched.query("objective == 'matching'")["distance"].mean()}
    found |= {f"{key} r2": own.mean() for key, own in matched.groupby("family")["r2"]}
    heads = table(study, TABLES[2])
    inverted, plane = table(study, "stitching_inversions"), table(study, "stitching_t_sne")
    found |= {f"inverted {view}": own["distance"].mean() for view, own in inverted.groupby("view")}
    found |= {f"silhouette {of}": own["silhouette"].mean() for of, own in plane.groupby("of")}
    asked = ("r2", "agreement_all", "agreement_differ", "agreement_inverted", "agreement_natural")
    return found | {name: heads[name].mean() for name in asked}


def test_views_are_drawn_and_their_images_kept(asked):
    study = asked[0]
    inverted = table(study, "stitching_inversions")
    whole = {"whole end", "whole front"}
    assert set(inverted["view"]) == {"stitched"} | whole
    images = load_images(study.results / "stitches" / "inverted" / "vgg-0--vgg-0.5.json", "block-1")
    assert list(images.ids) == list(inverted[inverted["block"] == 1]["sample"])
    for name in ("stitching_inversions", "stitching_t_sne"):
        manifest = f"figures/{name}.json"
        study.make(f"{study.results.relative_to(study.folder)}/{manifest}")
        assert (study.results / "figures" / name / f"{name}.png").stat().st_size > 5000


def test_heads_meet_the_models_of_their_level_in_both_directions(asked):
    heads = table(asked[0], "stitching_agreement")
    assert set(zip(heads["body"], heads["head"], strict=True)) == {
        *(("vgg-0", "mlp-0"), ("mlp-0", "vgg-0"), ("vgg-0.5", "mlp-0.5"), ("mlp-0.5", "vgg-0.5"))
    }
    assert np.allclose(heads[["agreement_differ", "differ_body", "differ_neither"]].sum(axis=1), 1)
    assert (heads["eps_body"] == heads["eps_head"]).all()


def test_new_last_layers_are_of_what_both_compute_of_the_heads_inverted_images(asked):
    study = asked[0]
    recorded = Recorded(study.results, [model["name"] for model in study.config["models"]])
    for _, row in table(study, "stitching_agreement").iterrows():
        labels = recorded(Run("inverted", row["head"], row["head"]), "label").to_numpy()
        body, head = (
            retrained_answers(
                recorded(Run("inverted", row["head"], name), "representation").to_numpy(),
                labels,
                recorded(Run("natural", row["head"], name), "representation").to_numpy(),
            )
            for name in (row["body"], row["head"])
        )
        assert row["agreement_inverted"] == pytest.approx((body == head).mean())
        assert row["accuracy_body_inverted"] > 0.14  # of ten classes; of images of another model at most that


def test_as_many_pairs_as_twenty_models_have_are_planned(tmp_path):
    """Their names together are longer than a file may be called."""
    names = [f"a-model-of-the-long-name-{number}" for number in range(20)]
    models = [{"name": name, "source": "train", "architecture": "vgg"} for name in names]
    study = StudyFolder(tmp_path, TINY | {"models": models, "stitching": SECTION | {"pairs": "all"}})
    study.config["distillation"] = {"student": names[0]}
    assert study.planned()["stitch"] == 20 * 19
