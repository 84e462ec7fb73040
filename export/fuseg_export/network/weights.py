"""The weights of a target: those of a checkpoint, or those in an ONNX file."""

from __future__ import annotations

from fuseg.errors import ArgumentError

from ..onnx_file.network import OnnxNetwork
from ..onnx_file.target import require_absent
from .checkpoint import Loaded, load_checkpoint
from .target import NetworkOptions, Target

__all__ = ["load_weights"]


def load_weights(target: Target, options: NetworkOptions) -> Loaded:
    """Load a network's weights, if it does not have them.

    Raises:
        ArgumentError: The checkpoint is not said; or it is, or an option about it, for
            an ONNX file.
        FusegError: See `load_checkpoint`.
    """
    if isinstance(target.network, OnnxNetwork):
        file = target.network.file
        require_absent(
            file,
            {
                "--checkpoint": options.checkpoint,
                "--weights-key": target.weights_key,
                "--ignore-weights": target.ignore_weights,
                "--own-load-state-dict": target.own_load,
                "--exporter": options.exporter,
            },
        )
        return Loaded(file.sha256, ())
    if options.checkpoint is None:
        raise ArgumentError(
            f"--checkpoint must be given for {target.word}: the file of its trained "
            "weights."
        )
    return load_checkpoint(
        target.network,
        options.checkpoint,
        key=target.weights_key,
        ignored=target.ignore_weights,
        own_load=target.own_load,
    )
