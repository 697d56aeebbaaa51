"""Parameters, multiply-adds, channels and repeats of every network, against numbers that others found.

Multiply-adds are those of convolutions, squeeze-excite and the classifier; the papers call them FLOPs.
"""

from collections import Counter
from math import prod

import pytest

from mini_nn import models, profile
from mini_nn.core import Buffer, Parameter, named_arrays, named_layers
from mini_nn.layers import BatchNorm, Conv2D, Dense, DepthwiseConv2D, Gate, PointwiseConv2D, Residual

# keras.applications 3.15: trainable parameters, running statistics.
# Multiply-adds: counted from the output shapes of Keras's layers.  Howard et al. 2017, tables 6 and 7, print
# 569, 325, 149, 41 million by width and 569, 418, 290, 186 by resolution.
MOBILENET_V1 = {  # width_mult: (parameters, statistics, {resolution: multiply-adds})
    0.25: (470_072, 5_472, {224: 41_030_272, 192: 30_212_608, 160: 21_059_200, 128: 13_570_048}),
    0.5: (1_331_592, 10_944, {224: 149_497_088, 192: 109_970_432, 160: 76_524_800, 128: 49_160_192}),
    0.75: (2_585_560, 16_416, {224: 325_400_448, 192: 239_273_472, 160: 166_396_800, 128: 106_770_432}),
    1.0: (4_231_976, 21_888, {224: 568_740_352, 192: 418_121_728, 160: 290_675_200, 128: 186_400_768}),
}

# The same for MobileNetV2.  In brackets: the millions that tensorflow/models prints, which are cut off
# (slim/nets/mobilenet/README.md).
MOBILENET_V2 = {  # width_mult: (parameters, statistics, {resolution: (multiply-adds, millions printed)})
    0.35: (1_677_128, 14_080, {
        224: (59_285_808, 59), 192: (43_896_512, 43), 160: (30_874_800, 30), 128: (20_220_672, 20),
        96: (11_934_128, 11),
    }),
    0.5: (1_968_680, 18_544, {
        224: (97_131_840, 97), 192: (71_701_760, 71), 160: (50_184_000, 50), 128: (32_578_560, 32),
        96: (18_885_440, 18),
    }),
    0.75: (2_636_424, 26_640, {
        224: (209_069_792, 209), 192: (153_941_888, 153), 160: (107_295_200, 107), 128: (69_129_728, 69),
        96: (39_445_472, 39),
    }),
    1.0: (3_504_872, 34_112, {
        224: (300_774_272, 300), 192: (221_316_608, 221), 160: (154_083_200, 154), 128: (99_074_048, 99),
        96: (56_289_152, 56),
    }),
    1.3: (5_386_792, 44_256, {224: (509_374_560, 509)}),
    1.4: (6_108_776, 47_936, {224: (582_195_824, 582)}),
}  # fmt: skip
# The same README's parameters, in which BatchNorm's are not counted.
MILLIONS_V2 = {0.35: 1.66, 0.5: 1.95, 0.75: 2.61, 1.0: 3.47, 1.3: 5.34, 1.4: 6.06}

# B0 to B7: parameters as in keras.applications, torchvision and timm; statistics are what Keras does not train,
# without the 7 numbers of its Normalization.  Lite: parameters from tensorflow/tpu,
# efficientnet_lite_builder_test.py.  Multiply-adds: counted from the modules of geffnet 1.0.2.
EFFICIENTNET = {  # name: (resolution, parameters, statistics, multiply-adds)
    "efficientnet_b0": (224, 5_288_548, 42_016, 385_814_752),
    "efficientnet_b1": (240, 7_794_184, 62_048, 686_802_832),
    "efficientnet_b2": (260, 9_109_994, 67_568, 993_561_872),
    "efficientnet_b3": (300, 12_233_232, 87_296, 1_827_141_392),
    "efficientnet_b4": (380, 19_341_616, 125_200, 4_393_771_024),
    "efficientnet_b5": (456, 30_389_784, 172_736, 10_266_384_752),
    "efficientnet_b6": (528, 43_040_704, 224_432, 19_067_593_536),
    "efficientnet_b7": (600, 66_347_960, 310_720, 37_745_884_192),
    "efficientnet_lite0": (224, 4_652_008, 42_016, 385_187_552),
    "efficientnet_lite1": (240, 5_416_680, 53_664, 600_185_232),
    "efficientnet_lite2": (260, 6_092_072, 58_096, 859_736_272),
    "efficientnet_lite3": (280, 8_197_096, 76_672, 1_383_321_872),
    "efficientnet_lite4": (300, 13_006_568, 112_368, 2_553_034_336),
}

# Sandler et al. 2018, table 2, at 224 x 224: (parameters, multiply-adds) of the stem, the 7 rows, the head,
# the classifier.
STAGES_V2 = [
    (928, 10_838_016), (896, 10_035_200), (13_968, 54_942_720), (39_696, 37_443_840), (183_872, 38_497_536),
    (303_168, 58_103_808), (795_264, 46_560_192), (473_920, 23_002_560), (412_160, 20_070_400),
    (1_281_000, 1_280_000),
]  # fmt: skip
# Tan & Le 2019, table 1, the same.
STAGES_B0 = [
    (928, 10_838_016), (1_448, 10_035_712), (16_714, 54_945_216), (46_640, 37_939_584), (242_930, 43_555_200),
    (543_148, 86_102_400), (2_026_348, 91_528_224), (717_232, 29_520_000), (412_160, 20_070_400),
    (1_281_000, 1_280_000),
]  # fmt: skip
SQUEEZED_B0 = [8, 4, 6, 6, 10, 10, 20, 20, 20, 28, 28, 28, 48, 48, 48, 48]  # a quarter of each block's input

# Channels of stem, stages, head; repeats of the stages: Keras, torchvision, timm and the authors' code agree.
CHANNELS_V2 = {
    0.35: (16, 8, 8, 16, 24, 32, 56, 112, 1280),
    0.5: (16, 8, 16, 16, 32, 48, 80, 160, 1280),
    0.75: (24, 16, 24, 24, 48, 72, 120, 240, 1280),
    1.0: (32, 16, 24, 32, 64, 96, 160, 320, 1280),
    1.3: (40, 24, 32, 40, 80, 128, 208, 416, 1664),
    1.4: (48, 24, 32, 48, 88, 136, 224, 448, 1792),
}
SCALED = {
    "efficientnet_b0": ((32, 16, 24, 40, 80, 112, 192, 320, 1280), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_b1": ((32, 16, 24, 40, 80, 112, 192, 320, 1280), (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b2": ((32, 16, 24, 48, 88, 120, 208, 352, 1408), (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b3": ((40, 24, 32, 48, 96, 136, 232, 384, 1536), (2, 3, 3, 5, 5, 6, 2)),
    "efficientnet_b4": ((48, 24, 32, 56, 112, 160, 272, 448, 1792), (2, 4, 4, 6, 6, 8, 2)),
    "efficientnet_b5": ((48, 24, 40, 64, 128, 176, 304, 512, 2048), (3, 5, 5, 7, 7, 9, 3)),
    "efficientnet_b6": ((56, 32, 40, 72, 144, 200, 344, 576, 2304), (3, 6, 6, 8, 8, 11, 3)),
    "efficientnet_b7": ((64, 32, 48, 80, 160, 224, 384, 640, 2560), (4, 7, 7, 10, 10, 13, 4)),
    "efficientnet_lite0": ((32, 16, 24, 40, 80, 112, 192, 320, 1280), (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_lite1": ((32, 16, 24, 40, 80, 112, 192, 320, 1280), (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet_lite2": ((32, 16, 24, 48, 88, 120, 208, 352, 1280), (1, 3, 3, 4, 4, 5, 1)),
    "efficientnet_lite3": ((32, 24, 32, 48, 96, 136, 232, 384, 1280), (1, 3, 3, 5, 5, 6, 1)),
    "efficientnet_lite4": ((32, 24, 32, 56, 112, 160, 272, 448, 1280), (1, 4, 4, 6, 6, 8, 1)),
}
KERNELS = (3, 3, 5, 3, 5, 5, 3)  # EfficientNet's stages
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage, in MobileNetV2 and in EfficientNet
PRINTED_LITE = {0: 407, 1: 631, 2: 899, 3: 1440, 4: 2640}  # million, tensorflow/tpu lite/README.md


def size(model, kind):
    return sum(prod(item.shape) for _, item in named_arrays(model) if isinstance(item, kind))


@pytest.mark.parametrize("width", MOBILENET_V1)
def test_mobilenet_v1_has_the_published_counts(width):
    model = models.build("mobilenet_v1", width_mult=width)
    parameters, statistics, macs = MOBILENET_V1[width]
    assert (size(model, Parameter), size(model, Buffer)) == (parameters, statistics)
    assert {r: profile.profile(model, (r, r, 3)).macs for r in macs} == macs


def test_mobilenet_v1_costs_the_millions_that_its_paper_prints():
    by_width = [round(MOBILENET_V1[width][2][224] / 1e6) for width in (1.0, 0.75, 0.5, 0.25)]
    assert by_width == [569, 325, 149, 41]
    assert [int(macs / 1e6) for macs in MOBILENET_V1[1.0][2].values()] == [568, 418, 290, 186]


@pytest.mark.parametrize("width", MOBILENET_V2)
def test_mobilenet_v2_has_the_published_counts(width):
    model = models.build("mobilenet_v2", width_mult=width)
    parameters, statistics, macs = MOBILENET_V2[width]
    assert (size(model, Parameter), size(model, Buffer)) == (parameters, statistics)
    assert {r: profile.profile(model, (r, r, 3)).macs for r in macs} == {
        r: exact for r, (exact, _) in macs.items()
    }
    assert all(exact // 10**6 == printed for exact, printed in macs.values())
    without_norm = parameters - statistics  # gamma and beta are as many as mean and variance
    assert without_norm / 1e6 == pytest.approx(MILLIONS_V2[width], abs=0.006)


@pytest.mark.parametrize("name", EFFICIENTNET)
def test_efficientnet_has_the_published_counts(name):
    model = models.build(name)
    r, *counts = EFFICIENTNET[name]
    report = profile.profile(model, (r, r, 3))
    assert [report.params, size(model, Buffer), report.macs] == counts
    assert models.MODELS[name].resolution == r
    assert size(model, Parameter) == report.params


def test_lite_costs_a_little_less_than_its_authors_print():
    for i, printed in PRINTED_LITE.items():
        assert (
            1.03 < printed * 1e6 / EFFICIENTNET[f"efficientnet_lite{i}"][3] < 1.06
        )  # theirs count more than products


@pytest.mark.parametrize(("name", "stages"), [("mobilenet_v2", STAGES_V2), ("efficientnet_b0", STAGES_B0)])
def test_every_stage_has_the_published_counts(name, stages):
    places = ["stem", *(f"stages.{i}" for i in range(7)), "head", "classifier"]
    rows = profile.profile(models.build(name), (224, 224, 3)).rows
    for place, (params, macs) in zip(places, stages, strict=True):
        here = [row for row in rows if f"{row.name}.".startswith(f"{place}.")]
        assert (sum(row.params for row in here), sum(row.macs for row in here)) == (params, macs), place


def channels_and_repeats(model):
    blocks = [[block for _, block in stage.children()] for _, stage in model.stages.children()]
    widths = [stage[-1].project.norm.gamma.shape[0] for stage in blocks]
    stem, head = model.stem.norm.gamma.shape[0], model.head.norm.gamma.shape[0]
    return (stem, *widths, head), tuple(len(stage) for stage in blocks), blocks


@pytest.mark.parametrize("name", SCALED)
def test_efficientnet_has_the_published_channels_repeats_kernels_and_strides(name):
    channels, repeats, blocks = channels_and_repeats(models.build(name))
    assert (channels, repeats) == SCALED[name]
    for stage, kernel_size, stride in zip(blocks, KERNELS, STRIDES, strict=True):
        assert {block.depthwise.conv.kernel_size for block in stage} == {kernel_size}
        assert [block.depthwise.conv.stride for block in stage] == [stride] + [1] * (len(stage) - 1)
    for i, block in enumerate(block for stage in blocks for block in stage):
        hidden = block.depthwise.norm.gamma.shape[0]
        assert hasattr(block, "expand") == (i >= repeats[0])  # MBConv1, then MBConv6
        assert not hasattr(block, "expand") or hidden == 6 * block.expand.conv.weight.shape[0]


@pytest.mark.parametrize("width", CHANNELS_V2)
def test_mobilenet_v2_has_the_published_channels_repeats_and_strides(width):
    channels, repeats, blocks = channels_and_repeats(models.build("mobilenet_v2", width_mult=width))
    assert channels == CHANNELS_V2[width]
    assert repeats == (1, 2, 3, 4, 3, 3, 1)
    for stage, stride in zip(blocks, STRIDES, strict=True):
        assert [block.depthwise.conv.stride for block in stage] == [stride] + [1] * (len(stage) - 1)


def test_mobilenet_v1_has_the_published_table():
    rows = profile.profile(models.build("mobilenet_v1"), (224, 224, 3)).rows
    assert [row.shape for row in rows if row.kind == "PointwiseConv2D"] == [
        (112, 112, 64), (56, 56, 128), (56, 56, 128), (28, 28, 256), (28, 28, 256), *[(14, 14, 512)] * 6,
        (7, 7, 1024), (7, 7, 1024),
    ]  # fmt: skip


def test_networks_have_the_published_number_of_layers_norms_and_additions():
    # weights, norms, additions, gates; v2 has 17 blocks, B0 has 16, whose gates have two weights each
    found = {}
    for name in ("mobilenet_v1", "mobilenet_v2", "efficientnet_b0"):
        kinds = Counter(type(layer) for _, layer in named_layers(models.build(name)))
        weights = sum(kinds[kind] for kind in (Conv2D, DepthwiseConv2D, PointwiseConv2D, Dense))
        found[name] = (weights, kinds[BatchNorm], kinds[Residual], kinds[Gate])
    assert found == {
        "mobilenet_v1": (28, 27, 0, 0),
        "mobilenet_v2": (53, 52, 10, 0),
        "efficientnet_b0": (49 + 2 * 16 + 1, 49, 9, 16),
    }


def test_squeeze_excite_is_a_quarter_of_the_blocks_input():
    model = models.build("efficientnet_b0")
    gates = [layer for _, layer in named_layers(model) if isinstance(layer, Gate)]
    assert [gate.reduce.weight.shape[1] for gate in gates] == SQUEEZED_B0
