"""Representation inversion: images that a model cannot tell from given ones (jones2022, Section 3.2)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import pandas as pd
import torch
import xarray as xr

from modelkin.batching import batch_rows
from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier, resized
from modelkin.optimise.descent import Descent
from modelkin.optimise.inversion_modes import DEFAULTS
from modelkin.optimise.rescue import rescued
from modelkin.optimise.steps import InTurn, Momentum, QuasiNewton
from modelkin.optimise.watching import Counted, Progress, progress_bar

PUBLISHED, FAST = DEFAULTS["published"], DEFAULTS["fast"]
PART_BYTES = 2**27  # of images that are inverted before any is written


class HasRepresentation(Protocol):
    """A model that can be inverted: any object with a method ``representation``."""

    def representation(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the representation of images.

        Parameters
        ----------
        images : Tensor of shape (n, c, h, w)
            In [0, 1].

        Returns
        -------
        Tensor of shape (n, p)
            Differentiable with respect to the images.
        """


@dataclass(frozen=True)
class Inverted:
    """Inverted images, and how each came out.

    Attributes
    ----------
    images : Tensor of shape (n, c, h, w)
        In [0, 1].
    loss : Tensor of shape (n,)
        Distance of the representation from the target's, relative to the norm of the target's.
    steps : Tensor of int, shape (n,)
    distance : Tensor of shape (n,)
        L2 distance from the seed, pixels being in [0, 1].
    first_loss : Tensor of shape (n,), optional
        Loss that the first try ended with, where failed images were tried again.
    rescued : Tensor of bool, shape (n,), optional
        Whether the image is that of the second try (:func:`modelkin.optimise.rescue.rescued`).
    """

    images: torch.Tensor
    loss: torch.Tensor
    steps: torch.Tensor
    distance: torch.Tensor
    first_loss: torch.Tensor | None = None
    rescued: torch.Tensor | None = None

    @classmethod
    def joined(cls, parts: Sequence[Inverted]) -> Inverted:
        """Join several, one after the other.

        Parameters
        ----------
        parts : sequence of Inverted
            Of one descent.

        Returns
        -------
        Inverted
        """
        known = [field.name for field in fields(cls) if getattr(parts[0], field.name) is not None]
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in known})

    def facts(self) -> dict[str, float]:
        """Summarise how the inversion went.

        Returns
        -------
        dict
            images, median_loss, loss_90 (90 % quantile), median_steps and median_distance. A median loss of
            0.05 or less is a good inversion. Where failed images were tried again also rescued, the share of
            images that this saved, and median_first_loss.
        """
        loss = self.loss.double().cpu().numpy()
        facts = {
            "images": len(loss),
            "median_loss": float(np.median(loss)),
            "loss_90": float(np.quantile(loss, 0.9)),
            "median_steps": float(np.median(self.steps.cpu().numpy())),
            "median_distance": float(np.median(self.distance.double().cpu().numpy())),
        }
        if self.rescued is not None and self.first_loss is not None:
            facts["rescued"] = float(self.rescued.double().mean())
            facts["median_first_loss"] = float(np.median(self.first_loss.double().cpu().numpy()))
        return facts

    @classmethod
    def told(cls, stored: xr.Dataset) -> Inverted:
        """Read how a stored probe came out, without its images.

        Parameters
        ----------
        stored : Dataset
            Of :meth:`to_dataset`.

        Returns
        -------
        Inverted
            Its images have shape (n, 0).
        """
        told = {
            field.name: torch.from_numpy(stored[field.name].values)
            for field in fields(cls)
            if field.name in stored
        }
        return cls(images=torch.zeros(stored.sizes["sample"], 0), **told)

    def to_dataset(self, pairs: pd.DataFrame, classes: list[str]) -> xr.Dataset:
        """Make a dataset of the probe: images labelled as their targets, and how each came out.

        Parameters
        ----------
        pairs : DataFrame
            Of :func:`modelkin.data.probes.seed_target_pairs`, in the order of the images.
        classes : list of str
            Names in the order of the labels.

        Returns
        -------
        Dataset
            image, label, loss, steps and distance along ``sample``; first_loss and rescued where failed
            images were tried again.
        """
        probe = Images(
            self.images.cpu().numpy(), pairs["target_label"].to_numpy(), pairs["sample"].to_numpy(), classes
        )
        told = {name: value for name, value in vars(self).items() if name != "images" and value is not None}
        return probe.to_dataset().assign({k: ("sample", v.cpu().numpy()) for k, v in told.items()})


def published(
    steps: int = PUBLISHED["steps"],
    step_size: float = PUBLISHED["step_size"],
    momentum: float = PUBLISHED["momentum"],
    schedule: str = PUBLISHED["schedule"],
    stop_below: float | None = PUBLISHED["stop_below"],
) -> Descent:
    """Make the descent of jones2022, Section 3.2: momentum along the normalised gradient.

    The best iterate of each sample is kept.

    Parameters
    ----------
    steps : int
    step_size : float
        L2 length of a step, pixels being in [0, 1].
    momentum : float
        Share of the earlier direction in each step.
    schedule : {"constant", "cosine"}
        Of the step size over the steps.
    stop_below : float, optional
        Relative loss at which a sample is finished.

    Returns
    -------
    Descent
    """
    return Descent(steps, Momentum(step_size, decay=momentum, schedule=schedule), stop_below=stop_below)


def fast(
    steps: int = FAST["steps"],
    step_size: float = FAST["step_size"],
    momentum: float = FAST["momentum"],
    finish_below: float = FAST["finish_below"],
    memory: int = FAST["memory"],
    stop_below: float = FAST["stop_below"],
) -> Descent:
    """Make a descent that starts as the published one and ends with quasi-Newton steps.

    The first steps decide which of the images that the model cannot tell apart is found, and with it every
    similarity, so they are the paper's; the last ones only decide how soon.

    Parameters
    ----------
    steps : int
        In all, at most.
    step_size, momentum : float
        Of the first steps, as in :func:`published`.
    finish_below : float
        Relative loss below which a sample goes on with quasi-Newton steps.
    memory : int
        Past steps whose curvature these use (see :class:`~modelkin.optimise.steps.QuasiNewton`).
    stop_below : float
        Relative loss at which a sample is finished.

    Returns
    -------
    Descent
    """
    rule = InTurn(Momentum(step_size, decay=momentum), QuasiNewton(memory), finish_below)
    return Descent(steps, rule, stop_below=stop_below)


MODES = {"published": published, "fast": fast}


def invert(
    model: HasRepresentation,
    seeds: torch.Tensor,
    targets: torch.Tensor,
    descent: Descent | None = None,
    *,
    batch_size: int | None = None,
    rescue_above: float | None = None,
    progress: Progress | None = None,
) -> Inverted:
    """Change seed images until a model's representations of them are those of target images.

    A sample's loss is ||rep(x) - rep(target)|| / ||rep(target)|| (jones2022, Section 3.2).

    Parameters
    ----------
    model : HasRepresentation
        A :class:`~modelkin.networks.classifier.Classifier`, or any object with a differentiable
        ``representation``.
    seeds, targets : Tensor of shape (n, c, h, w)
        In [0, 1], on the model's device.
    descent : Descent, optional
        :func:`fast` by default, or :func:`published`.
    batch_size : int, optional
        Images at a time; all by default. A sample that is finished makes room for the next.
    rescue_above : float, optional
        Loss above which a sample is tried again, see :func:`modelkin.optimise.rescue.rescued`; by default
        none is.
    progress : callable, optional
        Called at every step with the finished samples, the evaluations of the model so far, and the median
        loss; by default a bar is shown at a terminal and in a notebook.

    Returns
    -------
    Inverted

    Raises
    ------
    ModelkinError
        If shapes differ, or a target's representation is zero or not finite, for which the loss is undefined.
    """
    if seeds.shape != targets.shape:
        raise ModelkinError(f"seeds {tuple(seeds.shape)} and targets {tuple(targets.shape)} differ in shape.")
    with torch.no_grad():
        wanted = torch.cat([model.representation(part) for part in targets.split(batch_size or len(targets))])
    norms = torch.linalg.vector_norm(wanted, dim=1)
    if not torch.isfinite(norms).all():
        raise ModelkinError("the model's representations of the targets contain NaN or infinite values.")
    if (norms == 0).any():
        raise ModelkinError(
            f"the model's representation is zero for {int((norms == 0).sum())} of {len(norms)} targets, "
            "so no relative loss is defined; it has probably failed to train: give it `retired: true`."
        )

    def losses(x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        offset = model.representation(x) - wanted[index]
        return torch.linalg.vector_norm(offset, dim=1) / norms[index]

    with contextlib.nullcontext(progress) if progress else progress_bar(len(seeds), "inverting") as told:
        descent, counted = descent or fast(), Counted(told)
        found = first = descent.run(losses, seeds, batch_size=batch_size, progress=counted)
        counted.next()
        again: dict[str, torch.Tensor] = {}
        if rescue_above is not None:
            found, saved = rescued(
                losses, seeds, first, descent, above=rescue_above, batch_size=batch_size, progress=counted
            )
            again = {"first_loss": first.losses, "rescued": saved}
    distance = torch.linalg.vector_norm((found.images - seeds).flatten(1), dim=1)
    return Inverted(found.images, found.losses, found.steps, distance, **again)


def inversion_parts(
    model: Classifier,
    images: Images,
    pairs: pd.DataFrame,
    descent: Descent,
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
    rescue_above: float | None = None,
    progress: Progress | None = None,
) -> Iterator[Callable[[], xr.Dataset]]:
    """Split the inverted probe of a model into parts, so that all need not be in memory.

    Parameters
    ----------
    model : Classifier
    images : Images
        Scaled to the model's own size.
    pairs : DataFrame
        Ids of ``images``, of :func:`modelkin.data.probes.seed_target_pairs`.
    descent : Descent
    batch_size : int, optional
        Images at a time; by default what suits their size and the device.
    device : torch.device or str
    rescue_above : float, optional
        As in :func:`invert`.
    progress : callable, optional
        As in :meth:`modelkin.optimise.descent.Descent.run`, counted over all parts that are computed.

    Yields
    ------
    callable
        Without arguments; inverts some of the pairs and returns :meth:`Inverted.to_dataset` of them.
    """
    rows = max(1, PART_BYTES // (4 * images.shape[0] * model.size**2))
    batch_size = batch_size or batch_rows(model.size, device)
    before = 0

    def inverted(start: int) -> xr.Dataset:
        nonlocal before
        part, now = pairs.iloc[start : start + rows], 0

        def report(done: int, evaluations: int, loss: float) -> None:
            nonlocal now
            now = evaluations
            if progress is not None:
                progress(start + done, before + evaluations, loss)

        seeds, targets = (
            resized(
                torch.from_numpy(images.floats(images.rows(part[role]))).to(device), model.size, model.resize
            )
            for role in ("seed", "target")
        )
        found = invert(
            model,
            seeds,
            targets,
            descent,
            batch_size=batch_size,
            rescue_above=rescue_above,
            progress=report,
        )
        before += now
        return found.to_dataset(part, images.classes)

    for start in range(0, len(pairs), rows):
        yield functools.partial(inverted, start)
