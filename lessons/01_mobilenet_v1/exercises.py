"""L1, depthwise separable convolution and MobileNet v1: what is asked, the cases, and the mistakes that have a name."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from lessons.catalogue import Case, Exercise, Function, Mistake, mistake
from mini_nn.models.mobilenet_v1 import channels
from mini_nn.ops import depthwise
from mini_nn.ops.padding import Padding

HERE = "lessons.01_mobilenet_v1.exercises"
DEPTHWISE, POINTWISE = "mini_nn.ops.depthwise", "mini_nn.ops.pointwise"
Rng = np.random.Generator
Row = tuple[str, int, int, int, int]


def conv_cost(
    size: tuple[int, int], in_channels: int, filters: int, kernel_size: int, stride: int = 1, groups: int = 1
) -> tuple[int, int]:
    """Return (parameters, multiply-adds) of a convolution with 'same' padding and no bias (BatchNorm follows).

    size is the input's (height, width); each filter sees in_channels / groups channels.  groups = in_channels = filters is
    the depthwise convolution, kernel_size = 1 the pointwise one.
    """
    params = kernel_size * kernel_size * (in_channels // groups) * filters
    height, width = (-(-n // stride) for n in size)
    return params, params * height * width


def mobilenet_v1(width_mult: float = 1.0, resolution: int = 224, classes: int = 1000) -> list[Row]:
    """Return the network as rows (kind, in_channels, out_channels, stride, height of the output), first to last.

    ("conv", 3, 32, 2, 112), then a "depthwise" and a "pointwise" row for each of the 13 blocks of the paper's table 1, then
    ("dense", 1024, 1000, 1, 1).  Output channels of the blocks: 64; 128 twice; 256 twice; 512 six times; 1024 twice; the
    first of each but the 64 has stride 2.  `channels(c, width_mult)` gives a scaled number of channels.
    """
    height, before = -(-resolution // 2), channels(32, width_mult)
    rows = [("conv", 3, before, 2, height)]
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for out, stride in plan:
        height, after = -(-height // stride), channels(out, width_mult)
        rows.append(("depthwise", before, before, stride, height))
        rows.append(("pointwise", before, after, 1, height))
        before = after
    return [*rows, ("dense", before, classes, 1, 1)]


# ---- cases

GRID: tuple[tuple[tuple[int, ...], int, int, Padding], ...] = (
    ((2, 4, 3, 1), 1, 1, "valid"),
    ((2, 5, 4, 2), 3, 1, "valid"),
    ((2, 5, 4, 3), 3, 1, "same"),
    ((3, 7, 6, 2), 3, 2, "same"),
    ((2, 6, 9, 3), 3, 2, "symmetric"),
    ((2, 8, 10, 2), 2, 3, "valid"),
    ((2, 6, 6, 3), 5, 2, "same"),
    ((1, 7, 5, 3), 3, 1, 1),
)


def forward_cases(rng: Rng) -> Iterator[Case]:
    for shape, k, stride, padding in GRID:
        yield {
            "x": rng.normal(size=shape),
            "w": rng.normal(size=(k, k, shape[3])),
            "stride": stride,
            "padding": padding,
        }


def backward_cases(rng: Rng) -> Iterator[Case]:
    for case in forward_cases(rng):
        yield {"dy": rng.normal(size=depthwise.forward(**case).shape), **case}


def cost_cases(_: Rng) -> Iterator[Case]:
    for size, i, o, k, stride, groups in (
        ((2, 3), 1, 1, 1, 1, 1),
        ((5, 4), 3, 8, 3, 1, 1),
        ((7, 6), 4, 6, 3, 2, 1),
        ((9, 5), 6, 6, 3, 2, 6),
        ((8, 8), 8, 12, 5, 3, 4),
        ((112, 112), 32, 32, 3, 1, 32),
        ((112, 112), 32, 64, 1, 1, 1),
        ((224, 160), 3, 32, 3, 2, 1),
    ):
        yield {
            "size": size,
            "in_channels": i,
            "filters": o,
            "kernel_size": k,
            "stride": stride,
            "groups": groups,
        }


def pointwise_cases(rng: Rng) -> Iterator[Case]:
    for shape, o in (((2, 1, 2, 1), 1), ((2, 3, 2, 3), 3), ((3, 2, 5, 2), 4), ((2, 4, 3, 4), 2)):
        yield {"x": rng.normal(size=shape), "w": rng.normal(size=(shape[-1], o))}


def pointwise_backward_cases(rng: Rng) -> Iterator[Case]:
    for case in pointwise_cases(rng):
        yield {"dy": rng.normal(size=(*case["x"].shape[:3], case["w"].shape[1])), **case}


def network_cases(_: Rng) -> Iterator[Case]:
    for width_mult, resolution, classes in (
        (1.0, 224, 1000),
        (0.5, 160, 10),
        (0.25, 97, 7),
        (1.3, 192, 1001),
    ):
        yield {"width_mult": width_mult, "resolution": resolution, "classes": classes}


def cost_of(rows: Any) -> tuple[int, int]:
    """(parameters of the weights, multiply-adds) of rows as mobilenet_v1 gives them."""
    params = macs = 0
    for kind, i, o, _, height in rows:
        own = {"conv": 9 * i * o, "depthwise": 9 * i, "pointwise": i * o, "dense": i * o}[kind]
        params, macs = params + own, macs + own * height * height
    return params, macs


def use_network(build: Function, case: Case) -> tuple[Any, ...]:
    """The rows, and what they add up to: a wrong table is seen by its multiply-adds, even where the parameters agree."""
    rows = [tuple(row) for row in build(**case)]
    return len(rows), *cost_of(rows), rows


# ---- wrong variants

SAME_SLICE = "Tap (a, b) read the pixels a, a + s, a + 2s, ...: dx and dw use those same pixels."


def of_depthwise(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{DEPTHWISE}:backward", *changes)


DEPTHWISE_BACKWARD = (
    of_depthwise("unpadded_x", "Your dw reads x without its padding.", "The forward pass read the padded image: pad x first, for dw too.", ("dy * xp[here]", "dy * x[here]")),
    of_depthwise("wrong_channel", "Your dw of a channel comes from its neighbour's pixels.", "Filter c has seen channel c only: dw[a, b, c] sums dy[..., c] times x[..., c].", ("dy * xp[here]", "dy * np.roll(xp[here], 1, -1)")),
    of_depthwise("channels_summed", "Your dx adds up all channels: that is a standard convolution's.", "Channels are not mixed here: `*`, not `@`, and no sum over c.", ("+= dy * w[a, b]", "+= (dy * w[a, b]).sum(-1, keepdims=True)")),
    of_depthwise("stride_ignored_in_dx", "Your dx is what you get when the stride is ignored.", SAME_SLICE, ("dxp[here] +=", "dxp[window(a, b, out, 1)] +=")),
    of_depthwise("stride_ignored_in_dw", "Your dw is what you get when the stride is ignored.", SAME_SLICE, ("dy * xp[here]", "dy * xp[window(a, b, out, 1)]")),
    of_depthwise("overwrite_instead_of_accumulate", "Your dx keeps the last share of every pixel only.", "Windows overlap: +=, onto zeros.", ("dxp[here] +=", "dxp[here] =")),
    of_depthwise("crop_off_by_one", "Your dx is cut out of the padded gradient one pixel too far down and right.", "The first pixel of dx is dxp[top, left].", ("crop(dxp, pads)", "crop(np.roll(dxp, -1, (1, 2)), pads)")),
    of_depthwise("crop_sides_swapped", "Your dx is cut as if the odd row of padding were at the top.", "'same' puts an odd pixel at the bottom and at the right.", ("crop(dxp, pads)", "crop(dxp, tuple((after, before) for before, after in pads))")),
    of_depthwise("crop_forgotten", "Your dx still has the padding around it.", "x had no padding, so dx has none.", ("return crop(dxp, pads), dw", "return dxp, dw")),
    of_depthwise("kernel_flipped_in_dx", "Your dx uses the filters turned by 180 degrees.", "When you scatter dy tap by tap, tap (a, b) keeps its place.", ("dy * w[a, b]", "dy * w[-1 - a, -1 - b]")),
    of_depthwise("kernel_flipped_in_dw", "Your dw is the right one turned by 180 degrees.", "dw[a, b] belongs to the pixels that start at (a, b).", ("dw[a, b] =", "dw[-1 - a, -1 - b] =")),
    of_depthwise("taps_swapped_in_dw", "Your dw has rows and columns of the filters swapped.", "a counts rows (axis 1 of x), b columns (axis 2).", ("dw[a, b] =", "dw[b, a] =")),
    of_depthwise("batch_misaligned", "Your dw pairs each image with the gradient of another image.", "Sum over n with the same n in x and dy.", ("dy * xp[here]", "dy[::-1] * xp[here]")),
    of_depthwise("first_image_only", "Your dw has the share of the first image only.", "The filters are the same for all images: add up over n.", ("dy * xp[here]", "dy[:1] * xp[here][:1]")),
    of_depthwise("dw_averaged_over_the_batch", "Your dw is the right one divided by N.", "Here it is a sum: the loss has divided already.", ("dy * xp[here]", "dy / len(x) * xp[here]")),
    of_depthwise("upstream_taken_as_ones", "Your gradients are those of sum(y): dy was not used.", "Everything that goes back is multiplied by dy.", ("xp = pad(x, pads)", "xp, dy = pad(x, pads), np.ones_like(dy)")),
    of_depthwise("remainder_rows_lost", "Your dx ends with the last window: rows and columns that no window reached are missing.", "dx has the shape of x; pixels that were never read have gradient zero.", ("np.zeros(xp.shape,", "np.zeros((len(x), *(stride * (n - 1) + len(w) for n in out), x.shape[3]),")),
)  # fmt: skip


def of_forward(id: str, what: str, look: str, *changes: tuple[str, str]) -> Mistake:
    return mistake(id, what, look, f"{DEPTHWISE}:forward", *changes)


DEPTHWISE_FORWARD = (
    of_forward("channels_summed", "Your channels are added up: every output channel is the same mixture.", "A depthwise filter sees its own channel only: `*` by w[a, b], which is (C,), and no sum over c.", ("y += xp[window(a, b, out, stride)] * w[a, b]", "y += (xp[window(a, b, out, stride)] * w[a, b]).sum(-1, keepdims=True)")),
    of_forward("rows_and_columns_swapped", "Your filters have rows and columns swapped.", "a goes with axis 1 of x (height), b with axis 2 (width).", ("* w[a, b]", "* w[b, a]")),
    of_forward("layout", "You read w as (C, K, K).", "Here w is (K, K, C), channels last, as x is.", ("* w[a, b]", "* w.reshape(w.shape[2], *w.shape[:2])[:, a, b]")),
    of_forward("first_filter_for_all", "Every channel is filtered by the first channel's filter.", "w[a, b] has one number for each channel: use all of them.", ("* w[a, b]", "* w[a, b, 0]")),
    of_forward("kernel_flipped", "Your filters are turned by 180 degrees.", "Networks correlate: tap (a, b) sees the pixel at + (a, b).", ("* w[a, b]", "* w[-1 - a, -1 - b]")),
    of_forward("stride_ignored", "Your windows are next to each other: the stride is ignored.", "Step by s: x[:, a : a + s * oh : s, ...].", ("window(a, b, out, stride)", "window(a, b, out, 1)")),
    of_forward("padding_ignored", "You filtered without padding.", "`padding` says how many zeros go around; `resolve` turns it into numbers.", ("resolve(padding,", 'resolve("valid",')),
    of_forward("padding_at_the_end", "All your padding is below and to the right.", "`pads` is ((top, bottom), (left, right)).", ("xp = pad(x, pads)", "xp = pad(x, tuple((0, sum(p)) for p in pads))")),
    of_forward("overwrite_instead_of_accumulate", "Your y has the share of the last tap only.", "y adds up over the taps: +=.", ("y += xp", "y[...] = xp")),
)  # fmt: skip

COST = (
    mistake("input_size_used", "You multiply by the input's pixels.", "Each filter is applied once for every pixel of the OUTPUT: with stride 2 a quarter as many.", f"{HERE}:conv_cost", ("(-(-n // stride) for n in size)", "size")),
    mistake("groups_forgotten", "You count every filter over all input channels.", "With groups a filter sees in_channels / groups channels. That is where depthwise convolution saves.", f"{HERE}:conv_cost", ("(in_channels // groups)", "in_channels")),
    mistake("bias_counted", "You count a bias for each filter.", "BatchNorm comes right after and has a shift of its own (beta): these convolutions have no bias.", f"{HERE}:conv_cost", ("* filters\n", "* filters + filters\n")),
    mistake("groups_divide_twice", "You divide by the groups twice.", "The filters are shared among the groups already: divide in_channels only.", f"{HERE}:conv_cost", ("* filters\n", "* filters // groups\n")),
    mistake("one_side_of_the_filter", "You count K taps, not K x K.", "A filter has K rows and K columns.", f"{HERE}:conv_cost", ("kernel_size * kernel_size *", "kernel_size *")),
    mistake("floor_of_the_size", "You round the output's size down.", "With 'same' padding there are ceil(n / s) outputs.", f"{HERE}:conv_cost", ("-(-n // stride)", "n // stride")),
    mistake("multiplications_and_additions", "Your second number counts multiplications and additions apart: twice the multiply-adds.", "A multiply-add is one of each; papers on these networks count pairs (and often call them FLOPs).", f"{HERE}:conv_cost", ("params * height * width", "2 * params * height * width")),
    mistake("strided_once", "You divide height by the stride, and not width.", "The stride holds for rows and for columns.", f"{HERE}:conv_cost", ("(-(-n // stride) for n in size)", "-(-size[0] // stride), size[1]")),
)  # fmt: skip

NETWORK = (
    mistake("stride_on_the_wrong_block", "Your stride 2 is on the last block of each size, not on the first.", "The block that widens the channels also halves the image.", f"{HERE}:mobilenet_v1", ("(128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)", "(128, 1), (128, 2), (256, 1), (256, 2), *[(512, 1)] * 5, (512, 2), (1024, 1), (1024, 2)")),
    mistake("width_not_on_the_stem", "Your first layer keeps 32 channels whatever the width.", "The multiplier thins every layer, the first one too.", f"{HERE}:mobilenet_v1", ("channels(32, width_mult)", "32")),
    mistake("width_on_the_classes", "You scaled the number of classes.", "The last layer's outputs are classes, not channels.", f"{HERE}:mobilenet_v1", ("before, classes, 1, 1", "before, channels(classes, width_mult), 1, 1")),
    mistake("last_stride_of_the_paper", "Your last block has stride 2, as the paper prints.", "Its input is 7 x 7 already; the authors' code has stride 1, and 569 M multiply-adds come out only so.", f"{HERE}:mobilenet_v1", ("(1024, 2), (1024, 1)", "(1024, 2), (1024, 2)")),
    mistake("stride_on_the_pointwise", "Your stride is on the pointwise layer.", "The depthwise layer looks at windows; it is the one that steps.", f"{HERE}:mobilenet_v1", ('("depthwise", before, before, stride, height)', '("depthwise", before, before, 1, rows[-1][4])'), ('("pointwise", before, after, 1, height)', '("pointwise", before, after, stride, height)')),
    mistake("five_blocks_of_512", "You have five blocks of 512 channels.", "One that comes from 256 and steps, then five more: six.", f"{HERE}:mobilenet_v1", ("*[(512, 1)] * 5", "*[(512, 1)] * 4")),
    mistake("depthwise_widens", "Your depthwise layers change the number of channels.", "Depthwise keeps the channels; the pointwise layer mixes them into more.", f"{HERE}:mobilenet_v1", ('("depthwise", before, before,', '("depthwise", before, after,')),
    mistake("no_stride_in_the_stem", "Your first layer has stride 1.", "It halves 224 to 112.", f"{HERE}:mobilenet_v1", ("-(-resolution // 2)", "resolution"), ('("conv", 3, before, 2, height)', '("conv", 3, before, 1, height)')),
    mistake("sizes_rounded_down", "Your odd sizes are rounded down.", "With 'same' padding n pixels give ceil(n / 2).", f"{HERE}:mobilenet_v1", ("-(-resolution // 2)", "resolution // 2"), ("-(-height // stride)", "height // stride")),
)  # fmt: skip

POINTWISE_FORWARD = (
    mistake("reshape_mixes_n_and_c", "Your reshape puts pixels where channels were.", "Flatten everything but the last axis: x.reshape(-1, C). A reshape to (C, -1) mixes images and channels.", f"{POINTWISE}:forward", ("x.reshape(-1, x.shape[-1])", "x.reshape(x.shape[-1], -1).T")),
    mistake("w_transposed", "You read w as (O, I).", "Here w is (I, O): input channels are its rows.", f"{POINTWISE}:forward", ("(pixels @ w)", "(pixels @ w.reshape(w.shape[::-1]).T)")),
    mistake("result_mixed_up", "The product is right; your reshape of it mixes images and channels.", "Put the result back with the output channels last: (N, H, W, O).", f"{POINTWISE}:forward", ("(pixels @ w).reshape", "(pixels @ w).T.reshape")),
    mistake("spatial_axes_swapped", "Height and width changed places.", "No transpose is needed: the last axis is the one that is multiplied.", f"{POINTWISE}:forward", ("x.reshape(-1, x.shape[-1])", "x.swapaxes(1, 2).reshape(-1, x.shape[-1])")),
    mistake("depthwise_in_place_of_mixing", "Your channels are scaled, not mixed.", "Each output channel is a sum over all input channels: @, not *.", f"{POINTWISE}:forward", ("(pixels @ w)", "(pixels.sum(1, keepdims=True) / len(w) * w.sum(0))")),
)  # fmt: skip

POINTWISE_BACKWARD = (
    mistake("w_not_transposed", "Your dx uses w read as (O, I) by a reshape, not its transpose.", "dx = dy @ w.T.", f"{POINTWISE}:backward", ("d @ w.T", "d @ w.reshape(w.shape[::-1])")),
    mistake("dw_transposed", "Your dw is (O, I).", "dw has the shape of w: x.T @ dy over all pixels.", f"{POINTWISE}:backward", ("pixels.T @ d", "d.T @ pixels")),
    mistake("reshape_mixes_n_and_c", "Your reshape of x puts pixels where channels were.", "x.reshape(-1, C).", f"{POINTWISE}:backward", ("x.reshape(-1, x.shape[-1])", "x.reshape(x.shape[-1], -1).T")),
    mistake("dy_mixed_up", "Your reshape of dy puts pixels where channels were.", "dy.reshape(-1, O).", f"{POINTWISE}:backward", ("dy.reshape(-1, dy.shape[-1])", "dy.reshape(dy.shape[-1], -1).T")),
    mistake("upstream_taken_as_ones", "dy was not used.", "Everything that goes back is multiplied by dy.", f"{POINTWISE}:backward", ("d, pixels = dy.reshape", "d, pixels = (0 * dy + 1).reshape")),
    mistake("dw_averaged_over_the_batch", "Your dw is divided by N.", "Here it is a sum.", f"{POINTWISE}:backward", ("pixels.T @ d", "pixels.T @ d / len(x)")),
    mistake("first_image_only", "Your dw has the share of the first image only.", "w is the same for all images: add up over n.", f"{POINTWISE}:backward", ("pixels.T @ d", "pixels[: len(pixels) // len(x)].T @ d[: len(d) // len(x)]")),
    mistake("batch_misaligned", "Your dw pairs each image with the gradient of another.", "The rows of x and dy must be the same pixels.", f"{POINTWISE}:backward", ("pixels.T @ d", "x[::-1].reshape(-1, x.shape[-1]).T @ d")),
)  # fmt: skip


EXERCISES = (
    Exercise(
        "L1.conv_cost",
        f"{HERE}:conv_cost",
        ("params", "macs"),
        cost_cases,
        COST,
        (
            "How many numbers has one filter? How many filters? How often is each applied?",
            "A filter has K x K x (in_channels / groups) numbers. It is applied once for each output pixel.",
            "params = K * K * (in_channels // groups) * filters; macs = params * ceil(h / s) * ceil(w / s)",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Eight layers, strides 1 to 3, groups from 1 to all, odd sizes; both numbers exactly.",
        task="What does a convolution cost? Every comparison in this lesson rests on these two numbers.",
    ),
    Exercise(
        "L1.depthwise_forward",
        f"{DEPTHWISE}:forward",
        ("y",),
        forward_cases,
        DEPTHWISE_FORWARD,
        (
            "It is the convolution of L0 without the sum over channels. Which sign in the inner line changes?",
            "For a tap (a, b): a slice of the padded x, (N, OH, OW, C), times w[a, b], (C,).",
            "y += slice * w[a, b], over the K x K taps; resolve(padding, ...) gives the padding and the output's size",
        ),
        points=3,
        minutes=20,
        core=False,
        checks="Eight small asymmetric settings (strides 1 to 3, three paddings, K from 1 to 5), compared to 1e-8.",
        needs="from mini_nn.ops.padding import pad, resolve, window",
        twins=("mini_nn.kernels.depthwise:forward",),
        mine=(f"{DEPTHWISE}:forward",),
        task="Filter each channel by a filter of its own.",
    ),
    Exercise(
        "L1.depthwise_backward",
        f"{DEPTHWISE}:backward",
        ("dx", "dw"),
        backward_cases,
        DEPTHWISE_BACKWARD,
        (
            "Put the forward pass beside it: each line has one here that undoes it.",
            "dx: scatter dy times w[a, b] to the pixels that tap (a, b) read. dw[a, b]: dy times those pixels, summed over n, i, j.",
            "Zeros as large as the padded x; += at the slice for each tap; cut the padding off at the end.",
        ),
        points=4,
        minutes=25,
        checks="Eight small asymmetric settings, a random dy, every number of dx and dw, to 1e-8.",
        needs="from mini_nn.ops.padding import crop, pad, resolve, window",
        twins=("mini_nn.kernels.depthwise:backward",),
        task="The backward pass of the depthwise convolution.",
    ),
    Exercise(
        "L1.pointwise_forward",
        f"{POINTWISE}:forward",
        ("y",),
        pointwise_cases,
        POINTWISE_FORWARD,
        (
            "A 1 x 1 filter sees one pixel: its channels become other channels. Which matrix does that?",
            "All pixels as rows: (N H W, I) @ (I, O).",
            "x.reshape(-1, I) @ w, put back to (N, H, W, O)",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Four shapes, among them I = O, where a transposed w does not show in the shape; to 1e-8.",
        mine=(f"{POINTWISE}:forward",),
        task="The pointwise convolution as one matrix product.",
    ),
    Exercise(
        "L1.pointwise_backward",
        f"{POINTWISE}:backward",
        ("dx", "dw"),
        pointwise_backward_cases,
        POINTWISE_BACKWARD,
        (
            "For Y = X W: what are dX and dW?",
            "dX = dY W^T, dW = X^T dY; X and dY have one row for each pixel of each image.",
            "Flatten dy and x to two axes, multiply, and give dx the shape of x.",
        ),
        points=2,
        minutes=10,
        core=False,
        checks="Four shapes, among them I = O; every number to 1e-8.",
        task="The backward pass of the pointwise convolution: two matrix products.",
    ),
    Exercise(
        "L1.mobilenet_v1",
        f"{HERE}:mobilenet_v1",
        ("rows", "params", "macs", "table"),
        network_cases,
        NETWORK,
        (
            "Write the 13 pairs (channels, stride) as a list first.",
            "Keep two numbers as you go down: the channels before, and the height. A block is two rows.",
            "for out, stride in plan: the height becomes ceil(height / stride); a depthwise row keeps the channels, a pointwise row changes them",
        ),
        points=4,
        minutes=25,
        core=False,
        checks="Four settings of width, resolution and classes; the number of rows, the parameters, the multiply-adds, then every row.",
        needs="from mini_nn.models.mobilenet_v1 import channels",
        use=use_network,
        task="The whole network as a table. The parameters alone would not notice a stride in the wrong place: the multiply-adds do.",
    ),
)
