"""Run by test_saturation.py in an emulator: labels of ``int8-cpu`` on a bundle's
samples, with and without what fuseg does about sums that overflow, as .npz."""

from __future__ import annotations

import json
import sys

import numpy as np

import fuseg
from fuseg import load
from fuseg.backends import create, onnxruntime
from fuseg.bundle import Bundle


def main(path: str, out: str) -> None:
    bundle = Bundle.open(path)
    network = bundle.read("int8-cpu.onnx")

    def labels():
        backend = create("onnxruntime", network, threads=1)
        segmenter = load(bundle, backend=backend, variant="int8-cpu")
        return [segmenter(**frames).labels for frames, _ in bundle.samples()]

    facts = {"saturates": onnxruntime.saturates()}
    ours = labels()
    onnxruntime.saturates = lambda: False
    careless = labels()
    # Trusted, it is replayed in this process, where the care is taken out.
    loaded = fuseg.load(path, backend="onnxruntime", threads=1, trust=bundle.digest)
    facts["fallback"] = loaded.fallback
    np.savez(out, ours=ours, careless=careless)
    print(json.dumps(facts))


if __name__ == "__main__":
    main(*sys.argv[1:])
