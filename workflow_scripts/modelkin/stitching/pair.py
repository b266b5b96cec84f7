"""All that is asked of one pair of models: matching, trainings and baselines at all blocks, each judged."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from modelkin.data.images import Images
from modelkin.errors import ModelkinError
from modelkin.networks.classifier import Classifier, frozen, model_batches
from modelkin.seeds import derive_seed
from modelkin.stitching import judging, layouts, matching, settings
from modelkin.stitching.matching import FAMILIES, Moments
from modelkin.stitching.places import Place, cut_points, places
from modelkin.stitching.settings import Training
from modelkin.stitching.stitched import Halves, Stitch, halves, stitched_model
from modelkin.stitching.training import Keepers, Trained, train_stitches
from modelkin.training.augmentation import CropAndFlip
from modelkin.training.schedule import Schedule

LOG = logging.getLogger("modelkin")
STATISTICS_IMAGES = 512  # of which networks with random weights take their norms' statistics


class Pair(NamedTuple):
    """Two models and the images of the task: training images for the stitches, test images to judge them.

    section: the config's, filled; its attack has norm, radius, steps, step_size.
    """

    front: Halves
    end: Halves
    train: Images
    test: Images
    section: Mapping[str, Any]
    seed: int
    device: torch.device | str

    def places(self) -> list[Place]:
        """Where they are stitched."""
        return places(*(self.cuts(half) for half in (self.front, self.end)))

    def cuts(self, half: Halves):
        """The cut points of one of them that are asked for."""
        return cut_points(half.graph, self.section["at"], self.section["before_activation"])

    def moments(self, pairs, images: Images) -> dict[tuple[str, str], Moments]:
        """Of these pairs of cut points, over these images."""
        batches = (x for x, _ in model_batches(self.front.model, images, self.device))
        return matching.moments(self.front, self.end, pairs, batches)

    def stitched(self, place: Place, stitch: Stitch) -> Classifier:
        """The model with that stitch at that place."""
        return stitched_model(self.front, place.front, stitch, self.end, place.end)

    def new_stitch(self, place: Place) -> Stitch:
        """An untrained one, by torch's global generator."""
        made = Stitch(self.front.layout(place.front), self.end.layout(place.end))
        return made.to(self.device)


def matched(pair: Pair) -> tuple[pd.DataFrame, dict[Place, tuple[torch.Tensor, torch.Tensor]]]:
    """The table ``stitching_matching`` but for names, and the maps at the places.

    A row for each family of maps and each cut point of the front with each of the end that it fits; the maps
    are those of least squares.
    """
    fronts, ends = pair.cuts(pair.front), pair.cuts(pair.end)
    every = [Place(a, b) for a in fronts for b in ends if _fits(pair, a, b)]
    if not every:
        raise ModelkinError("no block of the front fits one of the end; leave the pair out.")
    trained, tested = pair.moments(every, pair.train), pair.moments(every, pair.test)
    at, rows, maps = pair.places(), [], {}
    judged: list[tuple[dict[str, Any], Place, Stitch]] = []
    for place in every:
        key = (place.front.name, place.end.name)
        for family in FAMILIES:
            row = where(place) | {"family": family, "stitched_here": place in at}
            row |= dict.fromkeys(("r2", "r2_train", "accuracy", "accuracy_low", "accuracy_high"), np.nan)
            try:
                found = matching.solve(trained[key], family)
            except ModelkinError as error:
                rows.append(row | {"note": str(error)})
                continue
            row |= {"note": "", "r2": matching.r2(*found, tested[key])}
            row |= {"r2_train": matching.r2(*found, trained[key])}
            if family == "least_squares":
                maps[place] = found
            if family == "least_squares" or place in at:
                judged.append((row, place, pair.new_stitch(place).set(*found)))
            row |= {"n": len(pair.test), "n_train": len(pair.train)}
            rows.append(row)
    if not maps:
        raise ModelkinError(rows[0]["note"])
    answers = predicted_together(pair, [(place, stitch) for _, place, stitch in judged])
    for (row, *_), given in zip(judged, answers, strict=True):
        row |= judging.shares("accuracy", given == pair.test.labels)
    return pd.DataFrame(rows), {place: maps[place] for place in at if place in maps}


@torch.no_grad()
def predicted_together(pair: Pair, stitches: Sequence[tuple[Place, Stitch]]) -> np.ndarray:
    """The class that each stitched model gives each test image, (stitches, n), by one pass of the front."""
    ends = {place.end.name: pair.end.graph.end(place.end) for place, _ in stitches}
    fronts, classes = {place.front.name for place, _ in stitches}, []
    for x, _ in model_batches(pair.front.model, pair.test, pair.device):
        values = matching.values_at(pair.front, fronts, x)
        logits = (ends[place.end.name](stitch(values[place.front.name])) for place, stitch in stitches)
        classes.append(torch.stack([each.argmax(1) for each in logits]))
    return torch.cat(classes, 1).cpu().numpy()


def _fits(pair: Pair, a, b) -> bool:
    return layouts.obstacle(pair.front.layout(a), pair.end.layout(b)) is None


def where(place: Place) -> dict[str, Any]:
    """Columns that say where a stitch stands."""
    return {
        "front_block": place.front.name,
        "end_block": place.end.name,
        "front_depth": place.front.depth,
        "end_depth": place.end.depth,
    }


class Judge:
    """Rows of the table ``stitching`` for stitched models of one pair, its donors' answers known once."""

    def __init__(self, pair: Pair):
        self._pair = pair
        self._answers = {
            role: judging.predicted(half.model, pair.test, pair.device)
            for role, half in (("front", pair.front), ("end", pair.end))
        }

    def row(self, model: Classifier, **said: Any) -> dict[str, Any]:
        """How good a model is, and what is said of it."""
        pair, section = self._pair, self._pair.section
        found = judging.judge(
            model,
            pair.test,
            self._answers,
            attack=section["attack"],
            attacked=min(section["attacked"], len(pair.test)),
            autoattack=min(section["autoattack"], len(pair.test)),
            seed=pair.seed % 2**32,
            device=pair.device,
        )
        return said | found

    def stitches(
        self, stitches: Mapping[Place, Stitch], diverged=None, models=(), **said: Any
    ) -> list[dict[str, Any]]:
        """Of a stitch at each place; those that diverged are flagged, and have no numbers.

        models: in which they stand, one for each place, if that is not between the donors as they are.
        """
        pair, rows = self._pair, []
        for number, (place, stitch) in enumerate(stitches.items()):
            about = said | where(place) | {"block": number + 1, "diverged_at": (diverged or {}).get(place)}
            if about["diverged_at"] is not None:
                rows.append(about)
                continue
            model = models[number] if models else pair.stitched(place, stitch)
            far = judging.distances(
                model, pair.end.graph.front(place.end), pair.end.model, pair.test, pair.device
            )
            rows.append(self.row(model, **about) | far)
        return rows


def stitches_for(pair: Pair, training: Training, maps: Mapping) -> dict[Place, Stitch]:
    """Stitches at the start of a training, at all places of the pair.

    Raises
    ------
    ModelkinError
        If the start is the identity and widths differ.
    """
    torch.manual_seed(derive_seed(pair.seed, "stitch", training.start, str(training.repeat)))
    found = {}
    for place in maps:
        stitch = pair.new_stitch(place)
        if training.start == "least_squares":
            stitch.set(*maps[place])
        elif training.start == "identity":
            wide = stitch.weight
            if wide.shape[0] != wide.shape[1]:
                raise ModelkinError(
                    f"stitching: start identity needs equal widths, but '{place.front.name}' has "
                    f"{wide.shape[1]} and '{place.end.name}' {wide.shape[0]} channels; "
                    "say least_squares or random."
                )
            stitch.set(torch.eye(len(wide)), torch.zeros(len(wide)))
        found[place] = stitch
    return found


def trained(
    pair: Pair,
    training: Training,
    stitches: Mapping[Place, Stitch],
    after_epoch: Callable[[int], None] | None = None,
    keepers: Keepers | None = None,
) -> Trained:
    """Train the stitches of all places as a training says, in place.

    keepers: of :func:`modelkin.stitching.training.train_stitches`.

    Raises
    ------
    ModelkinError
        If a donor changed meanwhile, which is a fault of this program.
    """
    section, attack = pair.section, pair.section["attack"]
    torch.manual_seed(derive_seed(pair.seed, "train", training.objective.label, str(training.repeat)))
    robustness, share = None, 1.0
    if training.objective.name != "plain":
        robustness = {"recipe": training.objective.name, "eps": attack["radius"], "norm": attack["norm"]}
        robustness |= {"attack_steps": section["attack_steps"], "attack_step": 0.25, "eps_ramp": 0.0}
        if training.objective.name == "trades":
            robustness["trades_beta"] = training.objective.value
        else:
            share = training.objective.value
    before = [_state(half) for half in (pair.front, pair.end)]
    made = train_stitches(
        pair.front,
        pair.end,
        list(stitches),
        list(stitches.values()),
        pair.train,
        schedule=Schedule(**settings.schedule_settings(section, training)),
        robustness=robustness,
        share=share,
        drifting=section.get("batch_norm") == "published",
        augment=CropAndFlip(**section["augment"]) if section["augment"] else None,
        after_epoch=after_epoch,
        plateau=settings.plateau(section, training),
        keepers=keepers,
        device=pair.device,
    )
    for half, state in zip((pair.front, pair.end), before, strict=True):
        if any(not torch.equal(value, state[name]) for name, value in half.model.state_dict().items()):
            raise ModelkinError("a donor changed while its stitches were trained; report this.")
    return made


def _state(half: Halves) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in half.model.state_dict().items()}


def training_rows(
    pair: Pair,
    training: Training,
    maps: Mapping,
    judge: Judge,
    keepers: Keepers | None = None,
    **said: Any,
) -> list[dict[str, Any]]:
    """Train and judge: rows of the table ``stitching``."""
    stitches = stitches_for(pair, training, maps)
    made = trained(pair, training, stitches, keepers=keepers)
    kept = settings.schedule_settings(pair.section, training)
    rows = judge.stitches(
        stitches,
        dict(zip(stitches, made.diverged, strict=True)),
        made.models,
        batch_norm=pair.section.get("batch_norm", "frozen"),
        objective=training.objective.label,
        start=training.start,
        mode=training.mode,
        repeat=training.repeat,
        epochs=kept["epochs"],
        learning_rate=kept["learning_rate"],
        **said,
    )
    if settings.plateau(pair.section, training) is not None:
        for row, epochs in zip(rows, made.epochs, strict=True):
            row["epochs_trained"] = epochs
    return rows


def baseline_rows(
    pair: Pair, maps: Mapping, judge: Judge, keepers: Keepers | None = None
) -> list[dict[str, Any]]:
    """Chance, a front and an end of random weights, linear probes of the front, and the whole donors."""
    labels = pair.test.labels
    commonest = float(np.bincount(labels).max() / len(labels))
    rows = [{"objective": "chance", "accuracy": commonest, "robust_accuracy": commonest, "n": len(labels)}]
    rows += [
        judge.row(half.model, objective=f"whole {role}")
        for role, half in (("front", pair.front), ("end", pair.end))
    ]
    training = settings.baseline_training(pair.section)
    for role in ("front", "end"):
        seed = derive_seed(pair.seed, "random", role)
        half = halves(random_weights(getattr(pair, role).model, pair.train, seed))
        other = pair._replace(front=half) if role == "front" else pair._replace(end=half)
        own = None if keepers is None else _named(keepers, role)
        for row in training_rows(other, training, maps, Judge(other), own):
            rows.append(row | {"objective": f"random {role}", f"agreement_{role}": np.nan})
    rows += probe_rows(pair, list(maps))
    return rows


def _named(keepers: Keepers, role: str) -> Keepers:
    return lambda name: keepers(f"{role}-{name}")


@torch.no_grad()
def random_weights(model: Classifier, images: Images, seed: int) -> Classifier:
    """A copy whose weights are its own in random order, so of the same sizes; norms know its new activations.

    Parameters
    ----------
    model : Classifier
    images : Images
        Some of which give batch norms their statistics.
    seed : int
    """
    made, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for value in made.network.parameters():
        order = torch.randperm(value.numel(), generator=generator).to(value.device)
        value.copy_(value.flatten()[order].view_as(value))
    norms = [each for each in made.network.modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    if norms:
        for x, _ in model_batches(made, images.spread(STATISTICS_IMAGES), made.mean.device):
            made(x)
    return frozen(made)


@torch.no_grad()
def probe_rows(pair: Pair, at: list[Place]) -> list[dict[str, Any]]:
    """Accuracy of a linear map from each of the front's blocks, averaged over positions, to the classes."""
    classes, rows = len(pair.test.classes), []
    for number, place in enumerate(at):
        front, frm = pair.front.graph.front(place.front), pair.front.layout(place.front)

        def features(images: Images, front=front, frm=frm) -> torch.Tensor:
            found = [
                frm.rows(front(pair.front.model.prepared(x))).mean(1)
                for x, _ in model_batches(pair.front.model, images, pair.device)
            ]
            return torch.cat(found)

        wanted = nn.functional.one_hot(torch.from_numpy(pair.train.labels), classes).to(pair.device)
        weight, bias = matching.solve(matching.of_rows(features(pair.train), wanted))
        answers = (features(pair.test).double() @ weight.T + bias).argmax(1).cpu().numpy()
        rows.append(
            {"objective": "linear probe", "block": number + 1}
            | where(place)
            | judging.shares("accuracy", answers == pair.test.labels)
        )
    return rows


def matching_rows(pair: Pair, maps: Mapping, judge: Judge) -> list[dict[str, Any]]:
    """The stitches of direct matching, judged without training."""
    stitches = {place: pair.new_stitch(place).set(*found) for place, found in maps.items()}
    return judge.stitches(stitches, objective="matching")


def with_r2(rows: pd.DataFrame, matching: pd.DataFrame) -> pd.DataFrame:
    """The rows of stitches with the R2 of direct matching by least squares at their places."""
    at = ["front_block", "end_block"]
    known = matching.loc[matching["family"] == "least_squares", [*at, "r2"]]
    found = rows.merge(known, on=at, how="left")
    # A network of random weights has another match than the donor that it stands for.
    return found.assign(r2=found["r2"].mask(found["objective"].isin(["random front", "random end"])))
