"""A bundle of every format that was ever published still loads and labels alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fuseg
from fuseg.bundle import Bundle
from fuseg.dataset.metrics import label_agreement

PUBLISHED = sorted((Path(__file__).parent / "data").glob("format*.fuseg"))


def test_the_first_format_is_kept():
    assert [path.name for path in PUBLISHED] == ["format1.fuseg"]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda p: p.name)
def test_it_loads_and_gives_the_labels_it_was_published_with(path):
    samples = Bundle.open(path).samples()
    assert samples
    segmenter = fuseg.load(path)
    for frames, expected in samples:
        labels = expected["labels"]
        # Another processor's runtime may round a tie to the other side.
        assert label_agreement(segmenter(**frames).labels, labels) >= 0.999
        assert len(np.unique(labels)) > 1


def test_format_1_without_age_limits_gets_the_defaults():
    opened = Bundle.open(PUBLISHED[0])
    assert b"max_ahead_ms" not in PUBLISHED[0].read_bytes()
    limit = opened.manifest.inputs[0].missing
    assert (limit.policy, limit.max_age_ms, limit.max_ahead_ms) == ("refuse", 500, 100)
    frames, _ = opened.samples()[0]

    def label(late_by_ns):
        return fuseg.load(PUBLISHED[0])(
            rgb=fuseg.Frame(frames["rgb"], 0),
            depth=fuseg.Frame(frames["depth"], late_by_ns),
        )

    assert not label(500 * 10**6).degraded
    with pytest.raises(fuseg.errors.FrameError, match="older than depth's") as refused:
        label(10 * 10**9)
    assert refused.value.causes == {"rgb": "late"}
