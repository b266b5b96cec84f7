"""Tables: similarity of all shells joined, and what is read off it by robustness level.

All functions take and return pandas frames; models are described by a frame with columns
name, architecture, eps and norm, in the order of the study.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from modelkin import probe_kinds
from modelkin.networks.component_names import COMPONENTS

LOG = logging.getLogger("modelkin")

ATTACK_FACTS = ("success", "median_distance")
INVERSION_FACTS = ("median_loss", "loss_90", "median_steps", "median_distance")
RESCUE_FACTS = ("rescued", "median_first_loss")  # of inversions of which failed images were tried again
AttackFacts = Mapping[str, Mapping[str, Mapping[str, Any]]]  # by kind of adversarial probe and model name
SIDES = {"a": "source", "b": "observer"}
CARD_FACTS = (
    *("source", "origin", "weights", "parameters", "multiply_adds", "size"),
    *("interpolation", "crop", "head", "width"),
)
TRAINING = {"epoch": "int64", "loss": "float64", "train_accuracy": "float64", "test_accuracy": "float64"}
TRAINING |= {"model": "str"}
EVALUATION_FACTS = ("clean_accuracy", "adversarial_accuracy", "autoattack_accuracy", "at_chance", "evaluated")


def joined_shells(shells: list[pd.DataFrame], models: pd.DataFrame) -> pd.DataFrame:
    """The similarity table of these models: all rows of their shells in which only they appear."""
    whole = pd.concat(shells, ignore_index=True)
    here = whole["model_a"].isin(models["name"]) & whole["model_b"].isin(models["name"])
    return whole[here].reset_index(drop=True)


class Level(NamedTuple):
    """A robustness level: what a model was trained to withstand.

    norm is empty where it need not be said: for standard models, and in a study of one norm.
    """

    norm: str
    eps: float

    def __str__(self) -> str:
        return f"{self.norm} {self.eps:g}".strip()


def of_several_norms(models: pd.DataFrame) -> bool:
    """Whether models of a study withstand changes of more than one norm, so that radii alone say nothing."""
    return len(set(models.loc[models["eps"] > 0, "norm"])) > 1


def model_levels(models: pd.DataFrame) -> dict[str, Level]:
    """The level of each model."""
    several = of_several_norms(models)
    return {
        row.name: Level(row.norm if several and row.eps > 0 else "", row.eps)
        for row in models[["name", "eps", "norm"]].itertuples(index=False)
    }


def levels_of(rows: pd.DataFrame) -> list[Level]:
    """The level of each row of the table summary."""
    norms = rows["norm"] if "norm" in rows else [""] * len(rows)
    return [Level(norm, eps) for norm, eps in zip(norms, rows["eps"], strict=True)]


def with_levels(similarity: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The rows of two different models, with eps_a and norm_a, eps_b and norm_b: their :class:`Level`."""
    found = model_levels(models)
    rows = similarity[similarity["model_a"] != similarity["model_b"]]
    # Of no rows at all pandas would make text.
    return rows.assign(
        **{f"eps_{side}": [found[name].eps for name in rows[f"model_{side}"]] for side in "ab"},
        **{f"norm_{side}": [found[name].norm for name in rows[f"model_{side}"]] for side in "ab"},
    ).astype({"eps_a": float, "eps_b": float, "norm_a": "str", "norm_b": "str"})


def of_one_level(similarity: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The rows of two different models of one level, with its eps and norm; copies are left out."""
    rows = with_levels(of_distinct(similarity, models), models)
    rows = rows[(rows["eps_a"] == rows["eps_b"]) & (rows["norm_a"] == rows["norm_b"])]
    return rows.drop(columns=["eps_b", "norm_b"]).rename(columns={"eps_a": "eps", "norm_a": "norm"})


def distinct(models: pd.DataFrame) -> pd.DataFrame:
    """The models without copies, which have the weights of an earlier one and are not another start.

    models: of :func:`models_table`; all are distinct where the column ``same_weights_as`` is missing.
    """
    return models[models["same_weights_as"].isna()] if "same_weights_as" in models else models


def of_distinct_models(rows: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The rows, each of a ``model``, that are of no copy."""
    return rows[rows["model"].isin(set(distinct(models)["name"]))]


def of_distinct(pairs: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """The rows, each of a model_a and a model_b, that are of no copy."""
    return pairs[pairs[["model_a", "model_b"]].isin(set(distinct(models)["name"])).all(axis=1)]


def with_attack_success(similarity: pd.DataFrame, attacks: AttackFacts) -> pd.DataFrame:
    """The similarity table with attack_success: on adversarial probes, the lower of the shares of images on
    which the attack on each of the two models fools that model itself; NaN elsewhere.

    attacks: facts of the adversarial probes by kind and model name.
    """
    success = {
        (kind, name): found["success"] for kind, probes in attacks.items() for name, found in probes.items()
    }
    of_a, of_b = (
        pd.Series(
            [success.get(probe) for probe in zip(similarity["kind"], similarity[model], strict=True)],
            index=similarity.index,
            dtype=float,
        )
        for model in ("model_a", "model_b")
    )
    return similarity.assign(attack_success=pd.concat([of_a, of_b], axis=1).min(axis=1, skipna=False))


def with_inversion_success(similarity: pd.DataFrame, inversions: pd.DataFrame) -> pd.DataFrame:
    """The similarity table with inversion_success and inversion_failed: on inverted probes, those of the
    model that the images were made with; NaN and False elsewhere.

    inversions: of :func:`inversions_table`.
    """
    facts = inversions.set_index(["kind", "model"])
    probes = pd.MultiIndex.from_frame(similarity[["kind", "source"]])
    found = facts[["inversion_success", "failed"]].reindex(probes)
    return similarity.assign(
        inversion_success=found["inversion_success"].to_numpy(float),
        inversion_failed=found["failed"].eq(True).to_numpy(bool),
    )


def failed_sources(similarity: pd.DataFrame) -> pd.Series:
    """Whether the inversion of each row's source failed; of none in a table that says nothing of it."""
    if "inversion_failed" in similarity:
        return similarity["inversion_failed"]
    return pd.Series(data=False, index=similarity.index)


def with_lowest_success(
    frames: Mapping[str, pd.DataFrame], similarity: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """The tables, those by measure and kind with attack_success and inversion_success: the lowest of all
    pairs' in the similarity table, for what fails on its own model spoils whatever rests on it.
    """
    by = ["kind", "measure"]
    known = [name for name in ("attack_success", "inversion_success") if name in similarity]
    lowest = similarity.groupby(by)[known].min()
    return {name: rows.join(lowest, on=by) if set(by) <= set(rows) else rows for name, rows in frames.items()}


def defined_square(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of one measure on one kind of probe without NaN, and the models left out for it: each time
    the one with the most undefined pairs.
    """
    dropped = []
    while rows["value"].isna().any():
        undefined = rows[rows["value"].isna()]
        counts = pd.concat([undefined["model_a"], undefined["model_b"]]).value_counts(sort=True)
        dropped.append(counts.index[0])
        rows = rows[(rows["model_a"] != dropped[-1]) & (rows["model_b"] != dropped[-1])]
    return rows, dropped


def summary(similarity: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """For each kind, measure and level: mean, sd over pairs of different models of that level.

    Columns kind, measure, eps, norm (of a study of several norms), mean, sd (NaN for one pair), pairs, stderr
    (root mean square of the pairs' own), chance, n (samples of the first pair), mean_inverted (of the pairs
    whose source's inversion did not fail; NaN without any), sd_inverted and pairs_inverted, inversion_success
    and attack_success (the lowest of the pairs'). On inverted probes both directions count as pairs; pairs
    without a value do not, and neither do those of a copy of another model.
    """
    by = ["kind", "measure", "eps", *(["norm"] if of_several_norms(models) else [])]
    return _spread(of_one_level(similarity, models), by, attack_success=("attack_success", "min"))


def asymmetry(similarity: pd.DataFrame, models: pd.DataFrame) -> pd.DataFrame:
    """Inverted probes by level of source and level of observer (jones2022, Fig. 6), as :func:`summary`."""
    rows = with_levels(of_distinct(similarity, models), models).query("kind == 'inverted'")
    levels = {f"{key}_{side}": f"{role}_{key}" for side, role in SIDES.items() for key in ("eps", "norm")}
    wanted = [name for name in levels.values() if of_several_norms(models) or name.endswith("_eps")]
    return _spread(rows.rename(columns=levels), ["measure", *wanted])


def _spread(rows: pd.DataFrame, by: list[str], **more: tuple[str, str]) -> pd.DataFrame:
    rows = rows.assign(square=rows["stderr"] ** 2, inverted=rows["value"].mask(failed_sources(rows)))
    found = rows.groupby(by, as_index=False).agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        pairs=("value", "count"),
        stderr=("square", "mean"),
        chance=("chance", "mean"),
        n=("n", "first"),
        mean_inverted=("inverted", "mean"),
        sd_inverted=("inverted", "std"),
        pairs_inverted=("inverted", "count"),
        inversion_success=("inversion_success", "min"),
        **more,
    )
    return found.assign(stderr=found["stderr"] ** 0.5)


def card_row(
    facts: Mapping[str, Any], evaluation: Mapping[str, Any], components: Mapping[str, str]
) -> pd.DataFrame:
    """A model's card as one row of a table.

    facts: of :func:`modelkin.networks.card.model_card`; evaluation: of
    :func:`modelkin.training.evaluation.evaluate_model`; components: of the network.

    mean and std are written as text, and split_points is their number.
    """
    row = {key: facts[key] for key in CARD_FACTS}
    row |= {key: ", ".join(f"{value:g}" for value in facts[key]) for key in ("mean", "std")}
    return pd.DataFrame([row | {"split_points": len(facts["split_points"]), **evaluation, **components}])


def models_table(
    models: pd.DataFrame,
    cards: Mapping[str, pd.DataFrame],
    inverted: pd.DataFrame,
    attacks: AttackFacts,
) -> pd.DataFrame:
    """models with their cards, how their inversion went, and how each attack on them.

    cards: as in :func:`with_cards`. inverted: of :func:`inversions_table`, rows of the study's own.
    attacks: facts of the adversarial probes by kind and model name, empty for a study without. Of an attack
    with a label the columns are attack_success:<label> and so on, see :func:`attack_column`. same_weights_as:
    the first earlier model of the very same weights, if there is one.
    """
    renamed = {key: f"inversion_{key}" for key in (*_inversion_facts(inverted.columns), "failed")} | {
        "inversion_success": "inversion_success"
    }
    probes = inverted.query("kind == 'inverted'").set_index("model")[list(renamed)].rename(columns=renamed)
    whole = with_cards(models, cards).join(probes, on="name")
    for kind, found in (attacks or {"adversarial": {}}).items():
        for key in ATTACK_FACTS:
            known = {name: facts[key] for name, facts in found.items()}
            whole[attack_column(key, kind)] = whole["name"].map(known).astype(float)
    first = whole.groupby("weights")["name"].transform("first")
    return whole.assign(same_weights_as=first.where(first != whole["name"], None))


def attack_column(key: str, kind: str) -> str:
    """The column of the models table for a fact of the attack that makes this kind of probe."""
    label = probe_kinds.attack_of(kind)
    return f"attack_{key}:{label}" if label else f"attack_{key}"


def with_cards(models: pd.DataFrame, cards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """models with what their cards say, components aside.

    cards: of :func:`card_row`, by model name. A model without one is of source 'none', and what its card
    would say is missing.
    """
    known = {name: cards[name] for name in models["name"] if name in cards}
    columns = [*CARD_FACTS, "mean", "std", "split_points", *EVALUATION_FACTS, *COMPONENTS]
    facts = pd.concat(known).droplevel(1) if known else pd.DataFrame(columns=columns)
    facts = facts.reindex(models["name"]).drop(columns=list(COMPONENTS)).reset_index(drop=True)
    whole = pd.concat([models.reset_index(drop=True), facts], axis=1)
    return whole.assign(source=whole["source"].fillna("none"))


def components_table(cards: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row for each model that has a card: its name and its components, of :func:`card_row`."""
    if not cards:
        return pd.DataFrame(columns=["model", *COMPONENTS])
    whole = pd.concat(cards, names=["model"]).reset_index(level="model")
    return whole[["model", *COMPONENTS]].reset_index(drop=True)


def inversions_table(
    facts: Mapping[tuple[str, str], Mapping[str, Any]], *, failed_above: float
) -> pd.DataFrame:
    """How each inverted probe came out: kind, model, median and 90 % quantile of the relative loss, ...

    facts: of the probes' manifests, by kind and model, each with loss (n,), relative losses of its images.
    inversion_success: share of images whose loss is at most ``failed_above``; failed: the median is above.
    :data:`RESCUE_FACTS` too where the probes have them.
    """
    known = _inversion_facts({key for found in facts.values() for key in found})
    rows = [
        {"kind": kind, "model": model, **{key: found.get(key) for key in known}}
        | {"inversion_success": float((np.asarray(found["loss"]) <= failed_above).mean())}
        for (kind, model), found in facts.items()
    ]
    table = pd.DataFrame(rows, columns=["kind", "model", *known, "inversion_success"])
    return table.assign(failed=table["median_loss"] > failed_above)


def _inversion_facts(found: Collection[str]) -> list[str]:
    """Those facts of inverted probes that stand in tables."""
    return [*INVERSION_FACTS, *(key for key in RESCUE_FACTS if key in found)]


def training_table(histories: Mapping[str, list[dict[str, float]]]) -> pd.DataFrame:
    """A row for each epoch of each trained model: epoch, loss, train_accuracy, test_accuracy, model."""
    trained = {name: history for name, history in histories.items() if history}
    rows = [pd.DataFrame(history).assign(model=name) for name, history in trained.items()]
    return under_each_other(rows, TRAINING, ignore_index=False)


def under_each_other(
    parts: Sequence[pd.DataFrame], columns: Mapping[str, str], *, ignore_index: bool = True
) -> pd.DataFrame:
    """The parts of a table as one; its columns (dtypes by name) without rows if there is no part."""
    if parts:
        return pd.concat(parts, ignore_index=ignore_index)
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def both_directions(similarity: pd.DataFrame) -> pd.DataFrame:
    """The mean of the directions there are, as a row for (a, b) and one for (b, a).

    inversion_failed: whether the inversion of either model failed, where its images are part of the mean.
    """
    swapped = similarity.rename(columns={"model_a": "model_b", "model_b": "model_a"})
    keys = ["kind", "measure", "model_a", "model_b"]
    both = pd.concat([similarity, swapped])
    found = both.assign(inversion_failed=failed_sources(both)).groupby(keys, as_index=False, sort=False)
    return found.agg(value=("value", "mean"), inversion_failed=("inversion_failed", "any"))


def combined_components(found: pd.DataFrame, given: Mapping[str, Any] | None) -> pd.DataFrame:
    """The components that were read off the networks, with what a user's table says in their place.

    found: a row for each model, with a column ``model``. given: ``rows`` of the user's table for the
    same models, whose cells count if they are not empty, and whose further columns are further components;
    with ``replace`` the user's columns are all there are.
    """
    if given is None:
        return found
    table = pd.DataFrame(given["rows"])
    if given["replace"]:
        return table
    filled = table.set_index("model").replace("", None)
    whole = filled.combine_first(found.set_index("model"))
    return whole.loc[found["model"], _component_order(found, table)].fillna("").reset_index()


def _component_order(found: pd.DataFrame, given: pd.DataFrame) -> list[str]:
    return [name for name in dict.fromkeys([*found, *given]) if name != "model"]


LOG = logging.getLogger("modelkin")


def each_matrix(similarity: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """(measure, kind, rows) of every part of the similarity table that is a square of models.

    Models for which a measure is undefined with others are left out of its squares, with a warning.
    """
    for (measure, kind), rows in similarity.groupby(["measure", "kind"], sort=False):
        known, dropped = defined_square(rows)
        if dropped:
            LOG.warning("%s on %s probes: undefined for %s, left out", measure, kind, ", ".join(dropped))
        yield measure, kind, known
