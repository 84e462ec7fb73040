"""The table of what fewer bits cost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools" / "docs"))

import variant_table

INT8 = {
    "name": "int8-cpu",
    "for": ["cpu"],
    "miou": 0.95341,
    "miou_drop_interval": [-0.00021, 0.00084],
    "worst_class": "floor",
    "worst_class_drop": 0.00096,
    "label_agreement": 0.9972483,
    "float_nodes": ["Conv_3"],
    "sensitivity": {"Conv_1": 0.1, "Conv_2": 0.2, "Conv_3": 0.3},
}


def test_a_drop_lowers_the_score():
    assert variant_table.line(INT8) == (
        "| int8-cpu | 0.9534 (-0.0008 to +0.0002) | floor -0.0010 | 0.99725 | 1 of 3 |"
    )


def test_fp32_is_compared_with_nothing():
    full = {"name": "fp32", "miou": 0.95381, "miou_drop_interval": None}
    assert variant_table.line(full) == "| fp32 | 0.9538 | | | |"


@pytest.mark.parametrize(
    ("changes", "cells"),
    [
        ({"for": ["tensorrt"]}, "| int8-cpu (simulated on the CPU) |"),
        ({"miou_drop_interval": [-0.00004, 0.00003]}, "| 0.9534 (less than 0.0001) |"),
        ({"worst_class_drop": 0.00004}, "| none by 0.0001 |"),
        ({"worst_class_drop": -0.01}, "| none by 0.0001 |"),
        ({"float_nodes": [], "sensitivity": {}}, "| 0 |"),
    ],
)
def test_words_for_what_a_number_does_not_say(changes, cells):
    assert cells in variant_table.line(INT8 | changes)
