"""Which views of a study's models are compared, and how what is found is kept."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xarray as xr

from modelkin import probe_kinds, seeds
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.layers.batches import Batch, all_at_once, minibatches
from modelkin.layers.maps import PROCRUSTES, Comparison, Map
from modelkin.layers.views import LayeredModel, View, describe
from modelkin.store import manifests
from modelkin.store.arrays import open_dataset
from modelkin.store.resumable import Part, write_in_parts

# What is measured, by the features that it takes: all, their means over positions, or all up to a rotation.
MEASURES = {"all": "layer_cka", "pooled": "pooled_layer_cka", "rotated": PROCRUSTES}
TRAINED, UNTRAINED = "trained", "untrained"
Weights = Mapping[str, torch.Tensor] | None


def within_maps(
    model: LayeredModel,
    images: Mapping[str, Images],
    dataset: str,
    untrained: Weights,
    features: Iterable[str],
    by_procrustes: bool = False,
) -> list[Map]:
    """A model with itself: on images of each kind, and on natural against each adversarial kind.

    Parameters
    ----------
    model : LayeredModel
    images : mapping of str to Images
        By kind; adversarial ones were made for the model.
    dataset : str
        The label of the natural images' dataset.
    untrained : mapping of str to Tensor or None
        Random weights, with which all is done once more.
    features : iterable of {"all", "pooled"}
    by_procrustes : bool
        Whether natural images are compared by Procrustes too.

    Returns
    -------
    list of Map
    """
    maps = []
    for weights, found in _weightings(untrained):
        views = {kind: View(model, shown, found) for kind, shown in images.items()}
        for each in features:
            for kind, view in views.items():
                source = model.name if probe_kinds.is_adversarial(kind) else dataset
                maps.append(_map(view, view, each, kind, kind, source, weights))
                if probe_kinds.is_adversarial(kind):
                    maps.append(_map(views["natural"], view, each, "natural", kind, source, weights))
        if by_procrustes:
            natural = views["natural"]
            maps.append(_map(natural, natural, "rotated", "natural", "natural", dataset, weights))
    return maps


def between_maps(
    a: LayeredModel,
    b: LayeredModel,
    images: Mapping[tuple[str, str], Images],
    untrained: tuple[Weights, Weights],
    features: Iterable[str],
    by_procrustes: bool = False,
) -> list[Map]:
    """Two models on the same images: natural ones, and those made for either.

    Parameters
    ----------
    a, b : LayeredModel
    images : mapping of (str, str) to Images
        By kind and source: a dataset or the name of one of the models.
    untrained : tuple
        Random weights of each, or None for both.
    features : iterable of {"all", "pooled"}
    by_procrustes : bool
        Whether natural images are compared by Procrustes too.

    Returns
    -------
    list of Map
    """
    maps = []
    for (weights, of_a), (_, of_b) in zip(*map(_weightings, untrained), strict=True):
        views = {key: (View(a, shown, of_a), View(b, shown, of_b)) for key, shown in images.items()}
        for each in features:
            for (kind, source), pair in views.items():
                maps.append(_map(*pair, each, kind, kind, source, weights))
        if by_procrustes:
            key = next(key for key in views if key[0] == "natural")
            maps.append(_map(*views[key], "rotated", *("natural", "natural", key[1]), weights))
    return maps


def snapshot_maps(
    model: LayeredModel, snapshots: Mapping[int, Weights], images: Images, best: int, against: str
) -> list[Map]:
    """A model along its training: each snapshot with the last, the best and the next one, or all of them.

    Parameters
    ----------
    model : LayeredModel
    snapshots : mapping of int to mapping
        Weights by epoch, ascending.
    images : Images
    best : int
        The best one's epoch.
    against : {"last", "all"}

    Returns
    -------
    list of Map
    """
    epochs = list(snapshots)
    views = {epoch: View(model, images, _kept_apart(weights, model)) for epoch, weights in snapshots.items()}
    if against == "all":
        pairs = [(a, b) for a in epochs for b in epochs if a <= b]
    else:
        wanted = [*((a, other) for other in (epochs[-1], best) for a in epochs), *pairwise(epochs)]
        pairs = list(dict.fromkeys(wanted))
    return [
        Map(views[a], views[b], about={"epoch_a": str(a), "epoch_b": str(b), "measure": MEASURES["all"]})
        for a, b in pairs
    ]


def _kept_apart(weights: Weights, model: LayeredModel) -> Weights:
    """The weights; a copy if they are the network's own tensors, which change when others are loaded."""
    own = {value.data_ptr() for value in model.model.network.state_dict().values()}
    if weights is None or not any(value.data_ptr() in own for value in weights.values()):
        return weights
    return {name: value.clone() for name, value in weights.items()}


def best_epoch(evaluations: pd.DataFrame, robust: bool) -> int:
    """The snapshot of the lowest loss on test images, attacked ones if the model is robust."""
    loss = evaluations["test_adversarial_loss" if robust else "test_loss"]
    return int(evaluations.loc[loss.idxmin(), "epoch"])


def deal(images: int, estimator: Mapping[str, Any], seed: int) -> list[Batch]:
    """Deal images into the batches of an estimator: the same for all comparisons of a study of that seed."""
    if estimator["name"] == "exact":
        return all_at_once(images)
    return minibatches(images, estimator["batch"], estimator["passes"], seeds.derive_seed(seed, "layers"))


def write_comparison(
    manifest: str | Path,
    maps: Sequence[Map],
    estimator: Mapping[str, Any],
    *,
    seed: int,
    progress: Callable[[int], Callable[[int], None]],
    more_facts: Mapping[str, Any] | None = None,
    **about: Any,
) -> None:
    """Compare batch by batch, each kept as soon as it is computed, as one artifact.

    Parameters
    ----------
    manifest : path
    maps : sequence of Map
    estimator : mapping
        Of the config: exact ones take all images as one batch and keep what each contributes.
    seed : int
        Of the study.
    progress : callable
        Given the number of batches, gives what is called with the number of those that are done.
    more_facts : mapping, optional
        For the manifest.
    **about
        As in :func:`modelkin.store.manifests.write`.

    Raises
    ------
    ModelkinError
        If the Gram matrices of a batch need more memory than there is.
    """
    first, exact = maps[0], estimator["name"] == "exact"
    comparison = Comparison(maps, exact=exact, seed=seeds.derive_seed(seed, "layers"))
    batches = deal(len(first.a.images), estimator, seed)
    done = progress(len(batches))
    needed = comparison.memory(max(len(each.rows) for each in batches))
    check_memory(needed, first.a.model.model.mean.device, exact)

    def computed(batch: Batch) -> list[xr.Dataset]:
        return [comparison.batch(batch)]

    def parts() -> Iterator[Part]:
        for number, batch in enumerate(batches, start=1):
            yield Part(functools.partial(computed, batch), name=f"batch {batch.name}")
            done(number)

    facts = {
        "layers_a": describe(first.a.model),
        "layers_b": describe(first.b.model),
        "images": len(first.a.images),
        "batches": len(batches),
        "exact": exact,
        **(more_facts or {}),
    }
    write_in_parts(manifest, parts(), facts=lambda: facts, **about)


def check_memory(needed: int, device: torch.device, exact: bool) -> None:
    """ModelkinError if so many bytes are more than a device has free."""
    free = _free_memory(device)
    if free is not None and needed > free:
        how = "take `estimator: {name: minibatch}`" if exact else "ask for a smaller `batch`"
        raise ModelkinError(
            f"layers: the Gram matrices of a batch take {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB of "
            f"memory are free; {how}, for fewer layers or for fewer kinds of images."
        )


def _free_memory(device: torch.device) -> int | None:
    """Bytes; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = dict(line.split(":", 1) for line in lines)
    return 1024 * int(found["MemAvailable"].split()[0]) if "MemAvailable" in found else None


def _weightings(untrained: Weights) -> list[tuple[str, Weights]]:
    return [(TRAINED, None), *([(UNTRAINED, untrained)] if untrained is not None else [])]


def _map(a: View, b: View, features: str, kind_a: str, kind: str, source: str, weights: str) -> Map:
    about = {
        "kind_a": kind_a,
        "kind": kind,
        "source": source,
        "weights": weights,
        "measure": MEASURES[features],
    }
    return Map(a, b, MEASURES[features], about)


def read_comparison(manifest: str | Path) -> xr.Dataset:
    """Read what :func:`write_comparison` kept, into memory."""
    return open_dataset(manifests.store_of(manifest)).load()
