"""What the export prints of its variants: whole words, no sign before nothing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fuseg.cli.printing import print_table
from fuseg.dataset.scoring import score
from fuseg_export.outputs.comparison import Comparison
from fuseg_export.precision.built_variant import BuiltVariant
from fuseg_export.precision.mixed_precision_search import MixedPrecision
from fuseg_export.report.tables import brief_rows, remarks, variant_rows

SCORE = score(np.diag([5, 6]), 3, ["a", "b"], 255)
MODEL = SimpleNamespace(ByteSize=lambda: 106_632_735)


def variant(drop, worst):
    interval = (drop - 0.003, drop + 0.003)
    compared = Comparison(8, 0.99667, 1.9, 0.9, drop, interval, "platform", worst, (1,))
    changes = {"one": 0.5, "two": 0.4}
    mixed = MixedPrecision(("one", "two"), changes, compared, compared, "with all 2 no")
    return BuiltVariant(
        *(
            "int8-trt8",
            ("tensorrt-8",),
            {},
            MODEL,
            8,
            SCORE,
            {"labels": compared},
            mixed,
        ),
        times={"openvino": 1234.5, "onnxruntime": 2000.0},
        refused="IoU of platform falls by 0.0362, more than 0.02",
    )


FP32 = BuiltVariant("fp32", ("any",), {}, MODEL, 8, SCORE, times={"onnxruntime": 43.6})


def test_at_80_columns_no_word_of_the_table_is_split(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    headings, rows = brief_rows([FP32, variant(0.0123, 0.0362)])
    print_table(headings, rows)
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    words = {word for row in [headings, *rows] for cell in row for word in cell.split()}
    assert words <= set(printed.split())


def test_what_the_table_has_no_room_for_is_a_sentence():
    text = " ".join(remarks([FP32, variant(0.0123, 0.0362)]))
    for fact in (
        *("fp32 43.60 (onnxruntime)", "int8-trt8 1234.50 (openvino)"),
        *("-0.0153 to -0.0093 in 95 %", "is refused: IoU of platform falls by 0.0362"),
        "2 of 2 layers stay in float (one, two)",
        "labels of the calibration frames were fp32's; with all 2 no",
    ):
        assert fact in text


@pytest.mark.parametrize("nothing", [0.0, 1e-6, -1e-6])
def test_what_rounds_to_nothing_has_no_sign(nothing):
    for _, (row,) in (brief_rows([variant(nothing, nothing)]),):
        assert "0.0000" in row
        assert "none loses" in row
        assert not any("-0.0000" in cell or "+0.0000" in cell for cell in row)
    _, (row,) = variant_rows([variant(nothing, nothing)])
    assert any("(0.0000, 95 %: -0.0030 to +0.0030)" in cell for cell in row)


def test_a_column_of_which_nothing_is_known_is_left_out():
    headings, (row,) = brief_rows([FP32])
    assert headings == ("variant", "MB", "mIoU", "ms", "outcome")
    assert row == ("fp32", "106.6", "1.0000", "43.60", "kept")
