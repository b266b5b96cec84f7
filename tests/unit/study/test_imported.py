"""Tables that somebody else made: read, refused, and described like any measure."""

import numpy as np
import pandas as pd
import pytest
from conftest import TINY

from modelkin.analysis import cluster_tables
from modelkin.comparison import measures
from modelkin.errors import ModelkinError
from modelkin.figures import base
from modelkin.study.config import Study
from modelkin.study.imported import imported_digest, imported_table, read_imported

NAMES = ["a", "b", "c"]


def written(tmp_path, text):
    path = tmp_path / "given.csv"
    path.write_text(text)
    return path


def test_values_are_those_of_the_named_models_whatever_their_order(tmp_path):
    square = pd.DataFrame(np.arange(16.0).reshape(4, 4), index=list("dbca"), columns=list("cabd"))
    square.to_csv(tmp_path / "given.csv")
    found = read_imported(tmp_path / "given.csv", NAMES)
    assert found == square.loc[NAMES, NAMES].to_numpy().tolist()


def test_a_symmetric_table_has_a_row_for_each_pair_and_another_one_for_each_direction():
    same = imported_table([[1, 0.5, 0.2], [0.5, 1, 0.1], [0.2, 0.1, 1]], NAMES, "m", "given")
    assert list(zip(same["model_a"] + same["model_b"], same["value"], strict=True)) == [
        ("aa", 1),
        ("ab", 0.5),
        ("ac", 0.2),
        ("bb", 1),
        ("bc", 0.1),
        ("cc", 1),
    ]
    other = imported_table([[1, 0.5], [0.4, 1]], NAMES[:2], "m", "given")
    assert dict(zip(other["model_a"] + other["model_b"], other["value"], strict=True)) == {
        "aa": 1,
        "ab": 0.5,
        "ba": 0.4,
        "bb": 1,
    }
    assert set(other["kind"]) == {"imported"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",a,b\na,1,0\nb,0,1\n", "no row for model 'c'"),
        (",a,b,c\na,1,0,0\nb,0,1,0\n", "not square: 'c'"),
        (",a,b,c\na,1,0,0\nb,0,1,0\nc,0,0,1\nc,0,0,1\n", "more than once"),
        (",a,b,c\na,1,0,0\nb,0,1\nc,0,0,1\n", "row of 'b' .* has 2 values for 3 models"),
        (",a,b,c\na,1,0,0\nb,0,1,x\nc,0,0,1\n", "has 'x' for 'b' and 'c'"),
        (",a,b,c\na,1,0,0\nb,0,1,\nc,0,0,1\n", "has '' for 'b' and 'c'"),
        (",a,b,c\na,1,0,0\nb,0,1,nan\nc,0,0,1\n", "no finite number"),
        ("", "is empty"),
    ],
)
def test_what_is_no_square_of_the_models_is_refused(tmp_path, text, said):
    with pytest.raises(ModelkinError, match=said) as found:
        read_imported(written(tmp_path, text), NAMES)
    assert "\n" not in str(found.value)


def test_its_measure_is_described_like_any_other():
    label = measures.imported_label("distance", "sat-paper.v1")
    assert measures.describe_label(label).direction == "distance"
    assert measures.describe_label(label).measurable("imported")
    assert not measures.describe_label(label).measurable("natural")
    assert base.describe(label) == ("sat-paper.v1, imported", "distance")
    assert measures.describe_label("knn_jaccard-k5") is measures.get("knn_jaccard")


def test_the_config_knows_its_content(tmp_path):
    names = [entry["name"] for entry in TINY["models"]]
    path = tmp_path / "given.csv"
    given = TINY | {"imported": [{"label": "paper", "file": str(path)}]}
    study = Study(given)
    assert "put it there" in study.missing()["imported/paper.json"]
    pd.DataFrame(np.eye(4), names, names).to_csv(path)
    study = Study(given)
    assert study.labels[-1] == "imported_similarity.paper"
    assert study.missing() == {}
    entry = study.imported_entry("paper")
    assert entry == {"measure": "imported_similarity.paper", "sha256": imported_digest(path)}
    path.unlink()
    stored = {"tiny/imported/paper.json": {"settings": {"entry": entry}}}
    study = Study(given, stored.get)
    assert study.imported_entry("paper") == entry
    assert study.missing() == {}
    by = {"measure": "imported_similarity.paper", "kind": "imported"}
    Study(given | {"ensembles": {"clusters_by": by}}, stored.get)
    with pytest.raises(ModelkinError, match="not measured on natural probes"):
        Study(given | {"ensembles": {"clusters_by": by | {"kind": "natural"}}}, stored.get)
    path.write_text(",vgg-0\nvgg-0,1\n")
    with pytest.raises(ModelkinError, match="no row for model 'mlp-0'"):
        Study(given)


def test_bootstrap_needs_no_standard_errors():
    rows = imported_table(np.eye(6).tolist(), list("abcdef"), "imported_similarity.x", "x")
    models = pd.DataFrame(
        {"name": list("abcdef"), "architecture": ["r", "v", "m"] * 2, "eps": 0.0, "norm": "l2"}
    )
    settings = {"number": 2, "laplacian": "normalised", "repeats": 3, "share": 0.8, "seed": 0}
    made = cluster_tables.cluster_tables(rows, models, {"imported_similarity.x": "similarity"}, **settings)
    assert made["cluster_stability"]["ari_samples_mean"].isna().all()
