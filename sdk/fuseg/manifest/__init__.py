"""The manifest: what a bundle holds, and how frames become labels with it.

Export writes it once; calibration, verification, benchmark and runtime read it.
Nothing about pre- or post-processing is written anywhere else.
"""

from __future__ import annotations

from .graphs import Graph, Network, State
from .inputs import (
    AudioInput,
    BaseImageInput,
    ColorInput,
    DepthInput,
    ImageInput,
    Input,
    LogMel,
    Missing,
    PlaneInput,
    Resize,
    SensorInput,
    TextInput,
    image_inputs,
    input_shapes,
)
from .manifest import FORMAT, Manifest
from .outputs import (
    Background,
    BoxesOutput,
    Class,
    ClassesOutput,
    EmbeddingOutput,
    Output,
    PlaneOutput,
    SegmentationOutput,
    Tail,
    TensorOutput,
    TokensOutput,
    Upsample,
)
from .robustness import (
    Estimate,
    Expectation,
    LostPixels,
    Noise,
    Robustness,
    SensorSet,
)
from .statistics import Statistics
from .tensors import Dimension, Tensor
from .variants import File, Sample, Variant, Verification

__all__ = [
    "FORMAT",
    "AudioInput",
    "Background",
    "BaseImageInput",
    "BoxesOutput",
    "Class",
    "ClassesOutput",
    "ColorInput",
    "DepthInput",
    "Dimension",
    "EmbeddingOutput",
    "Estimate",
    "Expectation",
    "File",
    "Graph",
    "ImageInput",
    "Input",
    "LogMel",
    "LostPixels",
    "Manifest",
    "Missing",
    "Network",
    "Noise",
    "Output",
    "PlaneInput",
    "PlaneOutput",
    "Resize",
    "Robustness",
    "Sample",
    "SegmentationOutput",
    "SensorInput",
    "SensorSet",
    "State",
    "Statistics",
    "Tail",
    "Tensor",
    "TensorOutput",
    "TextInput",
    "TokensOutput",
    "Upsample",
    "Variant",
    "Verification",
    "image_inputs",
    "input_shapes",
]
