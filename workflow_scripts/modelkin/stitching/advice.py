"""What follows from stitches: from where on a network's blocks can be replaced by another's without loss.

It knows tables alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

MARGIN = 0.05  # of images: a loss that counts as none
Z = 1.959964  # of a two-sided 95 % interval
BASELINES = ("random front", "random end")
TRAINED = ["objective", "start", "mode", "epochs", "learning_rate"]


def replaceable_table(stitches: pd.DataFrame, margin: float = MARGIN) -> pd.DataFrame:
    """A row for each pair and training: the first block after which the front can be replaced by the end.

    Both models are asked about the same natural images, so the loss there varies by no more than the share
    on which they answer differently; attacked images are each model's own, and their interval is Newcombe's
    (1998, method 10). Recommended is a block only if the upper ends of both intervals are within the margin.

    Parameters
    ----------
    stitches : DataFrame
        The table ``stitching``.
    margin : float
        The loss that counts as none, a share of images.

    Returns
    -------
    DataFrame
        The table ``stitching_replaceable``. Without whole donors in the table there is nothing to lose
        against, and no row.
    """
    rows: list[dict[str, Any]] = []
    for names, own in stitches.groupby(["front", "end", "task"], sort=False):
        whole = own[own["objective"] == "whole front"]
        made = own[own["start"].notna() | own["objective"].eq("matching")]
        made = made[~made["objective"].isin(BASELINES)]
        if whole.empty:
            continue
        random = own[own["objective"] == "random end"].groupby("block")["accuracy"].mean()
        for kind, trained in made.groupby(TRAINED, sort=False, dropna=False):
            places = [_losses(each, whole.iloc[0]) for _, each in trained.groupby("block")]
            fine = [
                place
                for place in places
                if place["loss_high"] <= margin and place["robust_loss_high"] <= margin
            ]
            place = (fine or places[-1:])[0]
            rows.append(
                {
                    **dict(zip(("front", "end", "task"), names, strict=True)),
                    **dict(zip(TRAINED, kind, strict=True)),
                    "recommended": bool(fine),
                    "margin": margin,
                    "blocks": len(places),
                    "random_end": random.get(place["block"], np.nan),
                    **place,
                }
            )
    return pd.DataFrame(rows, columns=columns())


def columns() -> list[str]:
    """The columns of the table, in order."""
    losses = [f"{which}loss{end}" for which in ("", "robust_") for end in ("", "_low", "_high")]
    first = ["front", "end", "task", *TRAINED, "repeats", "recommended", "margin", "front_block", "end_block"]
    more = ["block", "blocks", "accuracy", *losses[:3], "n", *losses[3:], "robust_n", "random_end", "r2"]
    return first + more


def _losses(repeats: pd.DataFrame, whole: Mapping[str, Any]) -> dict[str, Any]:
    """What is lost at one block, over the repeats of a training; without an interval if one diverged."""
    mean = repeats[[name for name in repeats if pd.api.types.is_numeric_dtype(repeats[name])]].mean()
    first = repeats.iloc[0]
    found = {key: first[key] for key in ("front_block", "end_block", "block", "r2")}
    found |= {"repeats": len(repeats), "accuracy": mean["accuracy"]}
    found |= {"n": whole["n"], "robust_n": whole["robust_n"]}
    loss = whole["accuracy"] - mean["accuracy"]
    differ = 1 - mean["agreement_front"] + 1 / whole["n"]
    half = Z * (max(differ - loss**2, 0) / whole["n"]) ** 0.5
    found |= {"loss": loss, "loss_low": loss - half, "loss_high": loss + half}
    name = "robust_accuracy"
    robust = whole[name] - mean[name]
    below = ((whole[name] - whole[f"{name}_low"]) ** 2 + (mean[f"{name}_high"] - mean[name]) ** 2) ** 0.5
    above = ((whole[f"{name}_high"] - whole[name]) ** 2 + (mean[name] - mean[f"{name}_low"]) ** 2) ** 0.5
    found |= {"robust_loss": robust, "robust_loss_low": robust - below, "robust_loss_high": robust + above}
    if repeats["diverged_at"].notna().any():
        found |= dict.fromkeys(("loss_low", "loss_high", "robust_loss_low", "robust_loss_high"), np.nan)
    return found
