"""The analyses of a whole study: clusters, ensembles and distillation, from tables to tables.

What is done for one matrix or one ensemble stands in :mod:`clusters` and :mod:`ensembles`; here it
is done for every measure on every kind of probe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from modelkin.analysis import clusters, correlations, ensembles, relations, tables
from modelkin.errors import ModelkinError


def ensemble_tables(
    logits: Mapping[str, np.ndarray],
    labels: np.ndarray,
    similarity: pd.DataFrame,
    models: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    sizes: Sequence[int],
    draws: int,
    clusters_by: Mapping[str, str],
    rng: np.random.Generator,
) -> dict[str, pd.DataFrame]:
    """Tables ensemble_pairs, ensemble_correlations, ensemble_clusters, ensemble_choices, ensemble_relations
    and ensemble_best.

    logits: (n, C) of each model, in the order of the study; labels (n,). Sizes that the study is
    too small for are left out. clusters_by: the measure and kind by which models are clustered, into
    as many clusters as the largest ensemble has members; those for which it is undefined are in no cluster,
    so ensembles from clusters can be fewer. Copies of other models are in ensemble_pairs alone: with its
    original a copy makes no ensemble, and among the candidates it is one model's second chance. Sizes that
    the models without copies are too few for are left out too, all of them if need be.
    """
    pairs = ensembles.pair_ensembles(logits, labels)
    single = set(tables.distinct(models)["name"])
    logits = {name: values for name, values in logits.items() if name in single}
    sizes = [size for size in sizes if size <= len(logits)]
    known = tables.of_distinct(similarity, models)
    clustered, groups = _clustered(logits, known, directions, clusters_by, sizes)
    return {
        "ensemble_pairs": pairs,
        "ensemble_correlations": correlations.with_similarity(
            tables.of_distinct(pairs, models),
            similarity,
            "error_reduction_rate",
            seed=int(rng.integers(2**31)),
        ),
        "ensemble_clusters": ensembles.cluster_ensembles(
            clustered, labels, groups, [size for size in sizes if size <= len(clustered)], draws, rng
        ),
        "ensemble_choices": ensembles.chosen_ensembles(logits, labels, known, sizes, draws, rng, directions),
        "ensemble_relations": relations.relation_ensembles(
            logits, labels, tables.distinct(models), sizes, draws, rng
        ),
        "ensemble_best": ensembles.best_ensembles(
            logits, labels, [size for size in (2, 3) if size <= len(logits)], rng
        ),
    }


def _clustered(
    logits: Mapping[str, np.ndarray],
    similarity: pd.DataFrame,
    directions: Mapping[str, str],
    by: Mapping[str, str],
    sizes: Sequence[int],
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Logits of the models that a measure knows, and each one's cluster (M,)."""
    if not sizes:
        return dict(logits), np.zeros(len(logits), dtype=int)
    rows = similarity[(similarity["measure"] == by["measure"]) & (similarity["kind"] == by["kind"])]
    rows, dropped = tables.defined_square(rows)
    clustered = {name: values for name, values in logits.items() if name not in dropped}
    able = [size for size in sizes if size <= len(clustered)]
    if not able:
        raise ModelkinError(
            f"{by['measure']} on {by['kind']} probes is undefined for "
            f"{', '.join(dropped)}: too few models are left to cluster for ensembles of {min(sizes)}; choose "
            "another measure or smaller sizes (ensembles: clusters_by, sizes)."
        )
    near = clusters.affinity(clusters.similarity_matrix(rows, list(clustered)), directions[by["measure"]])
    return clustered, clusters.spectral(near, max(able)).labels
