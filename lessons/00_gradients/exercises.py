"""L0, gradients you can trust: what is asked, on which cases it is checked, and the mistakes that have a name."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, edited, mistake
from mini_nn.ops import Array, conv
from mini_nn.ops.padding import Padding

HERE = "lessons.00_gradients.exercises"
CONV = "mini_nn.ops.conv"
Rng = np.random.Generator


# ---- the small functions that only this lesson needs


def numeric_grad(f: Callable[[Array], Array], x: Array, dy: Array, h: float = 1e-5) -> Array:
    """Return dx = d sum(f(x) * dy) / dx by central differences: (L(x + h) - L(x - h)) / 2h, one number of x at a time.

    f takes an array of x's shape and gives one of dy's.  x is float64, and is the same afterwards as before.
    """
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        dx[i] = ((f(up) - f(down)) * dy).sum() / (2 * h)
    return dx


def complex_step_grad(f: Callable[[Array], Array], x: Array, dy: Array, h: float = 1e-30) -> Array:
    """Return dx = d sum(f(x) * dy) / dx by complex steps: Im L(x + ih) / h.  f is analytic: no abs, no max, no comparison."""
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[i] += 1j * h
        dx[i] = (f(moved) * dy).sum().imag / h
    return dx


def same_padding(n: int, kernel_size: int, stride: int) -> tuple[int, int]:
    """Return (before, after), the zeros that TensorFlow's 'same' puts on the two sides of n pixels.

    There are ceil(n / stride) outputs.  An odd pixel goes after, never before; there is never less than none.
    """
    outputs = -(-n // stride)
    total = max((outputs - 1) * stride + kernel_size - n, 0)
    return total // 2, total - total // 2


def conv2d_backward_dw(dy: Array, x: Array, kernel_size: int) -> Array:
    """Return dw for a convolution with stride 1, no padding, one group.

    dy (N, OH, OW, O), x (N, H, W, I) -> dw (K, K, I, O); OH = H - K + 1, OW = W - K + 1.
    """
    oh, ow = dy.shape[1:3]
    dw = np.empty((kernel_size, kernel_size, x.shape[3], dy.shape[3]), dy.dtype)
    for a, b in np.ndindex(kernel_size, kernel_size):
        dw[a, b] = np.tensordot(x[:, a : a + oh, b : b + ow], dy, ((0, 1, 2), (0, 1, 2)))
    return dw


def conv2d_backward_dx(dy: Array, w: Array) -> Array:
    """Return dx for a convolution with stride 1, no padding, one group.

    dy (N, OH, OW, O), w (K, K, I, O) -> dx (N, H, W, I); H = OH + K - 1, W = OW + K - 1.
    """
    n, oh, ow, _ = dy.shape
    k = len(w)
    dx = np.zeros((n, oh + k - 1, ow + k - 1, w.shape[2]), dy.dtype)
    for a, b in np.ndindex(k, k):
        dx[:, a : a + oh, b : b + ow] += dy @ w[a, b].T
    return dx


def batch_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-3) -> Array:
    """Return y = gamma (x - mean) / sqrt(var + eps) + beta with the batch's own mean and (biased) variance.

    x, y (N, H, W, C); gamma, beta (C,).  mean and var are taken over N, H and W, for each channel.
    """
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta


def batch_norm_backward(dy: Array, x: Array, gamma: Array, eps: float = 1e-3) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma, dbeta) of batch_norm_forward.  mean and var depend on every x, and the gradient knows it."""
    axes = (0, 1, 2)
    inv_std = 1 / np.sqrt(x.var(axes) + eps)
    x_hat = (x - x.mean(axes)) * inv_std
    dgamma, dbeta = (dy * x_hat).sum(axes), dy.sum(axes)
    dx = gamma * inv_std * (dy - dy.mean(axes) - x_hat * (dy * x_hat).mean(axes))
    return dx, dgamma, dbeta


def batch_norm_step(
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_var: Array,
    train: bool,
    frozen: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-3,
) -> tuple[Array, Array, Array]:
    """Return (y, running_mean, running_var): BatchNorm as a layer uses it.

    train, not frozen   the batch's mean and variance; running <- (1 - momentum) running + momentum batch, with the
                        unbiased variance (divided by m - 1, m = N H W) in the running one
    otherwise           the running ones, which stay exactly as they are
    """
    axes = (0, 1, 2)
    mean, var = running_mean, running_var
    if train and not frozen:
        mean, var = x.mean(axes), x.var(axes)
        m = x.size // x.shape[3]
        running_mean = (1 - momentum) * running_mean + momentum * mean
        running_var = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, running_mean, running_var


SETTINGS = ((2, 4, 5, 2, 3, 3, 1), (2, 5, 7, 2, 2, 3, 2), (1, 5, 6, 2, 2, 2, 3))  # n, h, w, i, o, k, stride


def find_the_bug(forward: Function, backward: Function) -> bool:
    """Return True if backward is wrong, for a convolution of one group without padding.

    forward(x, w, stride) -> y and backward(dy, x, w, stride) -> (dx, dw); x (N, H, W, I), w (K, K, I, O).
    """
    rng = np.random.default_rng(1998)
    for n, h, w_, i, o, k, stride in SETTINGS:
        x, w = rng.normal(size=(n, h, w_, i)), rng.normal(size=(k, k, i, o))
        dy = rng.normal(size=forward(x, w, stride).shape)
        dx, dw = backward(dy, x, w, stride)
        for got, at, loss in (
            (dx, x, lambda z, w=w: forward(z, w, stride)),
            (dw, w, lambda z, x=x: forward(x, z, stride)),
        ):
            want = numeric_grad(loss, at, dy)
            if np.shape(got) != want.shape or not np.allclose(got, want, 1e-6, 1e-6):
                return True
    return False


# ---- cases


def relu_cases(rng: Rng) -> Iterator[Case]:
    for shape in ((4,), (2, 3, 5), (2, 3, 2, 4)):
        x = rng.normal(size=shape)
        x.flat[1] = 0.0
        dy = rng.normal(size=shape) + 2
        dy.flat[0] = -1.0  # both signs, whatever is drawn
        yield {"dy": dy, "x": x}


def cube(x: Array) -> Array:
    return x**3


def exp_sum(x: Array) -> Array:
    """(A, B) -> (A,): each output depends on a whole row."""
    return np.exp(x).sum(1)


def grad_cases(rng: Rng) -> Iterator[Case]:
    yield {"f": cube, "x": rng.normal(size=(2,)) + 2, "dy": rng.normal(size=(2,))}
    yield {"f": cube, "x": rng.normal(size=(2, 3)) - 2, "dy": rng.normal(size=(2, 3))}
    yield {"f": exp_sum, "x": rng.normal(size=(3, 2)), "dy": rng.normal(size=(3,))}
    yield {"f": np.sin, "x": rng.normal(size=(2, 2)) * 30, "dy": rng.normal(size=(2, 2))}


def complex_cases(rng: Rng) -> Iterator[Case]:
    yield {"f": cube, "x": rng.normal(size=(2,)) + 2, "dy": rng.normal(size=(2,)), "h": 1e-10}
    yield from grad_cases(rng)


def padding_cases(rng: Rng) -> Iterator[Case]:
    sizes = rng.permutation(np.arange(3, 40))[:8].tolist()
    for n in (4, 5, 7, 1, 224, *sizes):
        for kernel_size, stride in ((1, 1), (3, 1), (3, 2), (5, 2), (5, 3), (2, 2), (1, 2), (4, 1)):
            yield {"n": n, "kernel_size": kernel_size, "stride": stride}


GRID: tuple[tuple[tuple[int, ...], int, int, int, Padding, int], ...] = (
    # x, K, filters, stride, padding, groups
    ((2, 4, 3, 1), 1, 2, 1, "valid", 1),
    ((2, 5, 4, 2), 3, 3, 1, "valid", 1),
    ((2, 5, 4, 2), 3, 2, 1, "same", 1),
    ((3, 7, 6, 2), 3, 3, 2, "same", 1),
    ((2, 6, 9, 3), 3, 2, 2, "symmetric", 1),
    ((2, 8, 10, 2), 2, 3, 3, "valid", 1),
    ((2, 6, 5, 4), 3, 6, 2, "same", 2),
    ((1, 7, 5, 3), 3, 6, 1, 1, 3),
)


def forward_cases(rng: Rng) -> Iterator[Case]:
    for shape, k, filters, stride, padding, groups in GRID:
        w = rng.normal(size=(k, k, shape[3] // groups, filters))
        yield {"x": rng.normal(size=shape), "w": w, "stride": stride, "padding": padding, "groups": groups}


def backward_cases(rng: Rng) -> Iterator[Case]:
    for case in forward_cases(rng):
        yield {"dy": rng.normal(size=conv.forward(**case).shape), **case}


def dw_cases(rng: Rng) -> Iterator[Case]:
    for (n, h, w, i), k, o in (((1, 2, 3, 1), 1, 1), ((2, 4, 5, 2), 3, 3), ((3, 6, 4, 3), 2, 3)):
        yield {
            "dy": rng.normal(size=(n, h - k + 1, w - k + 1, o)),
            "x": rng.normal(size=(n, h, w, i)),
            "kernel_size": k,
        }


def dx_cases(rng: Rng) -> Iterator[Case]:
    for (n, h, w, o), k, i in (((1, 2, 3, 1), 1, 1), ((2, 3, 2, 3), 3, 2), ((3, 4, 5, 3), 2, 3)):
        yield {"dy": rng.normal(size=(n, h, w, o)), "w": rng.normal(size=(k, k, i, o))}


def norm_cases(rng: Rng) -> Iterator[Case]:
    for shape, eps in (((2, 1, 2, 1), 1e-3), ((3, 2, 4, 2), 1e-3), ((2, 3, 5, 3), 0.5)):
        c = shape[-1]
        x = rng.normal(size=shape) * 2 + rng.normal(size=c) * 3
        yield {"x": x, "gamma": rng.normal(size=c) + 2, "beta": rng.normal(size=c), "eps": eps}


def norm_backward_cases(rng: Rng) -> Iterator[Case]:
    for case in norm_cases(rng):
        yield {"dy": rng.normal(size=case["x"].shape) + 1, **{k: v for k, v in case.items() if k != "beta"}}


def step_cases(rng: Rng) -> Iterator[Case]:
    for case in norm_cases(rng):
        c = len(case["gamma"])
        for train, frozen in ((True, False), (False, False), (True, True)):
            running = {"running_mean": rng.normal(size=c), "running_var": rng.random(c) + 1}
            yield {**case, **running, "train": train, "frozen": frozen, "momentum": 0.3}


# ---- find_the_bug: implementations to be told apart


def plain_forward(x: Array, w: Array, stride: int) -> Array:
    return conv.forward(x, w, stride, "valid")


def plain_backward(dy: Array, x: Array, w: Array, stride: int) -> tuple[Array, Array]:
    return conv.backward(dy, x, w, stride, "valid")


def loops_backward(dy: Array, x: Array, w: Array, stride: int) -> tuple[Array, Array]:
    """Right too, pixel by pixel, and in another order."""
    dx, dw, k = np.zeros_like(x), np.zeros_like(w), len(w)
    for i, j in np.ndindex(dy.shape[1:3]):
        here = np.s_[:, i * stride : i * stride + k, j * stride : j * stride + k]
        dx[here] += np.einsum("no,abco->nabc", dy[:, i, j], w)
        dw += np.einsum("nabc,no->abco", x[here], dy[:, i, j])
    return dx, dw


FAULTS: dict[str, tuple[str, str]] = {
    "stride ignored in dx": ("dxp[here] +=", "dxp[window(a, b, out, 1)] +="),
    "stride ignored in dw": ("tensordot(xp[here]", "tensordot(xp[window(a, b, out, 1)]"),
    "overwritten, not added": ("dxp[here] +=", "dxp[here] ="),
    "filter flipped in dx": ("w[a, b].T", "w[-1 - a, -1 - b].T"),
    "filter flipped in dw": ("dw[a, b] =", "dw[-1 - a, -1 - b] ="),
    "taps swapped in dw": ("dw[a, b] =", "dw[b, a] ="),
    "w reshaped, not transposed": ("w[a, b].T", "w[a, b].reshape(w.shape[3], w.shape[2])"),
    "upstream taken as ones": ("xp = pad(x, pads)", "xp, dy = pad(x, pads), np.ones_like(dy)"),
    "upstream's sum in dw": (
        "dy, ((0, 1, 2), (0, 1, 2))",
        "np.ones_like(dy) * dy.mean(), ((0, 1, 2), (0, 1, 2))",
    ),
    "images misaligned in dw": ("dy, ((0, 1, 2), (0, 1, 2))", "dy[::-1], ((0, 1, 2), (0, 1, 2))"),
    "dw averaged over the batch": ("dy, ((0, 1, 2), (0, 1, 2))", "dy / len(x), ((0, 1, 2), (0, 1, 2))"),
    "last column of dx lost": (
        "return crop(dxp, pads), dw",
        "dxp[:, :, -1] = 0\n    return crop(dxp, pads), dw",
    ),
}


def use_test(test: Function, _: Case) -> dict[str, bool]:
    """What a student's test says of right and of wrong implementations."""
    return {name: bool(test(plain_forward, backward)) for name, backward in implementations().items()}


@cache
def implementations() -> dict[str, Function]:
    wrong = {name: without_padding(edited(f"{CONV}:backward", change)()) for name, change in FAULTS.items()}
    return {"right": plain_backward, "right, by loops": loops_backward, **wrong}


def without_padding(backward: Function) -> Function:
    def wrong(dy: Array, x: Array, w: Array, stride: int) -> Any:
        return backward(dy, x, w, stride, "valid")

    return wrong


def one_case(_: Rng) -> Iterator[Case]:
    yield {"faults": len(FAULTS)}


# ---- wrong variants that are no edit of the solution


def numeric_float32(f: Function, x: Array, dy: Array, h: float = 1e-5) -> Array:
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        up, down = x.astype(np.float32), x.astype(np.float32)
        up[i] += h
        down[i] -= h
        dx[i] = ((f(up) - f(down)) * dy).sum() / (2 * h)
    return dx


def numeric_moved(f: Function, x: Array, dy: Array, h: float = 1e-5) -> Array:
    dx = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        x[i] += h
        above = (f(x) * dy).sum()
        x[i] -= 2 * h
        dx[i] = (above - (f(x) * dy).sum()) / (2 * h)
    return dx


OVERWRITE = "Windows overlap, so a pixel of dx gets a share from several of them: +=, onto zeros."

CONV_BACKWARD = (
    mistake(
        "stride_ignored_in_dx",
        "Your dx is what you get when the stride is ignored.",
        "Tap (a, b) read the pixels a, a + s, a + 2s, ...: its share of dx goes back to those, not to neighbours.",
        f"{CONV}:backward",
        ("dxp[here] +=", "dxp[window(a, b, out, 1)] +="),
    ),
    mistake(
        "stride_ignored_in_dw",
        "Your dw is what you get when the stride is ignored.",
        "dw[a, b] pairs dy[i, j] with the pixel (a + s i, b + s j) of the padded image: step by s in the slice of x.",
        f"{CONV}:backward",
        ("tensordot(xp[here]", "tensordot(xp[window(a, b, out, 1)]"),
    ),
    mistake(
        "overwrite_instead_of_accumulate",
        "Your dx keeps the last share of every pixel only.",
        OVERWRITE,
        f"{CONV}:backward",
        ("dxp[here] +=", "dxp[here] ="),
    ),
    mistake(
        "crop_off_by_one",
        "Your dx is cut out of the padded gradient one pixel too far down and right.",
        "The padding had `top` rows above and `left` columns before: the first pixel of dx is dxp[top, left].",
        f"{CONV}:backward",
        ("crop(dxp, pads)", "crop(np.roll(dxp, -1, (1, 2)), pads)"),
    ),
    mistake(
        "crop_sides_swapped",
        "Your dx is cut as if the odd row of padding were at the top and the odd column at the left.",
        "'same' puts an odd pixel at the bottom and at the right; cut `before` pixels at the start, `after` at the end.",
        f"{CONV}:backward",
        ("crop(dxp, pads)", "crop(dxp, tuple((after, before) for before, after in pads))"),
    ),
    mistake(
        "crop_forgotten",
        "Your dx still has the padding around it.",
        "x had no padding, so dx has none: cut it off at the end.",
        f"{CONV}:backward",
        ("return crop(dxp, pads), dw", "return dxp, dw"),
    ),
    mistake(
        "kernel_flipped_in_dx",
        "Your dx uses the filter turned by 180 degrees.",
        "If you scatter dy tap by tap, tap (a, b) keeps its place. It is turned only in the form 'convolve dy with the filter'.",
        f"{CONV}:backward",
        ("w[a, b].T", "w[-1 - a, -1 - b].T"),
    ),
    mistake(
        "kernel_flipped_in_dw",
        "Your dw is the right one turned by 180 degrees.",
        "dw[a, b] belongs to the pixels that start at (a, b), not at (K - 1 - a, K - 1 - b).",
        f"{CONV}:backward",
        ("dw[a, b] =", "dw[-1 - a, -1 - b] ="),
    ),
    mistake(
        "taps_swapped_in_dw",
        "Your dw has rows and columns of the filter swapped.",
        "a counts rows (axis 1 of x), b counts columns (axis 2).",
        f"{CONV}:backward",
        ("dw[a, b] =", "dw[b, a] ="),
    ),
    mistake(
        "w_reshaped_not_transposed",
        "Your dx multiplies by w[a, b] reshaped to (O, I), which is not its transpose.",
        "dx at a pixel is the sum over o of dy[o] w[a, b, c, o]: use w[a, b].T.",
        f"{CONV}:backward",
        ("w[a, b].T", "w[a, b].reshape(w.shape[3], w.shape[2])"),
    ),
    mistake(
        "dw_reshaped_not_transposed",
        "Your dw[a, b] is (O, I) reshaped to (I, O), which is not its transpose.",
        "Put x first in the product: x's channels are the rows of dw[a, b].",
        f"{CONV}:backward",
        (
            "np.tensordot(xp[here], dy, ((0, 1, 2), (0, 1, 2)))",
            "np.tensordot(dy, xp[here], ((0, 1, 2), (0, 1, 2))).reshape(w.shape[2:])",
        ),
    ),
    mistake(
        "batch_misaligned",
        "Your dw pairs each image with the gradient of another image.",
        "Sum over n of x[n] and dy[n] with the same n; check a reshape or a reversed batch.",
        f"{CONV}:backward",
        ("dy, ((0, 1, 2), (0, 1, 2))", "dy[::-1], ((0, 1, 2), (0, 1, 2))"),
    ),
    mistake(
        "first_image_only",
        "Your dw has the share of the first image only.",
        "w is the same for all images of the batch, so dw adds up over n.",
        f"{CONV}:backward",
        (
            "np.tensordot(xp[here], dy, ((0, 1, 2), (0, 1, 2)))",
            "np.tensordot(xp[here][:1], dy[:1], ((0, 1, 2), (0, 1, 2)))",
        ),
    ),
    mistake(
        "dw_averaged_over_the_batch",
        "Your dw is the right one divided by N.",
        "A mean over the batch belongs to the loss, which has divided dy already. Here it is a sum.",
        f"{CONV}:backward",
        ("dy, ((0, 1, 2), (0, 1, 2))", "dy / len(x), ((0, 1, 2), (0, 1, 2))"),
    ),
    mistake(
        "upstream_taken_as_ones",
        "Your gradients are those of sum(y): dy was not used.",
        "The loss is further on. Everything that goes back is multiplied by dy.",
        f"{CONV}:backward",
        ("xp = pad(x, pads)", "xp, dy = pad(x, pads), np.ones_like(dy)"),
    ),
    mistake(
        "remainder_rows_lost",
        "Your dx ends with the last window: the rows and columns that no window reached are missing.",
        "dx has the shape of x. Pixels that were never read have gradient zero, and are still there.",
        f"{CONV}:backward",
        ("np.zeros(xp.shape,", "np.zeros((len(x), *(stride * (n - 1) + len(w) for n in out), x.shape[3]),"),
    ),
    mistake(
        "padding_at_the_end_in_dw",
        "Your dw is what you get when all padding is put below and to the right.",
        "Pad x for dw exactly as the forward pass did: `before` pixels at the start, `after` at the end.",
        f"{CONV}:backward",
        ("tensordot(xp[here]", "tensordot(np.pad(x, ((0, 0), *((0, sum(p)) for p in pads), (0, 0)))[here]"),
    ),
    mistake(
        "groups_interleaved",
        "Your groups take every g-th channel; a group is a run of neighbouring channels.",
        "Group 0 has the first C / groups channels, group 1 the next: np.split, not channel::groups.",
        f"{CONV}:backward",
        (
            "(np.split(array, groups, -1) for array in (dy, x, w))",
            "([array[..., g::groups] for g in range(groups)] for array in (dy, x, w))",
        ),
    ),
)

EXERCISES = (
    Exercise(
        "L0.relu_backward",
        "mini_nn.ops.relu:backward",
        ("dx",),
        relu_cases,
        (
            mistake(
                "upstream_ignored",
                "Your dx is the slope alone: dy was not used.",
                "dx = dy * slope.",
                "mini_nn.ops.relu:backward",
                ("dy * (x > 0)", "np.ones_like(dy) * (x > 0)"),
            ),
            mistake(
                "gradient_of_dy",
                "Your mask looks at dy.",
                "The kink is where x is 0: the mask is x > 0.",
                "mini_nn.ops.relu:backward",
                ("(x > 0)", "(dy > 0)"),
            ),
            mistake(
                "mask_turned_round",
                "Your dx passes where x is negative.",
                "ReLU keeps x where x > 0: there the slope is 1.",
                "mini_nn.ops.relu:backward",
                ("(x > 0)", "(x < 0)"),
            ),
            mistake(
                "passes_everything",
                "Your dx is dy: nothing was stopped.",
                "Where x is negative y does not depend on x: the slope is 0.",
                "mini_nn.ops.relu:backward",
                ("(x > 0)", "(x == x)"),
            ),
            mistake(
                "one_at_zero",
                "Your slope at x = 0 is 1.",
                "At the kink the library, PyTorch and TensorFlow take 0: x > 0, not x >= 0.",
                "mini_nn.ops.relu:backward",
                ("(x > 0)", "(x >= 0)"),
            ),
            mistake(
                "forward_in_place_of_slope",
                "You multiply by relu(x), not by its slope.",
                "The slope is 1 or 0: a mask, not max(x, 0).",
                "mini_nn.ops.relu:backward",
                ("(x > 0)", "np.maximum(x, 0)"),
            ),
        ),
        (
            "How much does y change when x grows a little, left of 0, and right of 0?",
            "The slope is 1 where x > 0 and 0 elsewhere. dx is that times what comes from above.",
            "A comparison of x with 0 gives True and False, which multiply like 1 and 0.",
        ),
        points=1,
        minutes=5,
        checks="Three shapes, a random dy that is never ones, and a zero in x, compared with the library to 1e-8.",
        task="The forward pass was y = max(x, 0). Send the gradient back: given dy = dL/dy and x, return dx = dL/dx.",
    ),
    Exercise(
        "L0.numeric_grad",
        f"{HERE}:numeric_grad",
        ("dx",),
        grad_cases,
        (
            mistake(
                "one_sided",
                "You take one-sided differences: (L(x + h) - L(x)) / h.",
                "Its error shrinks like h, the central one's like h^2. Step to both sides and divide by 2h.",
                f"{HERE}:numeric_grad",
                ("down[i] -= h", "pass"),
                ("/ (2 * h)", "/ h"),
            ),
            Mistake(
                "float32",
                "The function saw float32.",
                "h = 1e-5 is near the last digit of a float32: keep float64 all the way.",
                lambda: numeric_float32,
            ),
            Mistake(
                "input_mutated",
                "The x that was given is not what it was: your steps stay in it.",
                "Step in a copy, or put the number back after each step.",
                lambda: numeric_moved,
            ),
            mistake(
                "upstream_ignored",
                "You differentiate sum(f(x)): dy was not used.",
                "L = sum(f(x) * dy).",
                f"{HERE}:numeric_grad",
                ("(f(up) - f(down)) * dy", "(f(up) - f(down))"),
            ),
            mistake(
                "step_too_small",
                "Your step is so small that f(x + h) and f(x - h) share all their digits.",
                "Below about 1e-8 rounding wins over the formula's error: 1e-5 is near the best in float64.",
                f"{HERE}:numeric_grad",
                ("dx = np.zeros", "h = 1e-13\n    dx = np.zeros"),
            ),
            mistake(
                "divided_by_h",
                "Your gradient is twice too large.",
                "x + h and x - h are 2h apart.",
                f"{HERE}:numeric_grad",
                ("/ (2 * h)", "/ h"),
            ),
            mistake(
                "all_numbers_at_once",
                "Every number of your gradient is the slope of all x together.",
                "Move one number of x at a time, and put it back.",
                f"{HERE}:numeric_grad",
                ("up[i] += h", "up += h"),
                ("down[i] -= h", "down -= h"),
            ),
        ),
        (
            "Move one number of x up by h and down by h. How much does L = sum(f(x) * dy) change?",
            "Go over np.ndindex(x.shape). Work on copies of x.",
            "dx[i] = (L(x with x[i] + h) - L(x with x[i] - h)) / (2 h)",
        ),
        points=3,
        minutes=15,
        checks="Four functions, some with several inputs to an output, compared with the library's own differences to 1e-7.",
        tolerance=1e-7,
        float32=False,
        task="A derivative that needs no thought: central differences. It will check everything else in this course.",
    ),
    Exercise(
        "L0.complex_step_grad",
        f"{HERE}:complex_step_grad",
        ("dx",),
        complex_cases,
        (
            mistake(
                "real_part",
                "You take the real part, which is f itself.",
                "The slope is in the imaginary part: Im f(x + ih) / h.",
                f"{HERE}:complex_step_grad",
                (".imag / h", ".real / h"),
            ),
            mistake(
                "upstream_ignored",
                "dy was not used.",
                "L = sum(f(x) * dy).",
                f"{HERE}:complex_step_grad",
                ("f(moved) * dy", "f(moved)"),
            ),
            mistake(
                "divided_by_2h",
                "Your gradient is half of what it should be.",
                "There is one step, not two: divide by h.",
                f"{HERE}:complex_step_grad",
                (".imag / h", ".imag / (2 * h)"),
            ),
            mistake(
                "real_step",
                "Your step is real: with h = 1e-30 nothing moves.",
                "Step by 1j * h.",
                f"{HERE}:complex_step_grad",
                ("1j * h", "h"),
            ),
            mistake(
                "all_numbers_at_once",
                "You move all of x together.",
                "One number at a time.",
                f"{HERE}:complex_step_grad",
                ("moved[i] += 1j * h", "moved += 1j * h"),
            ),
            mistake(
                "not_divided",
                "You forgot to divide by h.",
                "Im f(x + ih) is h times the slope.",
                f"{HERE}:complex_step_grad",
                (".imag / h", ".imag"),
            ),
        ),
        (
            "f(x + ih) = f(x) + ih f'(x) - ...: where is the slope?",
            "Nothing is subtracted, so h may be as small as 1e-30.",
            "dx[i] = (f(x with x[i] + 1j h) * dy).sum().imag / h",
        ),
        points=2,
        minutes=10,
        checks="Four analytic functions, compared to 1e-12: no difference can do that.",
        core=False,
        tolerance=1e-12,
        float32=False,
        task="A derivative without a difference, exact to the last digit, for functions that take complex numbers.",
    ),
    Exercise(
        "L0.same_padding",
        f"{HERE}:same_padding",
        ("before", "after"),
        padding_cases,
        (
            mistake(
                "symmetric",
                "You put k // 2 on both sides, which is PyTorch's habit.",
                "'same' asks for ceil(n / s) outputs and just enough zeros for them; with stride 2 that is often one less.",
                f"{HERE}:same_padding",
                ("return total // 2, total - total // 2", "return kernel_size // 2, kernel_size // 2"),
            ),
            mistake(
                "sides_swapped",
                "Your odd pixel is before the image.",
                "TensorFlow puts it after: before = total // 2.",
                f"{HERE}:same_padding",
                ("return total // 2, total - total // 2", "return total - total // 2, total // 2"),
            ),
            mistake(
                "negative",
                "Your padding can be less than none.",
                "Where the filter is smaller than the stride the formula goes below 0: max(..., 0).",
                f"{HERE}:same_padding",
                (
                    "max((outputs - 1) * stride + kernel_size - n, 0)",
                    "(outputs - 1) * stride + kernel_size - n",
                ),
            ),
            mistake(
                "floor",
                "You count floor(n / s) outputs.",
                "There are ceil(n / s): the last window may begin before the end. -(-n // s) rounds up.",
                f"{HERE}:same_padding",
                ("-(-n // stride)", "n // stride"),
            ),
            mistake(
                "stride_ignored",
                "You padded as if the stride were 1.",
                "With a stride fewer windows must fit: total = (outputs - 1) s + k - n.",
                f"{HERE}:same_padding",
                ("-(-n // stride)", "n"),
                ("(outputs - 1) * stride", "(outputs - 1)"),
            ),
            mistake(
                "all_after",
                "All your padding is after the image.",
                "Half of it goes before, rounded down.",
                f"{HERE}:same_padding",
                ("return total // 2, total - total // 2", "return 0, total"),
            ),
        ),
        (
            "How many outputs does 'same' promise? How many pixels do that many windows cover?",
            "outputs = ceil(n / s); they cover (outputs - 1) s + k pixels; what is missing is padding, at least none.",
            "total = max((outputs - 1) * s + k - n, 0); before = total // 2; after = total - before",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="104 combinations of size, filter and stride, compared exactly.",
        task="How many zeros go before and after a row of n pixels? This one rule is why half of all ports of these networks differ at the border.",
    ),
    Exercise(
        "L0.conv2d_forward",
        f"{CONV}:forward",
        ("y",),
        forward_cases,
        (
            mistake(
                "kernel_flipped",
                "Your filter is turned by 180 degrees: that is the convolution of mathematics.",
                "Networks correlate: tap (a, b) sees the pixel at + (a, b).",
                f"{CONV}:forward",
                ("@ w[a, b]", "@ w[-1 - a, -1 - b]"),
            ),
            mistake(
                "rows_and_columns_swapped",
                "Your filter has its rows and columns swapped.",
                "a goes with axis 1 of x (height), b with axis 2 (width).",
                f"{CONV}:forward",
                ("@ w[a, b]", "@ w[b, a]"),
            ),
            mistake(
                "stride_ignored",
                "Your windows are next to each other: the stride is ignored.",
                "Step by s in the slice: x[:, a : a + s * oh : s, ...].",
                f"{CONV}:forward",
                ("window(a, b, out, stride)", "window(a, b, out, 1)"),
            ),
            mistake(
                "padding_ignored",
                "You convolved without padding.",
                "`padding` says how many zeros go around; `resolve` turns it into numbers.",
                f"{CONV}:forward",
                ("resolve(padding,", 'resolve("valid",'),
            ),
            mistake(
                "padding_at_the_end",
                "All your padding is below and to the right.",
                "`pads` has ((top, bottom), (left, right)): put them where they belong.",
                f"{CONV}:forward",
                ("xp = pad(x, pads)", "xp = pad(x, tuple((0, sum(p)) for p in pads))"),
            ),
            mistake(
                "overwrite_instead_of_accumulate",
                "Your y has the share of the last tap only.",
                "y adds up over all taps: +=.",
                f"{CONV}:forward",
                ("y += xp", "y[...] = xp"),
            ),
            mistake(
                "groups_interleaved",
                "Your groups take every g-th channel.",
                "A group is a run of neighbouring channels: np.split.",
                f"{CONV}:forward",
                (
                    "np.split(x, groups, -1), np.split(w, groups, -1)",
                    "[x[..., g::groups] for g in range(groups)], [w[..., g::groups] for g in range(groups)]",
                ),
            ),
            mistake(
                "padding_with_the_edge",
                "Your padding repeats the border.",
                "The padding is zeros.",
                f"{CONV}:forward",
                ("xp = pad(x, pads)", 'xp = np.pad(x, ((0, 0), *pads, (0, 0)), "edge")'),
            ),
        ),
        (
            "For one tap (a, b) of the filter: which pixels does it see, for all outputs at once?",
            "x padded, sliced from (a, b) in steps of s, is (N, OH, OW, I); times w[a, b], which is (I, O). Add over taps.",
            "For each tap, y gets the slice window(a, b, out, stride) of the padded x, times w[a, b] by @; each group on its own channels.",
        ),
        points=4,
        minutes=25,
        core=False,
        checks="Eight small asymmetric settings (strides 1 to 3, three paddings, groups, remainders), compared to 1e-8.",
        needs="from mini_nn.ops.padding import pad, resolve, window",
        twins=("mini_nn.kernels.conv:forward",),
        mine=(f"{CONV}:forward",),
        task="A convolution with stride, padding and groups. Loops over pixels are fine; a loop over the K x K taps is short and quick.",
    ),
    Exercise(
        "L0.conv2d_backward_dw",
        f"{HERE}:conv2d_backward_dw",
        ("dw",),
        dw_cases,
        (
            mistake(
                "kernel_flipped",
                "Your dw is turned by 180 degrees.",
                "dw[a, b] belongs to the pixels that start at (a, b).",
                f"{HERE}:conv2d_backward_dw",
                ("dw[a, b] =", "dw[-1 - a, -1 - b] ="),
            ),
            mistake(
                "taps_swapped",
                "Your dw has rows and columns of the filter swapped.",
                "a counts rows, b columns.",
                f"{HERE}:conv2d_backward_dw",
                ("dw[a, b] =", "dw[b, a] ="),
            ),
            mistake(
                "batch_misaligned",
                "Your dw pairs each image with the gradient of another.",
                "Sum over n with the same n in x and dy.",
                f"{HERE}:conv2d_backward_dw",
                ("dy, ((0", "dy[::-1], ((0"),
            ),
            mistake(
                "upstream_taken_as_ones",
                "dy was not used: these are the gradients of sum(y).",
                "Each pixel of x is multiplied by its dy.",
                f"{HERE}:conv2d_backward_dw",
                ("dy, ((0", "np.ones_like(dy), ((0"),
            ),
            mistake(
                "averaged_over_the_batch",
                "Your dw is divided by N.",
                "Here it is a sum: the loss has divided already.",
                f"{HERE}:conv2d_backward_dw",
                ("dy, ((0", "dy / len(x), ((0"),
            ),
            mistake(
                "reshaped_not_transposed",
                "Your dw[a, b] is (O, I) reshaped to (I, O).",
                "Put x first in the product.",
                f"{HERE}:conv2d_backward_dw",
                (
                    "np.tensordot(x[:, a : a + oh, b : b + ow], dy, ((0, 1, 2), (0, 1, 2)))",
                    "np.tensordot(dy, x[:, a : a + oh, b : b + ow], ((0, 1, 2), (0, 1, 2))).reshape(x.shape[3], -1)",
                ),
            ),
        ),
        (
            "w[a, b] was multiplied with one slice of x, for all outputs. Which?",
            "dw[a, b, c, o] = sum over n, i, j of x[n, i + a, j + b, c] dy[n, i, j, o]",
            "np.tensordot over the axes (0, 1, 2) of both, or a reshape to two matrices and @",
        ),
        points=2,
        minutes=15,
        core=False,
        checks="Three small asymmetric settings, H and W different, compared to 1e-8.",
        task="Step 1 of 3. Stride 1, no padding: what does the loss say to the filter?",
    ),
    Exercise(
        "L0.conv2d_backward_dx",
        f"{HERE}:conv2d_backward_dx",
        ("dx",),
        dx_cases,
        (
            mistake(
                "overwrite_instead_of_accumulate",
                "Your dx keeps the last share of each pixel only.",
                OVERWRITE,
                f"{HERE}:conv2d_backward_dx",
                ("+= dy", "= dy"),
            ),
            mistake(
                "kernel_flipped",
                "Your dx uses the filter turned by 180 degrees.",
                "When you scatter dy tap by tap, tap (a, b) keeps its place.",
                f"{HERE}:conv2d_backward_dx",
                ("w[a, b].T", "w[-1 - a, -1 - b].T"),
            ),
            mistake(
                "taps_swapped",
                "Your dx uses the filter with rows and columns swapped.",
                "a goes with rows, b with columns.",
                f"{HERE}:conv2d_backward_dx",
                ("w[a, b].T", "w[b, a].T"),
            ),
            mistake(
                "reshaped_not_transposed",
                "You reshape w[a, b] to (O, I), which is not its transpose.",
                "Use w[a, b].T.",
                f"{HERE}:conv2d_backward_dx",
                ("w[a, b].T", "w[a, b].reshape(w.shape[3], w.shape[2])"),
            ),
            mistake(
                "upstream_taken_as_ones",
                "dy was not used.",
                "Everything that goes back is multiplied by dy.",
                f"{HERE}:conv2d_backward_dx",
                ("+= dy @", "+= np.ones_like(dy) @"),
            ),
            mistake(
                "output_sized",
                "Your dx is as large as dy.",
                "dx has the shape of x: H = OH + K - 1.",
                f"{HERE}:conv2d_backward_dx",
                ("return dx", "return dx[:, :oh, :ow]"),
            ),
        ),
        (
            "Pixel (i, j) of y was made from K x K pixels of x. Where does its gradient go?",
            "Turn the forward line round: what was read with weight w[a, b] now receives dy times w[a, b].T.",
            "dx[:, a : a + oh, b : b + ow] gets dy @ w[a, b].T added, for each tap",
        ),
        points=2,
        minutes=15,
        core=False,
        checks="Three small asymmetric settings, compared to 1e-8.",
        task="Step 2 of 3. Stride 1, no padding: what does the loss say to the image?",
    ),
    Exercise(
        "L0.conv2d_backward",
        f"{CONV}:backward",
        ("dx", "dw"),
        backward_cases,
        CONV_BACKWARD,
        (
            "Write the forward pass above your code. Each of its lines has one line here that undoes it.",
            "Pad x; make dx as large as the padded x; go over the taps; cut the padding off at the end.",
            "Use one slice `here` for tap (a, b): dx at `here` gets dy @ w[a, b].T added, dw[a, b] pairs x at `here` with dy.",
        ),
        points=5,
        minutes=30,
        checks="Eight small asymmetric settings (strides 1 to 3, three paddings, groups, more filters than channels, remainders), a random dy, every number, to 1e-8.",
        needs="from mini_nn.ops.padding import crop, pad, resolve, window",
        twins=("mini_nn.kernels.conv:backward",),
        task="Step 3 of 3. The whole backward pass: stride, padding and groups.",
    ),
    Exercise(
        "L0.find_the_bug",
        f"{HERE}:find_the_bug",
        ("verdicts",),
        one_case,
        (
            mistake(
                "upstream_of_ones",
                "Your dy is all ones: what ignores dy passes your test.",
                "Draw dy at random, and never as ones.",
                f"{HERE}:find_the_bug",
                (
                    "dy = rng.normal(size=forward(x, w, stride).shape)",
                    "dy = np.ones(forward(x, w, stride).shape)",
                ),
            ),
            mistake(
                "stride_1_only",
                "You test with stride 1 only.",
                "What ignores the stride is right at stride 1. Take 1, 2 and 3.",
                f"{HERE}:find_the_bug",
                ("in SETTINGS:", "in SETTINGS:\n        stride = 1"),
            ),
            mistake(
                "one_image",
                "You test with one image.",
                "What mixes up the images of a batch is right for N = 1. Take N = 2.",
                f"{HERE}:find_the_bug",
                ("x, w = rng.normal(size=(n,", "n = 1\n        x, w = rng.normal(size=(n,"),
            ),
            mistake(
                "dx_only",
                "You look at dx only.",
                "backward gives dx and dw: compare both.",
                f"{HERE}:find_the_bug",
                (
                    "(dw, w, lambda z, x=x: forward(x, z, stride))",
                    "(dx, x, lambda z, w=w: forward(z, w, stride))",
                ),
            ),
            mistake(
                "dw_only",
                "You look at dw only.",
                "backward gives dx and dw: compare both.",
                f"{HERE}:find_the_bug",
                (
                    "(dx, x, lambda z, w=w: forward(z, w, stride))",
                    "(dw, w, lambda z, x=x: forward(x, z, stride))",
                ),
            ),
            mistake(
                "sums_only",
                "You compare sums.",
                "Errors cancel in a sum. Compare every number.",
                f"{HERE}:find_the_bug",
                ("np.allclose(got, want, 1e-6, 1e-6)", "np.allclose(np.sum(got), np.sum(want), 1e-6, 1e-6)"),
            ),
            mistake(
                "too_strict",
                "Your test calls right implementations wrong.",
                "Differences carry rounding errors of 1e-9 and more: compare to 1e-6, not exactly.",
                f"{HERE}:find_the_bug",
                ("np.allclose(got, want, 1e-6, 1e-6)", "np.array_equal(got, want)"),
            ),
            mistake(
                "too_loose",
                "Your test lets errors as large as a gradient pass.",
                "Compare to 1e-6 of the gradient's size.",
                f"{HERE}:find_the_bug",
                ("np.allclose(got, want, 1e-6, 1e-6)", "np.allclose(got, want, 1e-6, 10.0)"),
            ),
            mistake(
                "turned_round",
                "Your answers are turned round.",
                "Return True if backward is wrong.",
                f"{HERE}:find_the_bug",
                (
                    "                return True\n    return False",
                    "                return False\n    return True",
                ),
            ),
        ),
        (
            "Which inputs make a wrong backward look right? Avoid those.",
            "H and W different, several images, stride 2 or 3, more than one channel, a random dy; compare every number of dx and dw with differences.",
            "For each setting: dy random, (dx, dw) = backward(...); compare each with central differences of sum(forward(...) * dy).",
        ),
        points=5,
        minutes=30,
        checks="Your test is given two right backwards and twelve wrong ones; it should call the two right and each of the twelve wrong.",
        use=use_test,
        free=("SETTINGS",),  # other shapes do as well
        task="Turn it round: write the test. You get a forward and a backward; say whether the backward is wrong.",
    ),
    Exercise(
        "L0.batch_norm_forward",
        f"{HERE}:batch_norm_forward",
        ("y",),
        norm_cases,
        (
            mistake(
                "eps_outside_the_root",
                "Your eps is added to the standard deviation.",
                "1 / sqrt(var + eps): inside the root.",
                f"{HERE}:batch_norm_forward",
                ("np.sqrt(var + eps)", "(np.sqrt(var) + eps)"),
            ),
            mistake(
                "per_sample",
                "You take mean and variance for each image.",
                "They are the batch's: over N, H and W together.",
                f"{HERE}:batch_norm_forward",
                (
                    "x.mean((0, 1, 2)), x.var((0, 1, 2))",
                    "x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)",
                ),
            ),
            mistake(
                "unbiased_variance",
                "Your variance is divided by m - 1.",
                "The batch is normalised with the biased variance, divided by m. The unbiased one is only tracked.",
                f"{HERE}:batch_norm_forward",
                ("x.var((0, 1, 2))", "x.var((0, 1, 2), ddof=1)"),
            ),
            mistake(
                "over_all_channels",
                "You take one mean and one variance for all channels.",
                "Each channel has its own: sum over N, H, W, keep C.",
                f"{HERE}:batch_norm_forward",
                ("x.mean((0, 1, 2)), x.var((0, 1, 2))", "x.mean(), x.var()"),
            ),
            mistake(
                "divided_by_the_variance",
                "You divide by the variance.",
                "Divide by its root.",
                f"{HERE}:batch_norm_forward",
                ("np.sqrt(var + eps)", "(var + eps)"),
            ),
            mistake(
                "over_the_batch_only",
                "You take mean and variance over N only, for each pixel.",
                "Pixels of a channel share them: over N, H and W.",
                f"{HERE}:batch_norm_forward",
                ("x.mean((0, 1, 2)), x.var((0, 1, 2))", "x.mean(0), x.var(0)"),
            ),
            mistake(
                "beta_scaled",
                "You scale beta too.",
                "y = gamma x_hat + beta: the shift comes last.",
                f"{HERE}:batch_norm_forward",
                (
                    "gamma * (x - mean) / np.sqrt(var + eps) + beta",
                    "gamma * ((x - mean) / np.sqrt(var + eps) + beta)",
                ),
            ),
        ),
        (
            "Which axes belong to one channel?",
            "mean and var over the axes (0, 1, 2); then subtract, divide, scale, shift.",
            "y = gamma * (x - mean) / np.sqrt(var + eps) + beta",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Three shapes, channels with different means, a small and a large eps, compared to 1e-8.",
        task="BatchNorm 1 of 3: the forward pass of training.",
    ),
    Exercise(
        "L0.batch_norm_backward",
        f"{HERE}:batch_norm_backward",
        ("dx", "dgamma", "dbeta"),
        norm_backward_cases,
        (
            mistake(
                "no_variance_term",
                "Your dx has no term for the variance.",
                "The variance moves with every x: subtract x_hat * mean(dy * x_hat).",
                f"{HERE}:batch_norm_backward",
                ("- x_hat * (dy * x_hat).mean(axes))", ")"),
            ),
            mistake(
                "no_mean_term",
                "Your dx has no term for the mean.",
                "The mean moves with every x: subtract mean(dy).",
                f"{HERE}:batch_norm_backward",
                ("- dy.mean(axes) ", ""),
            ),
            mistake(
                "mean_and_var_as_constants",
                "Your dx takes mean and variance as constants: that is a frozen layer's.",
                "They are made of x: two more terms.",
                f"{HERE}:batch_norm_backward",
                ("- dy.mean(axes) - x_hat * (dy * x_hat).mean(axes))", ")"),
            ),
            mistake(
                "n_minus_1",
                "Your variance is divided by m - 1.",
                "The forward pass used the biased variance.",
                f"{HERE}:batch_norm_backward",
                ("x.var(axes)", "x.var(axes, ddof=1)"),
            ),
            mistake(
                "eps_outside_the_root",
                "Your eps is added to the standard deviation.",
                "1 / sqrt(var + eps).",
                f"{HERE}:batch_norm_backward",
                ("1 / np.sqrt(x.var(axes) + eps)", "1 / (np.sqrt(x.var(axes)) + eps)"),
            ),
            mistake(
                "gamma_forgotten",
                "Your dx has no gamma.",
                "y = gamma x_hat + beta: dx_hat = gamma dy.",
                f"{HERE}:batch_norm_backward",
                ("gamma * inv_std * (", "inv_std * ("),
            ),
            mistake(
                "dgamma_without_normalising",
                "Your dgamma sums dy * x.",
                "gamma multiplies x_hat: sum dy * x_hat.",
                f"{HERE}:batch_norm_backward",
                ("dgamma, dbeta = (dy * x_hat)", "dgamma, dbeta = (dy * x)"),
            ),
            mistake(
                "averaged_dgamma",
                "Your dgamma and dbeta are means.",
                "They are sums over N, H and W.",
                f"{HERE}:batch_norm_backward",
                ("(dy * x_hat).sum(axes), dy.sum(axes)", "(dy * x_hat).mean(axes), dy.mean(axes)"),
            ),
            mistake(
                "per_sample",
                "You take mean and variance for each image.",
                "They are the batch's: over N, H and W together.",
                f"{HERE}:batch_norm_backward",
                ("x.var(axes) + eps", "x.var((1, 2), keepdims=True) + eps"),
                ("x - x.mean(axes)", "x - x.mean((1, 2), keepdims=True)"),
            ),
        ),
        (
            "x reaches y by three roads: directly, through the mean, and through the variance.",
            "With dx_hat = gamma dy the roads give: dx_hat - mean(dx_hat) - x_hat mean(dx_hat x_hat), all divided by the standard deviation.",
            "dx = gamma * inv_std * (dy - dy.mean(axes) - ...); the last term has x_hat twice",
        ),
        points=4,
        minutes=30,
        core=False,
        checks="Three shapes, dy with a mean that is not zero, compared to 1e-8.",
        task="BatchNorm 2 of 3: the backward pass of training.",
    ),
    Exercise(
        "L0.batch_norm_frozen",
        f"{HERE}:batch_norm_step",
        ("y", "running_mean", "running_var"),
        step_cases,
        (
            mistake(
                "running_statistics_moved_in_eval",
                "Your running statistics move when nothing is trained.",
                "Prediction looks at them and leaves them alone.",
                f"{HERE}:batch_norm_step",
                (
                    "if train and not frozen:",
                    "batch = x.mean(axes), x.var(axes)\n    if not (train and not frozen):\n        running_mean = (1 - momentum) * running_mean + momentum * batch[0]\n        running_var = (1 - momentum) * running_var + momentum * batch[1] * (x.size // x.shape[3]) / (x.size // x.shape[3] - 1)\n    if train and not frozen:",
                ),
            ),
            mistake(
                "momentum_inverted",
                "Your momentum weighs the old value.",
                "Here, as in PyTorch, momentum is the weight of the new batch; Keras and TensorFlow count the other way.",
                f"{HERE}:batch_norm_step",
                (
                    "(1 - momentum) * running_mean + momentum * mean",
                    "momentum * running_mean + (1 - momentum) * mean",
                ),
                (
                    "(1 - momentum) * running_var + momentum * var",
                    "momentum * running_var + (1 - momentum) * var",
                ),
            ),
            mistake(
                "biased_variance_tracked",
                "You track the biased variance.",
                "The running variance gets m / (m - 1) times the batch's.",
                f"{HERE}:batch_norm_step",
                ("* var * m / (m - 1)", "* var"),
            ),
            mistake(
                "unbiased_variance_used",
                "You normalise with the unbiased variance.",
                "Only the running variance gets m / (m - 1); y uses the biased one.",
                f"{HERE}:batch_norm_step",
                ("x.mean(axes), x.var(axes)", "x.mean(axes), x.var(axes, ddof=1)"),
                ("* var * m / (m - 1)", "* var"),
            ),
            mistake(
                "frozen_ignored",
                "A frozen layer still uses and tracks the batch in your version.",
                "Frozen means: as in prediction, even when train is True.",
                f"{HERE}:batch_norm_step",
                ("if train and not frozen:", "if train:"),
            ),
            mistake(
                "frozen_tracks",
                "Your frozen layer predicts rightly, but its running statistics drift.",
                "This is the bug that cost Keras users accuracy for years (keras#9965): frozen statistics do not move.",
                f"{HERE}:batch_norm_step",
                (
                    "    return gamma",
                    "    if train and frozen:\n        m = x.size // x.shape[3]\n        running_mean = (1 - momentum) * running_mean + momentum * x.mean(axes)\n        running_var = (1 - momentum) * running_var + momentum * x.var(axes) * m / (m - 1)\n    return gamma",
                ),
            ),
            mistake(
                "batch_used_in_eval",
                "You predict with the batch's own statistics.",
                "Prediction uses the running ones: an image must not depend on its neighbours.",
                f"{HERE}:batch_norm_step",
                ("    return gamma", "    mean, var = x.mean(axes), x.var(axes)\n    return gamma"),
            ),
            mistake(
                "running_used_in_training",
                "You train with the running statistics.",
                "Training uses the batch's own; the running ones only follow.",
                f"{HERE}:batch_norm_step",
                ("    return gamma", "    mean, var = running_mean, running_var\n    return gamma"),
            ),
            mistake(
                "eps_outside_the_root",
                "Your eps is added to the standard deviation.",
                "1 / sqrt(var + eps).",
                f"{HERE}:batch_norm_step",
                ("np.sqrt(var + eps)", "(np.sqrt(var) + eps)"),
            ),
        ),
        (
            "Two questions: which mean and variance make y? Do the running ones move?",
            "Only training without freezing uses the batch and moves the running ones.",
            "running = (1 - momentum) * running + momentum * batch, with var * m / (m - 1) for the variance",
        ),
        points=3,
        minutes=20,
        core=False,
        checks="Training, prediction and a frozen layer on three shapes; y to 1e-8, and statistics that must not move compared exactly to 1e-8.",
        task="BatchNorm 3 of 3: the layer, with its running statistics, in training, in prediction, and frozen.",
    ),
)
