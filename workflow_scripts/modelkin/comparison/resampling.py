"""How much a measure changes when it is taken on other images: all measures on the same repeated draws."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr

from modelkin import seeds
from modelkin.comparison import similarity
from modelkin.comparison.measures import ConfiguredMeasure
from modelkin.comparison.pairs import Pair, Run
from modelkin.comparison.similarity import Read


def resampled_rows(
    wanted: Sequence[Pair],
    read: Read,
    chosen: Sequence[ConfiguredMeasure],
    *,
    repeats: int,
    seed: int,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Similarity rows for each of so many draws of the samples, with the draw's number as ``draw``.

    Rows are those of :func:`modelkin.comparison.similarity.similarity_rows`.

    The samples of each probe, or the planes of each boundary, are shuffled and dealt out, so draws share
    none: each holds n / repeats of them, the same ones for all models.
    """
    made = []
    for draw in range(repeats):

        def dealt(run: Run, what: str, draw: int = draw) -> xr.DataArray:
            whole = read(run, what)
            # An image is in the same draw whatever is measured on it.
            order = seeds.generator(seed, "draws").permutation(whole.sizes["sample"])
            return whole[np.sort(order[draw::repeats])]

        rows = similarity.similarity_rows(wanted, dealt, chosen, permutations=0, seed=seed, device=device)
        made.append(rows.assign(draw=draw))
    return pd.concat(made, ignore_index=True)


def resampling_variance(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each kind and measure: how much draws differ, beside how much pairs do.

    rows: of :func:`resampled_rows`. variance: over draws, mean over pairs of different models that are
    defined in all of them; pair_variance: over pairs, of their means; ratio of the two, which no
    unit changes; spearman:
    mean rank correlation of the pairs between two draws; samples (mean of a draw), draws, pairs.
    """
    rows = rows[rows["model_a"] != rows["model_b"]]
    made = []
    for (kind, measure), part in rows.groupby(["kind", "measure"], sort=False):
        grid = part.pivot_table(index=["model_a", "model_b"], columns="draw", values="value").dropna()
        draws = part["draw"].nunique()
        grid = grid if grid.shape[1] == draws else grid.iloc[:0]
        within, between = grid.var(axis=1, ddof=1).mean(), grid.mean(axis=1).var(ddof=1)
        ranks = grid.corr(method="spearman").to_numpy() if len(grid) > 2 else np.full((draws, draws), np.nan)
        made.append(
            {
                "kind": kind,
                "measure": measure,
                "variance": within,
                "pair_variance": between,
                "ratio": within / between if between > 0 else np.nan,
                "spearman": float(ranks[np.triu_indices(draws, 1)].mean()),
                "samples": part["n"].mean(),
                "draws": draws,
                "pairs": len(grid),
            }
        )
    return pd.DataFrame(made)
