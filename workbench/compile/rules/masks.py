"""What is put at a mask: a choice in every element needs no list of places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workbench.compile.rewrite import Context, node_rule, tagged
from workbench.compile.rules.products import node_of
from workbench.compile.rules.scatter import counts_up
from workbench.core.graph import Constant, Variable
from workbench.core.ops.elementwise import add, switch
from workbench.core.ops.gathering import LastWriter, Put, joint_sizes
from workbench.core.ops.masks import NonZero
from workbench.core.ops.shape import BroadcastTo, broadcast_to, dimshuffle


def mask_of(places: Sequence[Variable]) -> Variable | None:
    """The mask whose places these are, all of its axes in order."""
    maker = places[0].owner
    if maker is None or not isinstance(maker.op, NonZero):
        return None
    return maker.inputs[0] if tuple(places) == maker.outputs else None


@node_rule(Put)
def put_at_mask(node, context):
    """The same put wherever a mask is true is a switch, which joins the loops around it."""
    x, part, *places = node.inputs
    mask, stretched = mask_of(places), node_of(part, BroadcastTo)
    if mask is None or stretched is None or not fits(mask, x):
        return None
    value = stretched.inputs[0]
    if value.type.shape[0] != 1 or not context.same_size(
        context.sizes(part)[0], context.sizes(places[0])[0]
    ):
        return None
    value = dimshuffle(value, *["x"] * mask.ndim, *range(1, value.ndim))
    mask = dimshuffle(mask, *range(mask.ndim), *["x"] * (x.ndim - mask.ndim))
    return switch(mask, add(x, value) if node.op.add else value, x)


def fits(mask: Variable, x: Variable) -> bool:
    """Whether neither stretches along an axis of the other."""
    pairs = zip(mask.type.shape, x.type.shape, strict=False)
    return all((a == 1) == (b == 1) for a, b in pairs)


@node_rule(LastWriter)
def places_named_once(node, context):
    """Where no place is named twice, everyone is the last to name theirs."""
    places, sizes = node.inputs[: node.op.axes], node.inputs[node.op.axes :]
    if mask_of(places) is None and not are_distinct(places, sizes, context):
        return None
    shape = joint_sizes(places, [context.sizes(place) for place in places])
    return broadcast_to(True, list(shape))


def are_distinct(places: Sequence[Variable], sizes: Any, context: Context) -> bool:
    """Whether arrays name no place twice: one counts up, or all are constants."""
    if places[0].ndim == 1 and any(
        counts_up(place, context.sizes(place)[0], context) for place in places
    ):
        return True
    if not all(isinstance(p, Constant) and (p.data >= 0).all() for p in places):
        return False
    arrays = np.broadcast_arrays(*(p.data for p in places if isinstance(p, Constant)))
    named = np.stack([a.ravel() for a in arrays], axis=1)
    return len(np.unique(named, axis=0)) == len(named)


RULES = tagged("masks", put_at_mask, places_named_once)
