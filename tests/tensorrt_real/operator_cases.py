"""Operators and their attributes."""

from __future__ import annotations

from tensorrt_real.case import HALF_OUT, IMAGE, Case

ROWS = {"inputs": "float[8,4] x, float[2,4] u", "outputs": "float[N,M] y"}

RESIZE = [
    *(
        Case(
            f"nearest, {place}, {rounding}",
            f'y = Resize<mode="nearest", coordinate_transformation_mode="{place}", '
            f'nearest_mode="{rounding}">(x, , twice)',
            ok,
            ok,
        )
        for place, rounding, ok in (
            ("half_pixel", "floor", True),
            ("asymmetric", "ceil", True),
            ("align_corners", "round_prefer_ceil", True),
            ("tf_half_pixel_for_nn", "round_prefer_floor", True),
            ("tf_half_pixel_for_nn", "floor", False),
            ("tf_half_pixel_for_nn", "round_prefer_ceil", False),
            ("half_pixel_symmetric", "floor", False),
        )
    ),
    Case("linear", 'y = Resize<mode="linear">(x, , twice)', True, True),
    Case("cubic", 'y = Resize<mode="cubic">(x, , twice)', True, True),
    Case(
        "antialias",
        'y = Resize<mode="linear", antialias=1>(x, , half_size)',
        False,
        False,
    ),
    Case(
        "keep_aspect_ratio_policy",
        'y = Resize<mode="linear", keep_aspect_ratio_policy="not_larger", '
        "axes=[2,3]>(x, , , sizes)",
        False,
        False,
    ),
    Case(
        "scales of some axes",
        'y = Resize<mode="linear", axes=[2,3]>(x, , twice_two)',
        True,
        True,
    ),
    Case(
        "tf_crop_and_resize",
        'y = Resize<mode="linear", coordinate_transformation_mode='
        '"tf_crop_and_resize">(x, roi, twice)',
        False,
        False,
    ),
]

OPERATORS = [
    *(
        Case(
            f"ScatterND, reduction {how}",
            f'y = ScatterND<reduction="{how}">(x, rows, u)',
            ok,
            ok,
            **ROWS,
        )
        for how, ok in (("none", True), ("add", False), ("max", False))
    ),
    Case("ScatterElements", "y = ScatterElements(x, cells, u)", True, True, **ROWS),
    Case(
        "ScatterElements, reduction add",
        'y = ScatterElements<reduction="add">(x, cells, u)',
        True,
        False,
        "rtx",
        **ROWS,
    ),
    Case(
        "the 5 largest",
        "y, i = TopK(x, k5)",
        True,
        True,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "the 4000 largest",
        "y, i = TopK(x, k4000)",
        False,
        False,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "the 5 largest, unsorted",
        "y, i = TopK<sorted=0>(x, k5)",
        True,
        True,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "normalisation in training",
        "y, m, v = BatchNormalization<training_mode=1>(x, bf, bf, bf, bf)",
        False,
        False,
    ),
    Case("Mod of floats with fmod", "y = Mod<fmod=1>(x, three)", True, True),
    Case("LpPool of order 3", "y = LpPool<p=3, kernel_shape=[2,2]>(x)", False, False),
    Case("LayerNormalization", "y = LayerNormalization(x, gf, gf)", True, True),
    Case(
        "LayerNormalization, three outputs",
        "y, m, v = LayerNormalization(x, gf, gf)",
        False,
        False,
        outputs="float[N,C,H,W] y, float[N,C,H,1] m",
    ),
    Case(
        "MaxPool with indices",
        "y, i = MaxPool<kernel_shape=[2,2]>(x)",
        False,
        False,
        outputs="float[N,C,H,W] y, int64[N,C,H,W] i",
    ),
    Case(
        "a dilated MaxPool",
        "y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)",
        False,
        False,
    ),
    Case(
        "an AveragePool of one axis",
        "y = AveragePool<kernel_shape=[2]>(x)",
        True,
        True,
        inputs="float[1,4,16] x",
        outputs="float[N,C,W] y",
    ),
    *(
        Case(
            f"a {kind}Pool over {columns * 250:,} samples",
            f"y = {kind}Pool<kernel_shape=[{columns},250]>(x)",
            ok,
            ok,
            inputs="float[1,1,400,250] x",
        )
        for kind in ("Average", "Max", "Lp")
        for columns, ok in ((399, True), (400, False))
    ),
    Case(
        "an AveragePool over 216,000 samples of three axes",
        "y = AveragePool<kernel_shape=[60,60,60]>(x)",
        True,
        True,
        inputs="float[1,1,60,60,60] x",
        outputs="float[N,C,D,H,W] y",
    ),
    Case(
        "a GridSample of five axes",
        "y = GridSample(x, g)",
        False,
        True,
        "newer",
        inputs="float[1,4,8,8,8] x, float[1,4,4,4,3] g",
        outputs="float[N,C,D,H,W] y",
        opset=20,
    ),
    Case(
        "a float32 grid for float16",
        "y = GridSample(x, g)",
        False,
        False,
        inputs="float16[1,8,16,16] x, float[1,4,4,2] g",
        outputs=HALF_OUT,
    ),
    Case(
        "LSTM, input_forget",
        "y = LSTM<hidden_size=8, input_forget=1>(x, kernels1, kernels2)",
        False,
        False,
        inputs="float[5,1,4] x",
    ),
    Case(
        "LSTM, layout 1",
        "y = LSTM<hidden_size=8, layout=1>(x, kernels1, kernels2)",
        False,
        True,
        "newer",
        inputs="float[1,5,4] x",
    ),
    Case("Swish", "y = Swish(x)", False, True, "newer", opset=24),
    Case(
        "NonZero",
        "i = NonZero(x) y = Cast<to=1>(i)",
        True,
        False,
        "rtx",
        outputs="float[N,M] y",
    ),
    Case(
        "MaxUnpool",
        "y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i)",
        False,
        False,
        inputs=IMAGE + ", int64[1,8,16,16] i",
    ),
]
