"""Where a model decides: its regions on planes through three images, and how far its boundary is from images.

What is asked of a model is the same for all models, so each is run once, and pairs are compared without it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr

from modelkin.batching import MemoryFittingBatches, batch_rows
from modelkin.comparison.activations import saliency_chunks
from modelkin.comparison.measures.boundary_distance import HALVINGS
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.store.arrays import sample_coordinate

MARGIN = 0.1  # of a plane's sides, beyond its three images


def decision_regions_of(
    model,
    images: Images,
    rng: np.random.Generator,
    *,
    triplets: int,
    grid: int,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """regions (triplet, grid x grid): the class of every point of planes through three images
    (Somepalli et al. 2022, Section 3.1).

    rng: draws the triplets. A plane's sides are along the first image's way to the second and at right angles
    to it, so that all three lie within, with a tenth to spare. Pixels are kept within [0, 1], as models take
    them, so beyond its images a plane can bend.
    """
    chosen = [rng.choice(len(images), 3, replace=False) for _ in range(triplets)]
    classes = []
    for rows in chosen:
        corners = torch.from_numpy(images.floats(rows)).to(device)
        classes.append(
            np.concatenate([_classes(model, points) for points in _plane(corners, grid, model.size)])
        )
    ids = ["+".join(images.ids[rows]) for rows in chosen]
    return xr.Dataset(
        {"regions": (("sample", "point"), np.stack(classes).astype(np.int32))},
        coords={"sample": sample_coordinate(ids)},
    )


def _plane(corners: torch.Tensor, grid: int, size: int) -> Iterator[torch.Tensor]:
    """The points of the plane through three images (3, c, h, w), as many at a time as a model takes."""
    first, second, third = corners.double().flatten(1)
    across, along = third - first, second - first
    length = torch.linalg.vector_norm(along)
    unit = along / length if length > 0 else along
    shadow = across @ unit
    up = across - shadow * unit
    low, high = min(0.0, float(shadow)), max(float(length), float(shadow))
    steps = torch.linspace(-MARGIN, 1 + MARGIN, grid, dtype=first.dtype, device=first.device)
    places = torch.cartesian_prod(steps, low + steps * (high - low))
    for part in places.split(batch_rows(max(size, corners.shape[-1]), corners.device)):
        points = first + part[:, :1] * up + part[:, 1:] * unit
        yield points.clamp(0, 1).to(corners.dtype).view(-1, *corners.shape[1:])


def boundary_distances_of(
    model,
    images: Images,
    rng: np.random.Generator,
    *,
    samples: int,
    direction: str,
    steps: int,
    device: torch.device | str = "cpu",
) -> xr.Dataset:
    """distances (sample, 2): whether the model is right on an image, and how far it is from the image, in a
    direction, to the first point at which it names another class (Tramer et al. 2017, Section 5.1).

    samples: of the images, at equal distances. direction: 'other_class', towards the nearest image of another
    class; 'random', a normal one drawn by rng; or 'gradient', that in which the model's own loss rises
    fastest, so that models go different ways. The search always ends as far away as that image; a boundary
    that is not found by then counts as there. It is looked for in so many steps, and then by halving one.
    Pixels are kept within [0, 1], and distances are L2.
    """
    few = images.spread(samples)
    x, y = torch.from_numpy(few.floats()).to(device), torch.from_numpy(few.labels).to(device)
    way = _to_other_class(few, images, device) - x
    reach = torch.linalg.vector_norm(way.flatten(1), dim=1)
    if direction == "random":
        way = _of_length(torch.from_numpy(rng.normal(size=tuple(x.shape))).to(x), reach)
    elif direction == "gradient":
        parts = [part["saliency"].to_numpy() for part in saliency_chunks(model, few, device=device)]
        way = _of_length(torch.from_numpy(np.concatenate(parts)).to(x), reach)
    found = [
        _first_crossing(model, *part, steps)
        for part in zip(
            *(v.split(batch_rows(max(model.size, x.shape[-1]), device)) for v in (x, way, y)), strict=True
        )
    ]
    right, share = (np.concatenate(values) for values in zip(*found, strict=True))
    values = np.stack([right, share * reach.cpu().numpy()], axis=1).astype(np.float32)
    return xr.Dataset(
        {"distances": (("sample", "value"), values)}, coords={"sample": sample_coordinate(few.ids)}
    )


def _of_length(ways: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """ways (n, c, h, w) scaled to L2 lengths (n,); those that lead nowhere stay so."""
    now = torch.linalg.vector_norm(ways.flatten(1), dim=1)
    scale = torch.where(now > 0, lengths / now, torch.zeros_like(now))
    return ways * scale.view(-1, 1, 1, 1)


def _first_crossing(model, x, way, y, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """right (b,), and the share (b,) of the way from each image to the first point of another class."""

    def crossed(share: torch.Tensor) -> torch.Tensor:
        points = (x + share.view(-1, 1, 1, 1) * way).clamp(0, 1)
        return torch.from_numpy(_classes(model, points)).to(y) != y

    right = ~crossed(torch.zeros(len(x), device=x.device))
    far = torch.ones(len(x), device=x.device)
    found = torch.zeros_like(right)
    for step in range(1, steps + 1):
        here = torch.full_like(far, step / steps)
        new = crossed(here) & ~found
        far, found = torch.where(new, here, far), found | new
    near = torch.where(found, far - 1 / steps, far)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        beyond = crossed(middle)
        near, far = torch.where(beyond, near, middle), torch.where(beyond, middle, far)
    # Where nothing was found, both ends of the last step are the end of the search.
    return right.cpu().numpy(), far.cpu().numpy()


def _to_other_class(few: Images, images: Images, device) -> torch.Tensor:
    """For each of few images the nearest of another class (n, c, h, w)."""
    x, y = torch.from_numpy(few.floats()).to(device), torch.from_numpy(few.labels).to(device)
    nearest, best = torch.zeros_like(x), torch.full((len(x),), torch.inf, device=device)
    for part in images.chunks():
        others, labels = (torch.from_numpy(v).to(device) for v in (part.floats(), part.labels))
        apart = torch.cdist(x.flatten(1), others.flatten(1))
        apart = torch.where(y[:, None] == labels, torch.inf, apart)
        lowest, where = apart.min(1)
        closer = lowest < best
        nearest[closer], best[closer] = others[where[closer]], lowest[closer]
    if not torch.isfinite(best).all():
        raise ModelkinError(
            "boundary_distance looks towards images of another class, but the natural probe has images of "
            "one only; draw more of them (probes: natural)."
        )
    return nearest


@torch.no_grad()
def _classes(model, images: torch.Tensor) -> np.ndarray:
    """The class (n,) that a model gives each image (n, c, h, w); ModelkinError unless logits are finite."""
    logits = torch.cat(MemoryFittingBatches()(model, images))
    if not torch.isfinite(logits).all():
        raise ModelkinError("the model returns NaN or infinite values near images of the natural probe.")
    return logits.argmax(1).cpu().numpy()
