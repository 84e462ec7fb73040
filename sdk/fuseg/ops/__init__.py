"""One public function per kernel, same name as its folder under kernels/.

Arrays may be NumPy's, or anything that shares its memory through DLPack, as PyTorch's
CPU tensors do. They may also all be on one CUDA GPU, with the CUDA Array Interface or
DLPack; palettes, weights and other settings stay on the CPU. There

- ``out`` is needed: fuseg makes no arrays on a GPU;
- the call returns once the work is on its way. ``stream`` says where: a stream of
  PyTorch, CuPy, Numba or cuda.core, or its handle. Without it that is the stream which
  the arrays name (CUDA Array Interface, version 3), else the default stream. It waits
  for what the arrays' owners have begun, which is asked for through DLPack where they
  name no stream;
- arrays on two GPUs, or in another CUDA context than the primary one, are refused;
- nothing is allocated and nothing waited for, so a CUDA graph can capture the call;
- nobody looks at the labels first: `overlay` leaves those without a colour as it leaves
  ``ignore``, `confusion_matrix` counts no pixel with a label out of its range;
- `BackendError` says that the driver, or fuseg's CUDA half, is missing.
"""

from __future__ import annotations

from .confusion_matrix import ConfusionMatrix, confusion_matrix
from .fuse_argmax import FuseArgmax, fuse_argmax
from .nms import Nms, nms
from .overlay import Overlay, overlay
from .pack_color import PackColor, pack_color
from .pack_depth import PackDepth, pack_depth
from .upsample_argmax import UpsampleArgmax, upsample_argmax

__all__ = [  # noqa: RUF022  # a line for each kernel
    "ConfusionMatrix", "confusion_matrix",
    "FuseArgmax", "fuse_argmax",
    "Nms", "nms",
    "Overlay", "overlay",
    "PackColor", "pack_color",
    "PackDepth", "pack_depth",
    "UpsampleArgmax", "upsample_argmax",
]  # fmt: skip
