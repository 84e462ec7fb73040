"""Pairs of QuantizeLinear and DequantizeLinear, and types."""

from __future__ import annotations

from tensorrt_real.case import HALF, HALF_OUT, Case

Q = "xq = QuantizeLinear(x, sf, z) xd = DequantizeLinear(xq, sf, z) "
QH = "xq = QuantizeLinear(x, sh, z) xd = DequantizeLinear(xq, sh, z) "
W = "wd = DequantizeLinear<axis=0>(wq, wsf, wz) "
WH = "wd = DequantizeLinear<axis=0>(wq, wsh, wz) "
CONV = "c = Conv<pads=[1,1,1,1]>(xd, wd, bf) "
CONVH = "c = Conv<pads=[1,1,1,1]>(xd, wd, bh) "
END = "r = Relu(c) rq = QuantizeLinear(r, tf, z) y = DequantizeLinear(rq, tf, z)"
ENDH = "r = Relu(c) rq = QuantizeLinear(r, th, z) y = DequantizeLinear(rq, th, z)"
TWO = "float[1,8,16,16] x, float[1,8,16,16] v"

QUANTIZATION = [
    Case("int8 convolution", Q + W + CONV + END, True, True),
    Case(
        "int8 convolution in float16",
        QH + WH + CONVH + ENDH,
        True,
        True,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case("at opset 13", Q + W + CONV + END, True, True, opset=13),
    Case("at opset 17", Q + W + CONV + END, True, True, opset=17),
    Case("at opset 21", Q + W + CONV + END, False, True, "newer", opset=21),
    Case("at opset 23", Q + W + CONV + END, False, True, "newer", opset=23),
    Case(
        "uint8, zero point 0",
        "q = QuantizeLinear(x, sf, u0) y = DequantizeLinear(q, sf, u0)",
        False,
        True,
        "policy",
    ),
    Case(
        "uint8, zero point 128",
        "q = QuantizeLinear(x, sf, u128) y = DequantizeLinear(q, sf, u128)",
        False,
        False,
    ),
    Case(
        "no zero point",
        "q = QuantizeLinear(x, sf) y = DequantizeLinear(q, sf)",
        False,
        True,
        "policy",
    ),
    Case(
        "zero point 3",
        "q = QuantizeLinear(x, sf, z3) y = DequantizeLinear(q, sf, z3)",
        False,
        False,
    ),
    Case(
        "zero points 1 of weights",
        Q + "wd = DequantizeLinear<axis=0>(wq, wsf, wz1) " + CONV + END,
        False,
        False,
    ),
    Case(
        "one zero point, scales per channel",
        Q + "wd = DequantizeLinear<axis=0>(wq, wsf, z) " + CONV + END,
        False,
        False,
    ),
    Case(
        "weights' axis 1",
        Q + "wd = DequantizeLinear<axis=1>(wq, wsf, wz) " + CONV + END,
        False,
        True,
        "policy",
    ),
    Case(
        "scales 0",
        Q + "wd = DequantizeLinear<axis=0>(wq, zero_scales, wz) " + CONV + END,
        False,
        False,
    ),
    Case(
        "negative scales",
        Q + "wd = DequantizeLinear<axis=0>(wq, negative_scales, wz) " + CONV + END,
        False,
        False,
    ),
    Case(
        "a weight of -128",
        Q + "wd = DequantizeLinear<axis=0>(w128, wsf, wz) " + CONV + END,
        False,
        True,
        "policy",
    ),
    Case(
        "activations per channel",
        "q = QuantizeLinear<axis=1>(x, wsf, wz) "
        "y = DequantizeLinear<axis=1>(q, wsf, wz)",
        False,
        True,
        "policy",
    ),
    Case(
        "a computed scale",
        "m = ReduceMax<keepdims=0>(x) s = Mul(m, sf) q = QuantizeLinear(x, s, z) "
        "y = DequantizeLinear(q, s, z)",
        False,
        True,
        "policy",
    ),
    Case(
        "a quantized bias",
        Q
        + W
        + "bd = DequantizeLinear<axis=0>(bq, bs) "
        + "c = Conv<pads=[1,1,1,1]>(xd, wd, bd) "
        + END,
        False,
        False,
    ),
    Case(
        "a float32 bias in float16",
        QH + WH + CONV + ENDH,
        False,
        False,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case("a float16 bias in float32", Q + W + CONVH + END, False, False),
    Case(
        "float32 scales of weights in float16",
        QH + W + CONVH + ENDH,
        False,
        False,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case(
        "a float16 scale at opset 17",
        QH + WH + CONVH + ENDH,
        False,
        True,
        "newer",
        inputs=HALF,
        outputs=HALF_OUT,
        opset=17,
    ),
    Case(
        "a pair between convolution and activation",
        Q + W + CONV + "cq = QuantizeLinear(c, tf, z) "
        "cd = DequantizeLinear(cq, tf, z) y = Relu(cd)",
        False,
        True,
        "policy",
    ),
    Case(
        "an addition quantized on one side", Q + "y = Add(xd, x)", False, True, "policy"
    ),
    Case(
        "a concatenation with two scales",
        Q
        + "vq = QuantizeLinear(v, tf, z) vd = DequantizeLinear(vq, tf, z) "
        + "y = Concat<axis=1>(xd, vd)",
        False,
        True,
        "policy",
        inputs=TWO,
    ),
    Case(
        "a pool of int8",
        "q = QuantizeLinear(x, sf, z) p = MaxPool<kernel_shape=[2,2]>(q) "
        "y = DequantizeLinear(p, sf, z)",
        False,
        True,
        "newer",
    ),
    Case(
        "QLinearConv",
        "y = QLinearConv(x, sf, z, one_by_one, sf, z, sf, z)",
        False,
        False,
        inputs="int8[1,8,16,16] x",
        outputs="int8[N,C,H,W] y",
    ),
    Case(
        "DynamicQuantizeLinear",
        "q, s, zp = DynamicQuantizeLinear(x) y = DequantizeLinear(q, s, zp)",
        False,
        False,
    ),
]

TYPES = [
    Case(
        "float32 and float16 added",
        "y = Add(x, v)",
        False,
        False,
        inputs="float[1,8,16,16] x, float16[1,8,16,16] v",
    ),
    Case(
        "int16 between casts",
        "i = Cast<to=5>(x) y = Cast<to=1>(i)",
        False,
        False,
    ),
    Case(
        "uint32 between casts",
        "i = Cast<to=12>(x) y = Cast<to=1>(i)",
        False,
        False,
    ),
    Case("int64 between casts", "i = Cast<to=7>(x) y = Cast<to=1>(i)", True, True),
    Case("float64 between casts", "d = Cast<to=11>(x) y = Cast<to=1>(d)", True, True),
    Case(
        "a uint8 input that is cast",
        "y = Cast<to=1>(x)",
        True,
        True,
        inputs="uint8[1,8,16,16] x",
    ),
    Case(
        "nine axes",
        "n = Reshape(x, nine) y = Relu(n)",
        False,
        False,
        outputs="float[A,B,C,D,E,F,G,H,I] y",
    ),
]
