"""Stitched models seen as any model is: images inverted through them, and their representations in the plane.

The stitches are those of direct matching, which no training has given anything that the front has not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
import xarray as xr
from sklearn import decomposition, manifold, metrics

from modelkin.batching import batch_rows
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier, model_batches, resized
from modelkin.optimise.descent import Descent
from modelkin.optimise.inversion import Inverted, invert
from modelkin.seeds import derive_seed
from modelkin.stitching import matching
from modelkin.stitching.pair import Pair, where
from modelkin.stitching.places import Place

COMPONENTS = 50  # principal components from which t-SNE starts, as is usual


def matched_models(pair: Pair) -> dict[Place, Classifier]:
    """The models stitched by least squares at the places of a pair, without those whose block is dead.

    Raises
    ------
    ModelkinError
        If no place has a map.
    """
    at = pair.places()
    sums = pair.moments(at, pair.train)
    found, why = {}, ""
    for place in at:
        try:
            made = matching.solve(sums[place.front.name, place.end.name])
        except ModelkinError as error:
            why = str(error)
            continue
        found[place] = pair.stitched(place, pair.new_stitch(place).set(*made))
    if not found:
        raise ModelkinError(why)
    return found


def inverted_views(pair: Pair, models: Mapping[Place, Classifier]) -> dict[str, Classifier]:
    """The models whose inversions stand side by side, by name: whole end, whole front, stitched ones."""
    numbers = {place: number for number, place in enumerate(pair.places(), start=1)}
    return {"end": pair.end.model, "front": pair.front.model} | {
        f"block-{numbers[place]}": model for place, model in models.items()
    }


def inverted(
    model: Classifier,
    images: Images,
    pairs: pd.DataFrame,
    descent: Descent,
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int, float], None] | None = None,
) -> xr.Dataset:
    """Images that a model cannot tell from targets, from seeds of another class.

    Parameters
    ----------
    model : Classifier
        Whole, or of :func:`modelkin.stitching.stitched.stitched_model`.
    images : Images
    pairs : DataFrame
        Of :func:`modelkin.data.probes.seed_target_pairs`.
    descent, batch_size, progress
        As in :func:`modelkin.optimise.inversion.invert`.
    device : torch.device or str

    Returns
    -------
    Dataset
        Of :meth:`modelkin.optimise.inversion.Inverted.to_dataset`. Where a target's representation is zero,
        so that no loss is defined, the images are the seeds and all losses are NaN.
    """
    seeds, targets = (
        resized(
            torch.from_numpy(images.floats(images.rows(pairs[role]))).to(device), model.size, model.resize
        )
        for role in ("seed", "target")
    )
    try:
        found = invert(
            model,
            seeds,
            targets,
            descent,
            batch_size=batch_size or batch_rows(model.size, device),
            progress=progress,
        )
    except ModelkinError:
        nothing = torch.full((len(seeds),), float("nan"))
        found = Inverted(seeds, nothing, torch.zeros(len(seeds), dtype=torch.long), nothing)
    return found.to_dataset(pairs, images.classes)


def inversion_rows(pair: Pair, stored: Mapping[str, xr.Dataset]) -> pd.DataFrame:
    """The table ``stitching_inversions`` but for names: how near each view's image came to each target.

    stored: of :func:`inverted` by the names of :func:`inverted_views`.
    """
    at, rows = pair.places(), []
    for view, data in stored.items():
        number = int(view.removeprefix("block-")) if view.startswith("block-") else None
        about = {"view": "stitched" if number else f"whole {view}", "block": number or np.nan}
        about |= where(at[number - 1]) if number else {}
        values = {key: data[key].to_numpy() for key in ("sample", "loss", "distance", "steps")}
        rows.append(pd.DataFrame(values).assign(**about))
    return pd.concat(rows, ignore_index=True)


@torch.no_grad()
def t_sne_rows(pair: Pair, models: Mapping[Place, Classifier]) -> pd.DataFrame:
    """The table ``stitching_t_sne`` but for names.

    At each place a row for each test image and each of two things: what the front computes there
    (balogh2023, Fig. 7), and the representation of the model that is stitched there.
    """
    at, rows = pair.places(), []
    for place, model in models.items():
        front, frm = pair.front.graph.front(place.front), pair.front.model
        batches = [x for x, _ in model_batches(frm, pair.test, pair.device)]
        values = {
            "front": torch.cat([front(frm.prepared(x)).flatten(1) for x in batches]),
            "stitched": torch.cat([model.representation(x) for x in batches]),
        }
        for what, own in values.items():
            numbers = own.double().cpu().numpy()
            places = in_the_plane(numbers, derive_seed(pair.seed, "t_sne", place.front.name, what))
            about = where(place) | {"block": at.index(place) + 1, "of": what}
            made = {"sample": pair.test.ids, "label": pair.test.labels, "x": places[:, 0], "y": places[:, 1]}
            rows.append(pd.DataFrame(made).assign(silhouette=silhouette(numbers, pair.test.labels), **about))
    return pd.concat(rows, ignore_index=True)


def in_the_plane(values: np.ndarray, seed: int) -> np.ndarray:
    """Place samples by t-SNE (van der Maaten and Hinton 2008) of their first principal components.

    Parameters
    ----------
    values : ndarray of shape (n, p)
        Of at least 5 samples.
    seed : int

    Returns
    -------
    ndarray of shape (n, 2)
        Far distances mean nothing. The perplexity is 30, for few samples a third of the others. Zeros if all
        samples are the same.
    """
    if np.ptp(values, axis=0).max() == 0:
        return np.zeros((len(values), 2))
    seed %= 2**32
    components = min(COMPONENTS, *values.shape)
    reduced = decomposition.PCA(components, random_state=seed).fit_transform(values)
    perplexity = min(30.0, (len(values) - 1) / 3)
    made = manifold.TSNE(init="random", perplexity=perplexity, random_state=seed)
    return made.fit_transform(reduced).astype(np.float64)


def silhouette(values: np.ndarray, labels: np.ndarray) -> float:
    """How well classes are apart in the values themselves, from -1 to 1 (Rousseeuw 1987).

    Parameters
    ----------
    values : ndarray of shape (n, p)
    labels : ndarray of int, shape (n,)

    Returns
    -------
    float
        NaN for one class, or as many as there are samples.
    """
    if not 1 < len(np.unique(labels)) < len(labels):
        return float("nan")
    return float(metrics.silhouette_score(values, labels))
