"""The tables of layers: what comparisons of views say, in long form and in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import spearmanr

from modelkin import probe_kinds
from modelkin.layers import estimates, statistics
from modelkin.layers.recorded import TRAINED, UNTRAINED

PAIR = ("model_a", "model_b")
MAP = ("kind_a", "kind", "source", "measure")  # what tells the maps of a pair apart, but for their weights
LAYER = ("model", "layer", "index", "operation", "depth", "stage", "cut_point", "block_end", "shape")
OF_COMPARISONS = (  # tables that each comparison adds rows to
    *("layer_maps", "layer_summary", "layer_adversarial", "layer_epochs", "layer_epoch_pairs"),
)
END = 0.95  # CKA to a snapshot from which on a layer counts as having arrived there
LEAST_PAIRS = 5  # of models, below which a rank correlation over them says nothing


def layers_table(comparisons: Iterable[tuple[Mapping[str, Any], Sequence[str]]]) -> pd.DataFrame:
    """A row for each layer of each model that is compared.

    Parameters
    ----------
    comparisons : iterable of (facts, names)
        Of the manifests, and the one or two models that each is of.

    Returns
    -------
    DataFrame
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for facts, names in comparisons:
        for name, side in zip(names, ("a", "b"), strict=False):
            for row in facts[f"layers_{side}"]:
                rows.setdefault((name, row["layer"]), {"model": name, **row})
    order = list(dict.fromkeys(model for model, _ in rows))
    found = pd.DataFrame(rows.values(), columns=list(LAYER))
    return found.sort_values(
        ["model", "index"], key=lambda column: column.map(order.index) if column.name == "model" else column
    ).reset_index(drop=True)


def maps_table(parts: xr.Dataset, names: tuple[str, str], exact: bool) -> pd.DataFrame:
    """A row for each pair of layers of each map of two models, or of one with itself.

    Parameters
    ----------
    parts : Dataset
        What batches gave.
    names : tuple of str
        Of the two models.
    exact : bool

    Returns
    -------
    DataFrame
        With the value of networks with random weights as ``untrained``, NaN without that baseline.
    """
    found = estimates.estimate(parts, exact=exact)
    rows = []
    for number in _numbers_of(parts, TRAINED):
        same = _untrained(parts, number)
        random = np.nan if same is None else found["value"].isel(map=same).to_numpy()
        about = {**_about(parts, number), **dict(zip(PAIR, names, strict=True))}
        rows.append(_cells(found.isel(map=number), about, random, found.attrs["n"]))
    return pd.concat(rows, ignore_index=True)


def snapshot_maps_table(parts: xr.Dataset, name: str, dataset: str, exact: bool) -> pd.DataFrame:
    """The same for each snapshot of a model (as model_a) with its last one, at the cut points.

    Parameters
    ----------
    parts : Dataset
        Of :func:`modelkin.layers.recorded.snapshot_maps`.
    name : str
        Of the model.
    dataset : str
        The label of the natural images' dataset.
    exact : bool

    Returns
    -------
    DataFrame
    """
    found = estimates.estimate(parts, exact=exact)
    last = str(max(map(int, found["epoch_b"].to_numpy())))
    about = {"kind_a": "natural", "kind": "natural", "source": dataset, **dict.fromkeys(PAIR, name)}
    rows = []
    for number in np.flatnonzero(found["epoch_b"].to_numpy() == last):
        one = found.isel(map=number)
        more = {"measure": str(one["measure"].item()), "snapshot": int(one["epoch_a"].item())}
        rows.append(_cells(one, {**about, **more}, np.nan, found.attrs["n"]))
    return pd.concat(rows, ignore_index=True)


def _cells(one: xr.Dataset, about: Mapping[str, Any], untrained: np.ndarray | float, n: int) -> pd.DataFrame:
    """A row for each cell of a map, with what is the same for all."""
    shape = one["value"].shape
    values = {name: one[name].to_numpy() for name in ("value", "stderr", "chance")} | {"untrained": untrained}
    count = shape[0] * shape[1]
    return pd.DataFrame(
        {
            **{name: about[name] for name in (*MAP, *PAIR)},
            "snapshot": pd.array([about.get("snapshot", pd.NA)] * count, dtype="Int64"),
            "layer_a": np.repeat(one["layer_a"].to_numpy(), shape[1]),
            "layer_b": np.tile(one["layer_b"].to_numpy(), shape[0]),
            **{name: np.broadcast_to(cells, shape).ravel() for name, cells in values.items()},
            "n": n,
            "undefined": _undefined(one),
        }
    )


def summary_table(parts: xr.Dataset, names: tuple[str, str], exact: bool) -> pd.DataFrame:
    """A row for each statistic of each map, with its interval and that of random weights beside it.

    Parameters
    ----------
    parts : Dataset
    names : tuple of str
    exact : bool

    Returns
    -------
    DataFrame
    """
    rows = []
    for number in _numbers_of(parts, TRAINED):
        about = _about(parts, number)
        one_view = names[0] == names[1] and about["kind_a"] == about["kind"]
        baseline = _untrained(parts, number)
        for each in statistics.of_map(parts["depth_a"].to_numpy(), parts["depth_b"].to_numpy(), one_view):
            found = estimates.jackknife(parts.isel(map=number), each.values, exact=exact)
            value, half = float(found.value), found.factor * float(found.stderr)
            untrained = np.nan
            if baseline is not None:
                untrained = float(
                    estimates.jackknife(parts.isel(map=baseline), each.values, exact=exact).value
                )
            rows.append(
                {
                    **about,
                    **dict(zip(PAIR, names, strict=True)),
                    "statistic": each.name,
                    "value": value,
                    "stderr": float(found.stderr),
                    "ci_low": value - half,
                    "ci_high": value + half,
                    "untrained": untrained,
                    "n": int(parts["images"].sum() / parts["shuffle"].max()),
                }
            )
    return pd.DataFrame(rows)


def adversarial_table(parts: xr.Dataset, name: str, exact: bool) -> pd.DataFrame:
    """A row for each layer and attack: a model on natural and on its own adversarial images, at that layer.

    Parameters
    ----------
    parts : Dataset
        Of :func:`modelkin.layers.recorded.within_maps`.
    name : str
        Of the model.
    exact : bool

    Returns
    -------
    DataFrame
        Empty if it saw no adversarial images.
    """
    found, seen = estimates.estimate(parts, exact=exact), float(parts["images"].sum())
    rows = []
    for number in _numbers_of(parts, TRAINED):
        about, same = _about(parts, number), _untrained(parts, number)
        if about["kind_a"] == about["kind"]:
            continue
        cka = estimates.jackknife(parts.isel(map=number), _diagonal, exact=exact)
        right = {side: float(parts[f"right_{side}"].isel(map=number).sum()) / seen for side in "ab"}
        rows.append(
            pd.DataFrame(
                {
                    "model": name,
                    "kind": about["kind"],
                    "measure": about["measure"],
                    "layer": found["layer_a"].to_numpy(),
                    "depth": found["depth_a"].to_numpy(),
                    "value": cka.value,
                    "stderr": cka.stderr,
                    "ci_low": cka.value - cka.factor * cka.stderr,
                    "ci_high": cka.value + cka.factor * cka.stderr,
                    "chance": _diagonal(found["chance"].to_numpy()[number]),
                    "untrained": np.nan if same is None else _diagonal(found["value"].to_numpy()[same]),
                    "accuracy": right["a"],
                    "robust_accuracy": right["b"],
                    "n": found.attrs["n"],
                }
            )
        )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _diagonal(maps: np.ndarray) -> np.ndarray:
    return np.diagonal(maps, axis1=-2, axis2=-1)


def accuracy_table(parts: xr.Dataset, names: tuple[str, str]) -> pd.DataFrame:
    """A row for each model and set of images that it saw: the share that it classifies rightly.

    Parameters
    ----------
    parts : Dataset
    names : tuple of str

    Returns
    -------
    DataFrame
    """
    seen = float(parts["images"].sum())
    rows = []
    for number in _numbers_of(parts, TRAINED):
        about = _about(parts, number)
        for name, side, kind in zip(names, "ab", (about["kind_a"], about["kind"]), strict=True):
            right = float(parts[f"right_{side}"].isel(map=number).sum()) / seen
            if kind == about["kind"]:
                rows.append({"model": name, "kind": kind, "source": about["source"], "accuracy": right})
    return pd.DataFrame(rows).drop_duplicates(["model", "kind", "source"])


def transfer_table(
    summary: pd.DataFrame, accuracies: pd.DataFrame, levels: Mapping[str, float]
) -> pd.DataFrame:
    """A row for each attack, source and target: robust accuracy beside same-layer CKA by third of depth.

    Parameters
    ----------
    summary : DataFrame
        Of :func:`summary_table`, of all comparisons.
    accuracies : DataFrame
        Of :func:`accuracy_table`, of all comparisons.
    levels : mapping of str to float
        Robustness level of each model.

    Returns
    -------
    DataFrame
        CKA of source and target on the source's adversarial images, the same on natural images, and the
        difference.
    """
    right = accuracies.drop_duplicates(["model", "kind", "source"]).set_index(["model", "kind", "source"])[
        "accuracy"
    ]
    benign = {(model, kind): value for (model, kind, _), value in right.items()}
    wide = summary.pivot_table(
        index=[*PAIR, *MAP], columns="statistic", values="value", aggfunc="first"
    ).reset_index()
    rows = []
    attacked = wide[(wide["kind_a"] == wide["kind"]) & wide["kind"].map(probe_kinds.is_adversarial)]
    for row in attacked[attacked["model_a"] != attacked["model_b"]].to_dict("records"):
        target = row["model_b"] if row["source"] == row["model_a"] else row["model_a"]
        natural = wide[
            (wide["model_a"] == row["model_a"])
            & (wide["model_b"] == row["model_b"])
            & (wide["kind"] == "natural")
            & (wide["measure"] == row["measure"])
        ].iloc[0]
        found = {
            "kind": row["kind"],
            "measure": row["measure"],
            "source": row["source"],
            "target": target,
            "source_eps": levels[row["source"]],
            "target_eps": levels[target],
            "robust_accuracy": right[target, row["kind"], row["source"]],
            "accuracy": benign[target, "natural"],
        }
        for third in ("first", "middle", "last"):
            name = f"same_layer_{third}"
            found |= {
                f"cka_{third}": row[name],
                f"natural_{third}": natural[name],
                f"difference_{third}": row[name] - natural[name],
            }
        rows.append(found)
    return pd.DataFrame(rows, columns=list(TRANSFER))


TRANSFER = (
    *("kind", "measure", "source", "target", "source_eps", "target_eps", "robust_accuracy", "accuracy"),
    *(
        f"{what}_{third}"
        for third in ("first", "middle", "last")
        for what in ("cka", "natural", "difference")
    ),
)


def transfer_ranks(transfer: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation, over sources and targets, of an attack's success with same-layer CKA.

    Parameters
    ----------
    transfer : DataFrame
        Of :func:`transfer_table`.

    Returns
    -------
    DataFrame
        For each attack, measure and third of the depth, on the source's images and on natural ones; missing
        for fewer than five of them. An attack's success is the share of the target's accuracy that it takes.
    """
    rows = []
    for (kind, measure), part in transfer.groupby(["kind", "measure"], sort=False):
        success = 1 - part["robust_accuracy"] / part["accuracy"]
        for third in ("first", "middle", "last"):
            found = {"kind": kind, "measure": measure, "third": third, "pairs": len(part)}
            for images, what in (("adversarial", "cka"), ("natural", "natural")):
                enough = len(part) >= LEAST_PAIRS and np.ptp(part[f"{what}_{third}"]) > 0
                ranks = spearmanr(success, part[f"{what}_{third}"]) if enough else None
                found[f"spearman_{images}"] = float(ranks.statistic) if ranks else np.nan
                found[f"p_{images}"] = float(ranks.pvalue) if ranks else np.nan
            rows.append(found)
    return pd.DataFrame(rows, columns=list(RANKS))


RANKS = (
    *("kind", "measure", "third", "pairs"),
    *("spearman_adversarial", "p_adversarial", "spearman_natural", "p_natural"),
)


def epochs_table(
    parts: xr.Dataset, name: str, epochs: Sequence[int], best: int, training: pd.DataFrame, exact: bool
) -> pd.DataFrame:
    """A row for each snapshot and cut point of a model: how alike it is to its last, best and next one.

    Parameters
    ----------
    parts : Dataset
        Of :func:`modelkin.layers.recorded.snapshot_maps`.
    name : str
        Of the model.
    epochs : sequence of int
        Of its snapshots, ascending.
    best : int
        The epoch of the best one.
    training : DataFrame
        The table ``training_epochs``.
    exact : bool

    Returns
    -------
    DataFrame
    """
    found = estimates.estimate(parts, exact=exact)
    numbers = {
        (int(a), int(b)): number
        for number, (a, b) in enumerate(
            zip(found["epoch_a"].to_numpy(), found["epoch_b"].to_numpy(), strict=True)
        )
    }
    following = dict(zip(epochs, epochs[1:], strict=False))

    def diagonal(what: str, epoch: int, other: int | None) -> np.ndarray:
        number = None if other is None else numbers.get((epoch, other), numbers.get((other, epoch)))
        return np.full(found.sizes["layer_a"], np.nan) if number is None else np.diag(found[what][number])

    losses = training[training["model"] == name].set_index("epoch")
    gap = losses["test_adversarial_loss"] - losses["train_adversarial_loss"]
    to_last = np.stack([diagonal("value", epoch, epochs[-1]) for epoch in epochs])
    arrived = [_arrival(epochs, column) for column in to_last.T]
    rows = []
    for epoch in epochs:
        rows.append(
            pd.DataFrame(
                {
                    "model": name,
                    "epoch": epoch,
                    "layer": found["layer_a"].to_numpy(),
                    "depth": found["depth_a"].to_numpy(),
                    "stage": found["stage_a"].to_numpy(),
                    "block_end": found["block_end_a"].to_numpy(),
                    "to_last": diagonal("value", epoch, epochs[-1]),
                    "to_last_stderr": diagonal("stderr", epoch, epochs[-1]),
                    "best_epoch": best,
                    "to_best": diagonal("value", epoch, best),
                    "to_best_stderr": diagonal("stderr", epoch, best),
                    "to_next": diagonal("value", epoch, following.get(epoch)),
                    "to_next_stderr": diagonal("stderr", epoch, following.get(epoch)),
                    "arrived": arrived,
                    "overfitting_gap": gap.get(epoch, np.nan),
                    "chance": diagonal("chance", epoch, epochs[-1]),
                    "n": found.attrs["n"],
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def epoch_pairs_table(parts: xr.Dataset, name: str, exact: bool) -> pd.DataFrame:
    """A row for each two snapshots and cut point of a model: how alike the layer is in both.

    Parameters
    ----------
    parts : Dataset
    name : str
    exact : bool

    Returns
    -------
    DataFrame
    """
    found = estimates.estimate(parts, exact=exact)
    rows = [
        pd.DataFrame(
            {
                "model": name,
                "epoch_a": int(found["epoch_a"][number]),
                "epoch_b": int(found["epoch_b"][number]),
                "layer": found["layer_a"].to_numpy(),
                "value": np.diag(found["value"][number]),
                "stderr": np.diag(found["stderr"][number]),
                "chance": np.diag(found["chance"][number]),
                "n": found.attrs["n"],
            }
        )
        for number in range(found.sizes["map"])
    ]
    return pd.concat(rows, ignore_index=True)


def _arrival(epochs: Sequence[int], to_last: np.ndarray) -> float:
    """The first epoch from which on a layer is within :data:`END` of its last state."""
    away = np.flatnonzero(~(to_last >= END))
    first = away[-1] + 1 if len(away) else 0
    return float(epochs[first]) if first < len(epochs) else np.nan


def _numbers_of(parts: xr.Dataset, weights: str) -> list[int]:
    return list(np.flatnonzero(parts["weights"].to_numpy() == weights))


def _about(parts: xr.Dataset, number: int) -> dict[str, str]:
    return {name: str(parts[name].to_numpy()[number]) for name in MAP}


def _untrained(parts: xr.Dataset, number: int) -> int | None:
    """The number of the map that differs in nothing but its random weights."""
    wanted = _about(parts, number)
    return next((each for each in _numbers_of(parts, UNTRAINED) if _about(parts, each) == wanted), None)


def _undefined(one: xr.Dataset) -> list[str]:
    """Why each cell has no value, row by row; empty where it has one."""
    a, b = one["undefined_a"].to_numpy(), one["undefined_b"].to_numpy()
    return [of_a and f"layer_a is {of_a}" or (of_b and f"layer_b is {of_b}") for of_a in a for of_b in b]
