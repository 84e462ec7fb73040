"""The weights of a target: a checkpoint's, or its own."""

from __future__ import annotations

from fuseg.errors import ArgumentError

from ..sources.onnx_file.network import OnnxNetwork
from ..sources.onnx_file.target import require_absent
from .checkpoint import Loaded, load_checkpoint
from .target import NetworkOptions, Target

__all__ = ["load_weights"]


def load_weights(target: Target, options: NetworkOptions) -> Loaded:
    """Load a network's weights, if it does not have them.

    Raises:
        ArgumentError: The checkpoint is not said; or it is, or an option about it,
            where a file or folder has its own weights.
        FusegError: See `load_checkpoint`.
    """
    about = {
        "--weights-key": target.weights_key,
        "--ignore-weights": target.ignore_weights,
        "--own-load-state-dict": target.own_load,
    }
    if isinstance(target.network, OnnxNetwork):
        file = target.network.file
        others = {"--checkpoint": options.checkpoint, "--exporter": options.exporter}
        require_absent(file, {**others, **about})
        return Loaded(file.sha256, ())
    if options.checkpoint is None and target.origin is not None:
        needless = [name for name, value in about.items() if value]
        if needless:
            raise ArgumentError(
                f"{', '.join(needless)} must be absent for {target.word}, whose own "
                "weights are taken, or needs --checkpoint."
            )
        return Loaded(target.origin.sha256, ())
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
