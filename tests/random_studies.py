"""Small studies drawn at random: the frames that analyses and figures take, without any image or network."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from modelkin import probe_kinds
from modelkin.analysis import (
    cluster_tables,
    component_importance,
    conclusions,
    ensemble_tables,
    recommendations,
    relations,
    tables,
)
from modelkin.comparison import measures
from modelkin.networks.component_names import COMPONENTS
from modelkin.study.config import _measured

MEASURES = (
    "linear_cka",
    "procrustes",
    "knn_jaccard",
    "agreement",
    "jensen_shannon",
    "saliency_cosine",
    "sat",
)
LEVELS = {
    "equal": lambda rng, count: [(0.25, "linf")] * count,
    "standard": lambda rng, count: [(0.0, "l2")] * count,
    "distinct": lambda rng, count: [(i / 10, "linf" if i else "l2") for i in range(count)],
    "few": lambda rng, count: [(float(rng.choice([0, 0.25])), "l2") for _ in range(count)],
    "mixed norms": lambda rng, count: [
        (float(rng.choice([0, 0.25])), str(rng.choice(["l2", "linf"]))) for _ in range(count)
    ],
}
FAILED_ABOVE = 0.2


@dataclass(frozen=True)
class Drawn:
    """A study: what the stage 'tables' is given, and logits for ensembles."""

    described: pd.DataFrame
    cards: dict[str, pd.DataFrame]
    shells: list[pd.DataFrame]
    inversions: dict[tuple[str, str], dict]
    attacks: dict[str, dict]
    logits: dict[str, np.ndarray]
    labels: np.ndarray
    measures: list[str]
    seed: int


def draw_study(seed: int, *, fewest: int = 2) -> Drawn:
    """A study of up to six models that are not retired, the same for the same seed.

    Levels are equal, distinct or of mixed norms; models may be retired, copies of others or not invertible,
    measures undefined for pairs, for a model or for all, counts of samples may differ, and a class be without
    images.
    """
    rng = np.random.default_rng(seed)
    active = int(rng.integers(fewest, 7))
    names = [f"m{i}" for i in range(active + int(rng.integers(2)))]
    chosen = [name for name in MEASURES if rng.random() < 0.4] or [str(rng.choice(MEASURES))]
    labels = [_measured(name).label for name in chosen]
    attacks = "sat" in chosen
    architectures = [str(rng.choice(["vgg", "residual", "vit"])) for _ in names]
    levels = LEVELS[str(rng.choice(list(LEVELS)))](rng, len(names))
    described = pd.DataFrame(
        {
            "name": names,
            "eps": [eps for eps, _ in levels],
            "norm": [norm for _, norm in levels],
            "architecture": architectures,
            "structure": architectures,
            "regime": [f"adversarial {norm} {eps:g}" if eps else "standard" for eps, norm in levels],
            "hyper_parameters": [str(rng.choice(["", "width 8"])) for _ in names],
        }
    )
    weights = names.copy()
    if len(names) > 1 and rng.random() < 0.3:
        weights[1] = weights[0]
    evaluated = int(rng.choice([0, 1, 2]))
    cards = {
        name: _card(rng, weights[i], architectures[i], 40 + i * evaluated)
        for i, name in enumerate(names[:active])
    }
    failing = rng.random() < 0.3
    inversions = {
        ("inverted", name): {
            "loss": rng.uniform(0, 2, 9) * rng.uniform(0.1, 0.9 if failing else 0.1),
            "loss_90": 0.9,
            "median_steps": 100.0,
            "median_distance": 1.0,
        }
        for name in names[:active]
    }
    inversions = {
        probe: found | {"median_loss": float(np.median(found["loss"]))} for probe, found in inversions.items()
    }
    facts = {name: {"success": float(rng.random()), "median_distance": 0.1} for name in names}
    # Of the last class there may be no image.
    classes = rng.integers(3 if rng.random() < 0.7 else 2, size=40)
    return Drawn(
        described[:active],
        cards,
        [_shells(rng, names, labels, str(rng.choice(["all", "pairs", "a model", "none"])))],
        inversions,
        {"adversarial": facts} if attacks else {},
        {
            name: np.eye(3)[classes] + rng.normal(0, rng.choice([0.01, 0.6, 2]), (40, 3))
            for name in names[:active]
        },
        classes,
        labels,
        seed,
    )


def _card(rng: np.random.Generator, weights: str, architecture: str, evaluated: int) -> pd.DataFrame:
    facts = {
        **{
            "source": "train",
            "origin": "here",
            "weights": weights,
            "parameters": 1234,
            "multiply_adds": 99999,
        },
        **{"size": 16, "interpolation": None, "crop": None, "head": "head", "width": 8},
        **{"mean": [0.5], "std": [0.2], "split_points": ["a", "b"]},
    }
    evaluation = {
        **{"clean_accuracy": float(rng.random()), "adversarial_accuracy": float(rng.random())},
        **{"autoattack_accuracy": None, "at_chance": bool(rng.random() < 0.1), "evaluated": evaluated},
    }
    components = {name: str(rng.choice(["yes", "no"])) for name in COMPONENTS} | {"base_family": architecture}
    return tables.card_row(facts, evaluation, components)


def _shells(rng: np.random.Generator, names: list[str], labels: list[str], known: str) -> pd.DataFrame:
    """Every pair by every measure on every kind of probe that it is for; some values may be undefined."""
    rows = []
    counts = [50, 50] if rng.random() < 0.5 else [50, 37]
    for label, kind in itertools.product(labels, ("natural", "inverted", "adversarial")):
        measure = measures.describe_label(label)
        if not measure.measurable(kind) or (kind == "adversarial" and "sat-" not in label and label != "sat"):
            continue
        for (i, a), (j, b) in itertools.product(enumerate(names), repeat=2):
            if i > j and kind != "inverted":
                continue
            undefined = a != b and (
                (known == "pairs" and rng.random() < 0.3)
                or (known == "a model" and names[0] in (a, b))
                or known == "none"
            )
            value = np.nan if undefined else 1.0 if a == b else float(rng.random())
            rows.append(
                {
                    **{
                        "kind": kind,
                        "source": a if kind == "inverted" else "tiny",
                        "model_a": a,
                        "model_b": b,
                    },
                    **{"measure": label, "value": value, "stderr": value * 0.01},
                    **{"ci_low": value * 0.98, "ci_high": value * 1.02},
                    "chance": 0.1 * value if measure.chance else np.nan,
                    "n": 0 if undefined else counts[(i + j) % 2],
                }
            )
    return pd.DataFrame(rows)


def study_tables(study: Drawn) -> dict[str, pd.DataFrame]:
    """What the workflow makes of such a study, as its scripts do it."""
    inversions = tables.inversions_table(study.inversions, failed_above=FAILED_ABOVE)
    models = tables.models_table(study.described, study.cards, inversions, study.attacks)
    joined = tables.with_attack_success(tables.joined_shells(study.shells, study.described), study.attacks)
    joined = tables.with_inversion_success(joined, inversions)
    made = {
        "models": models,
        "components": tables.combined_components(tables.components_table(study.cards), None),
        "inversions": inversions,
        "similarity": joined,
        "summary": tables.summary(joined, models),
        "asymmetry": tables.asymmetry(joined, models),
        "training": tables.training_table(
            {
                name: [{"epoch": 1, "loss": 1.0, "train_accuracy": 0.5, "test_accuracy": 0.5}]
                for name in study.described["name"]
            }
        ),
    }
    directions = {label: measures.describe_label(label).direction for label in study.measures}
    rest = {"relations": relations.relation_similarities(joined, models)}
    rest |= cluster_tables.cluster_tables(
        joined, models, directions, number="eigengap", laplacian="normalised", repeats=3, share=0.8, seed=0
    )
    rest["conclusions"] = conclusions.conclusions_table(
        joined, models, directions, permutations=19, resamples=20
    )
    rest |= component_importance.component_tables(
        made["components"], joined, rest["clusters"], models, seed=0
    )
    if len(models) > 1:
        first = joined.iloc[0]
        rest |= ensemble_tables.ensemble_tables(
            study.logits,
            study.labels,
            joined,
            models,
            directions,
            sizes=[2, 3, 4],
            draws=3,
            clusters_by={"measure": first["measure"], "kind": first["kind"]},
            rng=np.random.default_rng(study.seed),
        )
        rest["recommendations"] = recommendations.recommendations_table(rest["ensemble_best"], None)
    return made | tables.with_lowest_success(rest, joined)


def kinds_of(rows: pd.DataFrame) -> set[str]:
    """How the probes of a table were made."""
    return set(map(probe_kinds.origin_of, rows["kind"]))
