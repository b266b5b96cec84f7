"""At which cut points two networks are stitched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from modelkin.errors import ModelkinError, nearest_names
from modelkin.networks.graph import CutPoint, Graph
from modelkin.stitching import layouts
from modelkin.stitching.layouts import layout


class Place(NamedTuple):
    """A cut point of the front and one of the end, at which they are stitched."""

    front: CutPoint
    end: CutPoint


def cut_points(
    graph: Graph, at: str | Sequence[str] | Mapping, before_activation: str | bool
) -> list[CutPoint]:
    """The cut points of one network that are asked for, in order.

    Parameters
    ----------
    graph : Graph
    at : 'blocks', 'cuts', list of names, or {'fractions': list of float}
        Fractions choose the ends of blocks at the nearest depth.
    before_activation : {'auto', True, False}
        Whether a block is cut before the activation that ends it: 'auto' where there is one.

    Raises
    ------
    ModelkinError
        If one does not exist; it names the nearest.
    """
    by_name = {cut.name: cut for cut in graph.cut_points}
    if at == "cuts":
        return [cut for cut in graph.cut_points if cut.kind != "view"]
    if not isinstance(at, str | Mapping):
        return [_named(by_name, name) for name in at]
    blocks = []
    for cut in graph.cut_points:
        if cut.block_end:
            if before_activation is True and cut.before_activation is None:
                raise ModelkinError(
                    f"before_activation: no activation ends the block at '{cut.name}'; say auto."
                )
            before = None if before_activation is False else cut.before_activation
            blocks.append(by_name[before] if before else cut)
    if not blocks:
        raise ModelkinError("the network has no blocks; name cut points, or say `at: cuts`.")
    if isinstance(at, Mapping):
        chosen = [min(blocks, key=lambda cut: abs(cut.depth - depth)) for depth in at["fractions"]]
        blocks = [cut for cut in blocks if cut in chosen]
    return blocks


def _named(cuts: Mapping[str, CutPoint], name: str) -> CutPoint:
    if name not in cuts:
        hint = nearest_names(name, list(cuts))
        raise ModelkinError(f"stitching.at: there is no block '{name}' to cut at; {hint}")
    return cuts[name]


def places(fronts: Sequence[CutPoint], ends: Sequence[CutPoint]) -> list[Place]:
    """For each cut point of the front that of the end to stitch it to.

    The same one if both have the same names and shapes, else the nearest in depth of those that fit.

    Raises
    ------
    ModelkinError
        If none fits any.
    """
    if [(cut.name, cut.shape) for cut in fronts] == [(cut.name, cut.shape) for cut in ends]:
        return list(map(Place, fronts, ends))
    found, why = [], None
    for cut in fronts:
        obstacles = {end: _obstacle(cut, end) for end in ends}
        fitting = [end for end in ends if obstacles[end] is None]
        why = why or next(filter(None, obstacles.values()), None)
        if fitting:
            found.append(Place(cut, min(fitting, key=lambda end: abs(end.depth - cut.depth))))
    if not found:
        raise ModelkinError(f"no block of the front fits one of the end: {why}; leave the pair out.")
    return found


def _obstacle(front: CutPoint, end: CutPoint) -> str | None:
    return layouts.obstacle(layout(front.shape), layout(end.shape))
