"""Where threads meet inside compiled code: numbers that several may change at once."""

import os
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from mini_nn.kernels.tiles.registers import PART

PATIENCE = 1 << 12  # looks, some microseconds, before a waiting thread lets others have the core


def slot(context: Any, builder: Any, kind: Any, array: Any, i: Any) -> Any:
    found = context.make_array(kind)(context, builder, array)
    return cgutils.pointer_add(
        builder, found.data, builder.mul(i, found.itemsize), builder.load(found._get_ptr_by_name("data")).type
    )


@intrinsic
def add(typing: Any, counters: Any, i: Any, value: Any) -> Any:
    """counters[i] += value, undivided; returns what was there before.  counters: int64."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", slot(context, builder, counters, *args[:2]), args[2], "acq_rel")

    return types.int64(counters, types.intp, types.int64), emit


@intrinsic
def look(typing: Any, counters: Any, i: Any) -> Any:
    """counters[i] as the other threads left it, and all that they wrote before."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(slot(context, builder, counters, *args), "acquire", align=8)

    return types.int64(counters, types.intp), emit


if hasattr(os, "sched_yield"):
    give_way = types.ExternalFunction("sched_yield", types.int32())
else:  # Windows: a waiting thread keeps its core until its time is up

    @njit(**PART)
    def give_way():
        return 0


@njit(**PART)
def wait(counters, i, target):
    """Until counters[i] has reached the target."""
    looks = 0
    while look(counters, i) < target:
        looks += 1
        if looks > PATIENCE:
            give_way()
