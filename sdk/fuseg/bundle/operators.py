"""The operators that a network in a bundle of format 1 may have.

They are ONNX's own, which give one result for one input and end: what they may cost is
known from the sizes of their tensors. Not among them: control flow (If, Loop, Scan,
SequenceMap), random numbers (Bernoulli, Multinomial, Random*, Dropout, which draws them
in training), sequences, optionals, texts, images as files, and losses of a training.
"""

from __future__ import annotations

__all__ = ["OPERATORS"]

_ARITHMETIC = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot
BitwiseOr BitwiseXor Cast CastLike Ceil Clip Cos Cosh CumProd CumSum Det Div Einsum
Equal Erf Exp Floor Gemm Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Log
MatMul Max Mean Min Mod Mul Neg Not Or Pow Reciprocal Round Sign Sin Sinh Sqrt Sub Sum
Tan Tanh Where Xor
"""
_ACTIVATIONS = """
Celu Elu Gelu HardSigmoid HardSwish Hardmax LeakyRelu LogSoftmax Mish PRelu Relu Selu
Shrink Sigmoid Softmax Softplus Softsign SwiGLU Swish ThresholdedRelu
"""
_LAYERS = """
Attention AveragePool BatchNormalization CausalConvWithState Conv ConvTranspose
DeformConv GRU GlobalAveragePool GlobalLpPool GlobalMaxPool GroupNormalization
InstanceNormalization LRN LSTM LayerNormalization LinearAttention LpNormalization
LpPool MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization RMSNormalization RNN
RoiAlign RotaryEmbedding
"""
_QUANTIZED = """
ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv
QLinearMatMul QuantizeLinear
"""
_REDUCTIONS = """
ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean
ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK
"""
_SHAPES = """
AffineGrid BlackmanWindow CenterCropPad Col2Im Compress Concat Constant
ConstantOfShape DFT DepthToSpace Expand EyeLike Flatten Gather GatherElements GatherND
GridSample HammingWindow HannWindow Identity MelWeightMatrix NonMaxSuppression NonZero
OneHot Pad Range Reshape Resize ReverseSequence STFT Scatter ScatterElements ScatterND
Shape Size Slice SpaceToDepth Split Squeeze TensorScatter Tile Transpose Trilu Unique
Unsqueeze Upsample
"""

OPERATORS = frozenset(
    (_ARITHMETIC + _ACTIVATIONS + _LAYERS + _QUANTIZED + _REDUCTIONS + _SHAPES).split()
)
