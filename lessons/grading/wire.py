"""Outputs as JSON, and back: numbers, text, arrays and what holds them.  Anything else arrives as the name of its type.

The process that ran a stranger's code could send any pickle; JSON cannot make the reader run anything.
"""

import base64
from typing import Any, NamedTuple

import numpy as np

from lessons.judge import Missing, Outcome

MOST = 32 << 20  # bytes of one array
KINDS = "biufcUS"  # of numbers and of text


class Other(NamedTuple):
    """In place of a value that cannot be sent; equal to nothing that an exercise asks for."""

    type: str

    def __repr__(self) -> str:
        return f"a {self.type}"


def pack(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic | complex):
        array = np.asarray(value)
        if array.dtype.kind not in KINDS or array.nbytes > MOST:
            return {"other": f"{type(value).__name__} of {array.nbytes} bytes and dtype {array.dtype}"}
        data = base64.b64encode(array.tobytes()).decode()
        return {
            "array": data,
            "dtype": array.dtype.str,
            "shape": array.shape,
            "scalar": not isinstance(value, np.ndarray),
        }
    if isinstance(value, dict):
        return {"dict": [[pack(k), pack(v)] for k, v in value.items()]}
    if isinstance(value, tuple | list):
        return {"tuple" if isinstance(value, tuple) else "list": [pack(v) for v in value]}
    if isinstance(value, Missing):
        return {"missing": pack(value.value), "wanted": value.wanted}
    return {"other": type(value).__name__}


def unpack(sent: Any) -> Any:
    if not isinstance(sent, dict):
        return sent
    if "array" in sent:
        dtype = np.dtype(str(sent["dtype"]))
        array = np.frombuffer(base64.b64decode(sent["array"]), dtype).reshape(sent["shape"])
        return array[()] if sent["scalar"] else array
    if "dict" in sent:
        return {unpack(k): unpack(v) for k, v in sent["dict"]}
    if "tuple" in sent:
        return tuple(map(unpack, sent["tuple"]))
    if "list" in sent:
        return list(map(unpack, sent["list"]))
    if "missing" in sent:
        return Missing(int(sent["wanted"]), unpack(sent["missing"]))
    return Other(str(sent.get("other"))[:100])


def pack_outcome(outcome: Outcome) -> dict[str, Any]:
    raised = outcome.raised and [text[:300] for text in outcome.raised]
    return {
        "outputs": pack(outcome.outputs),
        "raised": raised,
        "where": outcome.where,
        "changed": list(outcome.changed),
    }


def unpack_outcome(sent: dict[str, Any]) -> Outcome:
    raised = sent["raised"] and (str(sent["raised"][0]), str(sent["raised"][1]))
    return Outcome(
        unpack(sent["outputs"]), raised or None, str(sent["where"])[:100], tuple(map(str, sent["changed"]))
    )
