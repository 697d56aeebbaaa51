"""What a network should have said, as a number: a loss returns (loss, dlogits), its value and where to go from it."""

from typing import Any

import numpy as np

from mini_nn.ops import Array

ROUNDING = 1e-4  # how far from 1 a row of probabilities may add up


def softmax_cross_entropy(
    logits: Array, labels: Any, label_smoothing: float = 0.0, class_weights: Any = None
) -> tuple[float, Array]:
    """The mean surprise  -sum_k t_k log p_k  of a batch, p = softmax(logits), and its gradient.

    logits (N, K), float32 or float64; labels (N,) class numbers from 0, or (N, K) a distribution t a row.
    label_smoothing e replaces t by  (1 - e) t + e / K.  class_weights (K,) multiply each t_k; the mean is then
    over the weights of the N class numbers (over N for distributions), as in torch's cross_entropy.
    NaN logits give a NaN loss.  dlogits has the shape and dtype of logits.
    """
    check_logits(logits)
    labels, e = check_labels(labels, *logits.shape), check_smoothing(label_smoothing)
    classes = logits.shape[1]
    targets = np.eye(classes)[labels] if labels.ndim == 1 else labels.astype(np.float64)
    targets = (1 - e) * targets + e / classes
    total = float(len(logits))
    if class_weights is not None:
        weights = check_weights(class_weights, classes)
        targets = targets * weights
        if labels.ndim == 1:
            total = float(weights[labels].sum())
        if total == 0:
            raise ValueError(
                "class_weights are 0 for every label of this batch: there is nothing to learn from it"
            )
    return cross_entropy(logits, (targets / total).astype(logits.dtype))


def cross_entropy(logits: Array, a: Array) -> tuple[float, Array]:
    """L = -sum_nk a_nk log p_nk,  dL/dlogits_nk = p_nk sum_j a_nj - a_nk:  the rows of a need not add up to 1."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinite and NaN logits show in the loss
        log_p = log_softmax(logits)
        loss = -(a * log_p).sum(where=a != 0, dtype=np.float64)  # 0 log 0 = 0
        return float(loss), np.exp(log_p) * a.sum(1, keepdims=True) - a


def log_softmax(x: Array) -> Array:
    """log softmax(x) = x - log sum_k exp(x_k).  The largest score is subtracted first: same result, no overflow."""
    x = x - x.max(1, keepdims=True)
    return x - np.log(np.exp(x).sum(1, keepdims=True))


def check_logits(logits: Any) -> None:
    """Raise ValueError unless logits are a batch of scores."""
    if not isinstance(logits, np.ndarray) or logits.dtype not in (np.float32, np.float64):
        given = getattr(logits, "dtype", type(logits).__name__)
        raise ValueError(f"logits must be a float32 or float64 array, not {given}")
    if logits.ndim != 2 or 0 in logits.shape:
        raise ValueError(f"logits have shape {logits.shape}; (N, classes) is needed, neither of them 0")


def check_labels(labels: Any, n: int, classes: int) -> Array:
    """Labels as an array, (n,) of class numbers or (n, classes) of probabilities; ValueError otherwise."""
    labels = np.asarray(labels)
    if labels.shape == (n, classes) and labels.dtype.kind in "biuf":
        return check_distributions(labels)
    if labels.shape != (n,):
        hint = "; use labels[:, 0]" if labels.shape == (n, 1) else ""
        raise ValueError(
            f"labels have shape {labels.shape}; ({n},) or ({n}, {classes}) is needed for these logits{hint}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype}; class numbers are integers: labels.astype(np.int64)")
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        i = wrong[0]
        raise ValueError(
            f"labels[{i}] is {labels[i]}; with {classes} classes it must be from 0 to {classes - 1}"
        )
    return labels


def check_distributions(labels: Array) -> Array:
    """Labels as they are; ValueError unless every row is at least 0 and adds up to 1."""
    with np.errstate(invalid="ignore"):
        sums = labels.sum(1, dtype=np.float64)
        bad = np.flatnonzero(~((np.abs(sums - 1) <= ROUNDING) & (labels >= 0).all(1)))
    if bad.size:
        i = bad[0]
        raise ValueError(
            f"labels[{i}] is no distribution: it adds up to {sums[i]:.6g}, its smallest entry is {labels[i].min()}; "
            "entries must be at least 0 and add up to 1"
        )
    return labels


def check_smoothing(label_smoothing: Any) -> float:
    if not isinstance(label_smoothing, int | float | np.floating) or not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be a number in [0, 1), not {label_smoothing!r}")
    return float(label_smoothing)


def check_weights(class_weights: Any, classes: int) -> Array:
    weights = np.asarray(class_weights)
    if weights.shape != (classes,) or weights.dtype.kind not in "iuf":
        raise ValueError(
            f"class_weights must be {classes} numbers, not {weights.dtype} of shape {weights.shape}"
        )
    weights = weights.astype(np.float64)
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise ValueError(f"class_weights must be finite and at least 0, not {class_weights!r}")
    return weights
