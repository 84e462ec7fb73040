"""Weights for a network whose authors' file is not at hand: random, but all in use.

Run by `foreign.py`, in the repository's folder, as ``fuseg export`` is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from fuseg_export.network.call import parse_values
from fuseg_export.sources.factory import build_network

SEED = 20261201


def main(target: str, out: Path, arguments: list[str]) -> None:
    """Save a state dict of the network that ``fuseg export`` would build.

    ``arguments`` are words of ``--arg``, then the spec file's arguments as JSON.

    Batch normalisation gets statistics as a trained network has them; fresh ones, 0 and
    1, would make it vanish.
    """
    torch.manual_seed(SEED)
    *words, said = arguments
    given = parse_values("--arg", words, json.loads(said))
    network = build_network(target, given)
    for module in network.modules():
        if isinstance(getattr(module, "running_var", None), torch.Tensor):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
    torch.save(network.state_dict(), out)
    print(sum(p.numel() for p in network.parameters()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
