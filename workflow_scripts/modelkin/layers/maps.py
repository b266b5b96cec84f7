"""Layer maps: views compared layer by layer, batch by batch.

One forward pass of each view serves all maps that it is in. What a batch gives is kept as it is (HSIC, not
CKA), so that :mod:`modelkin.layers.estimates` can say how sure a value is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import xarray as xr

from modelkin import seeds
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.layers import estimates, procrustes
from modelkin.layers.batches import Batch, all_at_once, minibatches
from modelkin.layers.grams import Gram, inner_products, permuted, row_products
from modelkin.layers.views import LayeredModel, View, describe
from modelkin.networks.classifier import Classifier
from modelkin.store.arrays import sample_coordinate

ABOUT = ("index", "operation", "depth", "stage", "cut_point", "block_end")  # of layers, as coordinates
SIZE = 4  # bytes of an entry of a Gram matrix
PROCRUSTES = "layer_procrustes"  # the measure that needs no Gram matrices


@dataclass(frozen=True, eq=False)
class Map:
    """Two views to be compared.

    Attributes
    ----------
    a, b : View
        Of the same images in the same order: as they are, or changed by an attack.
    measure : str
        One of :data:`modelkin.layers.views.MEASURES`.
    about : mapping of str to str
        What tells it from the other maps of a comparison; all of these say the same things.
    """

    a: View
    b: View
    measure: str = "layer_cka"
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps of the same two models, perhaps with other weights or on other images.

    Attributes
    ----------
    maps : sequence of Map
    exact : bool
        Whether all images are one batch, and each image's contribution is kept.
    seed : int
        Of the permutations that tell what chance gives.
    views : list of View
        Those of all maps, each once.

    Raises
    ------
    ModelkinError
        If two views are of other images or in another order.
    """

    maps: Sequence[Map]
    exact: bool = False
    seed: int = 0
    views: list[View] = field(init=False)

    def __post_init__(self):
        for each in self.maps:
            if each.a.images.ids.tolist() != each.b.images.ids.tolist():
                raise ModelkinError(
                    f"{each.a.model.name} and {each.b.model.name} are shown other images, or the same "
                    "ones in another order; views are compared on the same samples."
                )
            if self.exact and each.measure == PROCRUSTES:
                raise ModelkinError(
                    "Procrustes similarity is of batches; take the minibatch estimator, if you like with one "
                    "batch of all images."
                )
        views = [view for each in self.maps for view in (each.a, each.b)]
        object.__setattr__(self, "views", list(dict.fromkeys(views)))

    def memory(self, batch: int) -> int:
        """Count the bytes that the Gram matrices of all views take.

        Parameters
        ----------
        batch : int
            Images at a time.

        Returns
        -------
        int
        """
        matrices = sum(
            len(view.model.layers) * sum(2 if each == PROCRUSTES else 1 for each in self._measures(view))
            for view in self.views
        )
        # The larger view is held twice while its samples are permuted.
        matrices += max(len(view.model.layers) for view in self.views)
        return matrices * batch**2 * SIZE

    def _measures(self, view: View) -> list[str]:
        return list(dict.fromkeys(each.measure for each in self.maps if view in (each.a, each.b)))

    def batch(self, batch: Batch) -> xr.Dataset:
        """Compare all maps on one batch.

        Parameters
        ----------
        batch : Batch

        Returns
        -------
        Dataset
            ``hsic`` and ``chance`` (sample, map, layer_a, layer_b), the latter with b's samples permuted (of
            Procrustes the similarity itself, each ``own`` being 1);
            ``own_a`` (sample, map, layer_a) and ``own_b``; ``right_a`` and ``right_b`` (sample, map), the
            images that are classified rightly; ``images`` and ``shuffle`` (sample,). A sample is the batch,
            or each image of it if ``exact``: then what it contributes, up to one factor.
        """
        looked = {view: self._look(view, batch.rows) for view in self.views}
        found = self._compared_all(looked, batch)
        first = self.maps[0]
        ids = first.a.images.ids[batch.rows] if self.exact else [batch.name]
        dims = {
            **dict.fromkeys(("hsic", "chance"), ("sample", "map", "layer_a", "layer_b")),
            **{f"own_{side}": ("sample", "map", f"layer_{side}") for side in "ab"},
            **{f"right_{side}": ("sample", "map") for side in "ab"},
        }
        data: dict[str, Any] = {
            name: (dims[name], np.stack([one[name] for one in found], axis=1)) for name in dims
        }
        data["images"] = ("sample", np.full(len(ids), 1 if self.exact else len(batch.rows)))
        data["shuffle"] = ("sample", np.full(len(ids), batch.shuffle))
        coords = {
            "sample": sample_coordinate(ids),
            **{
                name: ("map", sample_coordinate([each.about[name] for each in self.maps]))
                for name in first.about
            },
            **_layer_coordinates(first.a.model, "a"),
            **_layer_coordinates(first.b.model, "b"),
        }
        return xr.Dataset(data, coords=coords)

    def _look(self, view: View, rows: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """What is compared of a view by measure, and which images it classifies rightly."""
        device = view.model.model.mean.device
        images = torch.from_numpy(view.images.floats(rows)).to(device)
        prepared, logits = view.model.look(images, self._measures(view), view.weights)
        right = logits.argmax(1).cpu().numpy() == view.images.labels[rows]
        stacked = {name: found if name == PROCRUSTES else Stack.of(found) for name, found in prepared.items()}
        return stacked, right

    def _compared_all(self, looked: Mapping[View, tuple], batch: Batch) -> list[dict[str, np.ndarray]]:
        """What :meth:`_compared` finds for each map; a view is permuted once for all maps that it is b of."""
        order = torch.from_numpy(
            seeds.generator(self.seed, "chance", batch.name).permutation(len(batch.rows))
        )
        found: dict[int, dict[str, np.ndarray]] = {}
        for view, measure in dict.fromkeys((each.b, each.measure) for each in self.maps):
            of_b = looked[view][0][measure]
            other = order if measure == PROCRUSTES else permuted(of_b.units, order.to(of_b.units.device))
            for number, each in enumerate(self.maps):
                if each.b is view and each.measure == measure:
                    found[number] = self._compared(each, looked, other, len(batch.rows))
        return [found[number] for number in range(len(self.maps))]

    def _compared(
        self, each: Map, looked: Mapping[View, tuple], other: torch.Tensor, n: int
    ) -> dict[str, np.ndarray]:
        """What one map is on n images; other: b's Gram matrices of permuted images, or their order."""
        (prepared_a, right_a), (prepared_b, right_b) = looked[each.a], looked[each.b]
        a, b = prepared_a[each.measure], prepared_b[each.measure]
        if self.exact:
            return {
                "hsic": _numbers(row_products(a.units, b.units)),
                "chance": _numbers(row_products(a.units, other)),
                "own_a": _numbers(a.units.square().sum(2).T),
                "own_b": _numbers(b.units.square().sum(2).T),
                "right_a": right_a,
                "right_b": right_b,
            }
        right = {"right_a": right_a.sum(keepdims=True), "right_b": right_b.sum(keepdims=True)}
        if each.measure == PROCRUSTES:  # a mean over batches: each weighs 1 where it is defined
            return right | {
                "hsic": procrustes.similarities(a, b)[None],
                "chance": procrustes.similarities(a, b, other)[None],
                "own_a": np.array([[layer.defined for layer in a]]),
                "own_b": np.array([[layer.defined for layer in b]]),
            }
        lengths = np.outer(a.norms, b.norms) / (n * (n - 3))
        return right | {
            "hsic": _numbers(inner_products(a.units, b.units))[None] * lengths,
            "chance": _numbers(inner_products(a.units, other))[None] * lengths,
            "own_a": a.norms[None] ** 2 / (n * (n - 3)),
            "own_b": b.norms[None] ** 2 / (n * (n - 3)),
        }


@dataclass(frozen=True, eq=False)
class Stack:
    """U-centred Gram matrices of several layers.

    Attributes
    ----------
    units : Tensor of shape (k, n, n)
        Of norm 1.
    norms : ndarray of float64, shape (k,)
    """

    units: torch.Tensor
    norms: np.ndarray

    @classmethod
    def of(cls, grams: list[Gram]) -> Stack:
        """Stack the matrices of some layers.

        Parameters
        ----------
        grams : list of Gram

        Returns
        -------
        Stack
        """
        return cls(torch.stack([each.unit for each in grams]), np.array([each.norm for each in grams]))


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.cpu().numpy()


def _layer_coordinates(model: LayeredModel, side: str) -> dict[str, tuple[str, np.ndarray] | np.ndarray]:
    """What is known of a model's layers as coordinates of ``layer_a`` or ``layer_b``."""
    rows = describe(model)
    about = {
        f"{name}_{side}": (f"layer_{side}", np.array([row[name] for row in rows], dtype=_type(name)))
        for name in ABOUT
    }
    return {f"layer_{side}": sample_coordinate([str(row["layer"]) for row in rows]), **about}


def _type(name: str) -> type | None:
    return object if name == "operation" else None


def layer_map(
    model_a: Classifier,
    model_b: Classifier,
    images_a: Images,
    images_b: Images | None = None,
    layers: str | Iterable[str] = "all",
    *,
    batch: int | None = 256,
    passes: int = 3,
    features: str = "all",
    seed: int = 0,
    measure: str = "cka",
) -> xr.Dataset:
    """Compare two models layer by layer, by linear CKA (unbiased HSIC) or by Procrustes similarity.

    Parameters
    ----------
    model_a, model_b : Classifier
        May be one and the same, and on any device; each scales images to its own size.
    images_a : Images
        What the first model sees.
    images_b : Images, optional
        What the second one sees: the same samples in the same order, perhaps changed by an attack; by default
        the very same images.
    layers : str or iterable of str
        'all', 'cuts', kinds of operation (convolution, norm, activation, pooling, linear, attention,
        addition), names, or patterns of names (``layer1.*``).
    batch : int or None
        Images compared at a time, by minibatch CKA; None for all at once, exact debiased CKA.
    passes : int
        How often the images are dealt out anew.
    features : {"all", "pooled"}
        Of each layer: all its outputs, or their means over positions, which is another measure.
    seed : int
        Of batches and permutations.
    measure : {"cka", "procrustes"}
        The latter is the mean over batches of the measure `procrustes`, (2 - d) / 2 with d the distance after
        the best rotation, of all outputs. It has no unbiased estimator: with fewer images than features it is
        far above 0 by chance. It is slower by far, with the cube of the batch for each cell.

    Returns
    -------
    Dataset
        ``value``, ``stderr``, ``chance`` (layer_a, layer_b): similarity, its jackknife standard error over
        batches (over images if exact), its value for permuted images. NaN where a layer is constant or not
        finite, which ``undefined_a`` and ``undefined_b`` say; never clamped. Coordinates of layers: index,
        operation, depth (0 to 1), stage, cut_point and block_end, with ``_a`` or ``_b`` after them. Attribute
        n: images.

    Raises
    ------
    ModelkinError
        If a network cannot be followed, a name means no layer, or images do not go together.

    Notes
    -----
    HSIC_1 of Song et al. (2012), equation 5, averaged over batches weighted by their images as in Nguyen et
    al. (2021), equation 3. A batch's Gram matrices of all layers of both models are held at a time.

    Examples
    --------
    >>> from modelkin import layer_map, load_images, load_model
    >>> test = load_images("results/digits/dataset.json", "test")  # doctest: +SKIP
    >>> standard = load_model("results/digits/models/vgg-0.json")  # doctest: +SKIP
    >>> robust = load_model("results/digits/models/vgg-1.json")  # doctest: +SKIP
    >>> found = layer_map(standard, robust, test, layers="cuts", batch=100)  # doctest: +SKIP
    >>> found["value"].to_pandas().round(2)  # doctest: +SKIP
    """
    first = LayeredModel(model_a, layers, "the first model")
    second = first if model_b is model_a else LayeredModel(model_b, layers, "the second model")
    a = View(first, images_a)
    same = second is first and images_b is None
    b = a if same else View(second, images_a if images_b is None else images_b)
    exact = batch is None
    comparison = Comparison([Map(a, b, _measure(features, measure))], exact=exact, seed=seed)
    number = len(images_a)
    dealt = all_at_once(number) if batch is None else minibatches(number, batch, passes, seed)
    parts = xr.concat([comparison.batch(each) for each in dealt], "sample", data_vars="all")
    return estimates.estimate(parts, exact=exact).isel(map=0, drop=True)


def _measure(features: str, measure: str) -> str:
    """The name of what is measured; ModelkinError if there is none."""
    names = {
        ("all", "cka"): "layer_cka",
        ("pooled", "cka"): "pooled_layer_cka",
        ("all", "procrustes"): PROCRUSTES,
    }
    for what, given in (("features", features), ("measure", measure)):
        known = list(dict.fromkeys(pair[what == "measure"] for pair in names))
        if given not in known:
            raise ModelkinError(f"{what} must be one of {', '.join(known)}, not {given}.")
    if (features, measure) not in names:
        raise ModelkinError("Procrustes similarity is of all outputs; leave `features` out.")
    return names[features, measure]
