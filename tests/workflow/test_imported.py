"""Tables that somebody else made, in a study."""

import numpy as np
import pandas as pd
from conftest import TINY


def test_the_analyses_run_on_it(study):
    names = [entry["name"] for entry in TINY["models"]]
    values = np.array([[1, 0.1, 0.9, 0.2], [0.1, 1, 0.1, 0.8], [0.9, 0.1, 1, 0.3], [0.2, 0.8, 0.3, 1]])
    path = study.folder / "paper.csv"
    pd.DataFrame(values, names, names).to_csv(path)
    study.config["imported"] = [{"label": "paper", "file": "paper.csv"}]
    planned = study.planned()
    assert planned["import_similarity"] == 1
    assert not set(planned) & {"train", "invert", "activations_natural", "similarity"}
    study.make("--until", "ensembles", "components", "dictionary", "figure_heatmaps")
    tables = {path.stem: pd.read_parquet(path) for path in (study.results / "tables").glob("*.parquet")}
    rows = tables["similarity"].query("kind == 'imported'")
    assert rows["value"].tolist() == values[np.triu_indices(4)].tolist()
    found = tables["clusters"].query("kind == 'imported'").set_index("model")["cluster"]
    assert found["vgg-0"] == found["vgg-0.5"] != found["mlp-0"] == found["mlp-0.5"]
    for table in ("ensemble_correlations", "ensemble_choices", "component_scores", "relations"):
        assert "imported" in set(tables[table]["kind"]), table
    about = tables["measures"].set_index("measure").loc["imported_similarity.paper"]
    assert about["direction"] == "similarity"
    assert (study.results / "figures" / "heatmaps" / "imported_similarity.paper.png").exists()
    # Its content decides, not its age, nor whether the file stays.
    path.touch()
    assert "import_similarity" not in study.planned()
    path.unlink()
    assert "import_similarity" not in study.planned()
    pd.DataFrame(values.T * 2, names, names).to_csv(path)
    assert study.planned()["import_similarity"] == 1
