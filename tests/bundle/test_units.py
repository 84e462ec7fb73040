from __future__ import annotations

from fractions import Fraction

import pytest

from fuseg.errors import ArgumentError
from fuseg.manifest.units import parse_unit, unit_factor

# Each as the exact ratio from the definition of the unit, written as a quotient of
# whole numbers: its nearest double is the only right answer.
FACTORS = [
    ("mm", "mm", 1, 1),
    ("0.1mm", "mm", 1, 10),
    ("mm", "0.1mm", 10, 1),
    ("m", "mm", 1000, 1),
    ("mm", "m", 1, 1000),
    ("cm", "mm", 10, 1),
    ("um", "m", 1, 1_000_000),
    ("0.1mm", "0.25mm", 2, 5),
    ("0.00390625m", "mm", 1000, 256),
    ("0.3mm", "m", 3, 10_000),
    ("0.01K", "K", 1, 100),
    ("0.1C", "C", 1, 10),
    ("1", "1", 1, 1),
]


@pytest.mark.parametrize(("given", "wanted", "top", "bottom"), FACTORS)
def test_factor_is_the_double_nearest_to_the_exact_ratio(given, wanted, top, bottom):
    assert unit_factor(given, wanted) == float(Fraction(top, bottom))


def test_a_ratio_of_floats_would_be_wrong():
    assert unit_factor("0.3mm", "0.1mm") == 3.0
    assert 0.3 / 0.1 != 3.0


@pytest.mark.parametrize(
    ("given", "wanted"), [("mm", "K"), ("K", "m"), ("1", "mm"), ("mm", "1"), ("C", "K")]
)
def test_units_of_different_things_are_refused(given, wanted):
    with pytest.raises(ArgumentError, match=f"like '{wanted}', got '{given}', which"):
        unit_factor(given, wanted)


@pytest.mark.parametrize(
    "unit",
    [
        *("", "inch", "MM", "k", "0mm", "0.0mm", "-1mm", "1e-4m", ".1mm", "1.mm"),
        *("0.1 mm", "0.1", "2", "mm ", "mm\n", "٣mm", "1/256m", "9" * 13 + "m"),
        *(None, 1),
    ],
)
def test_a_misspelled_unit_is_refused_with_the_spelling(unit):
    with pytest.raises(ArgumentError, match=r"^unit must be m, cm, .* \('0.1mm'\)"):
        parse_unit(unit)


def test_a_unit_is_its_dimension_and_its_exact_step():
    assert parse_unit("0.1mm") == ("length", Fraction(1, 10_000))
