"""A new model's similarity from its own adversarial images alone, against the full one (hwang2024, G.1)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from modelkin.comparison import measures
from modelkin.comparison.measures import sat


def shortcut_pairs(
    right: Mapping[str, np.ndarray], fooled: Mapping[tuple[str, str], np.ndarray]
) -> pd.DataFrame:
    """A row for each two different models in either order: model_a, the new one, model_b, shortcut, full,
    error (shortcut - full) and n (images that both get right); NaN without such images.

    right: (n,) for each model, whether it is right on each natural image; fooled: (n,) for each (source,
    observer), whether the observer is wrong on the source's adversarial image of it. shortcut is equation (1)
    with the source's images only; full with both models'.
    """
    rows = []
    for new, other in ((a, b) for a in right for b in right if a != b):
        both = right[new] & right[other]
        row = {"model_a": new, "model_b": other, "shortcut": np.nan, "full": np.nan, "n": int(both.sum())}
        if both.any():
            share = torch.tensor(fooled[new, other][both].mean())
            row["shortcut"] = float(sat.score(share))
            row["full"] = _full(right, fooled, new, other)
        rows.append(row | {"error": row["shortcut"] - row["full"]})
    return pd.DataFrame(rows)


def _full(right, fooled, a: str, b: str) -> float:
    """The measure itself, of the outcomes as the similarity stage has them."""
    outcomes = (
        torch.from_numpy(np.stack([right[x], fooled[y, x]], axis=1).astype(np.float32))
        for x, y in ((a, b), (b, a))
    )
    return measures.get("sat").compare(*map(sat.prepare, outcomes)).value


def shortcut_models(rows: pd.DataFrame, success: Mapping[str, float | None]) -> pd.DataFrame:
    """A row for each model as the new one: spearman (rank correlation of shortcut and full over the other
    models; NaN for fewer than three), mean_absolute_error, pairs (with a value), attack_success.

    rows: of :func:`shortcut_pairs`. success: of the attack on each model on that model itself.
    """
    made = []
    for name, part in rows.groupby("model_a", sort=False):
        known = part.dropna(subset=["shortcut"])
        enough = len(known) > 2
        made.append(
            {
                "model": name,
                "spearman": known["shortcut"].corr(known["full"], method="spearman") if enough else np.nan,
                "mean_absolute_error": known["error"].abs().mean(),
                "pairs": len(known),
                "attack_success": success[name],
            }
        )
    return pd.DataFrame(made).astype({"attack_success": float})
