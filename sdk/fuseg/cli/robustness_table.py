"""A robustness card as tables."""

from __future__ import annotations

from ..manifest import Estimate, Robustness, SensorSet
from .printing import plural, print_table, say

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]  # headings, rows

_COLUMNS = "mIoU", "95 % of draws"


def show_robustness(card: Robustness) -> None:
    """Print what ``fuseg verify --robustness`` measured, or a bundle's own card."""
    title = f"robustness on {plural(card.frames, 'frame')}"
    print_table(*subset_rows(card), right=_COLUMNS, title=title)
    for sentence in refusals(card):
        say(sentence)
    print_table(*spoilt_rows(card), right=_COLUMNS, title="spoilt frames")


def subset_rows(card: Robustness) -> Table:
    """The sets of sensors, their mean, and what may be expected of them."""
    rows = [_of_set(found) for found in card.subsets]
    rows.append(("mean of these", *_cells(card.mean)))
    rows += [
        (f"expected, each failing with p = {e.p:g}", *_cells(e)) for e in card.expected
    ]
    return ("sensors that are there", *_COLUMNS), rows


def spoilt_rows(card: Robustness) -> Table:
    """Lost pixels and noise, by the sensors that have them."""
    rows: list[tuple[str, ...]] = []
    for lost in card.lost_pixels:
        what = f"{lost.share:.0%} of the pixels lost"
        rows += [(what, *_of_set(found)) for found in lost.sets]
        if lost.mean is not None:
            rows.append((what, "mean with one whole", *_cells(lost.mean)))
    for noise in card.noise:
        rows += [(f"noise {noise.level}", *_of_set(found)) for found in noise.sets]
    return ("frames with", "of", *_COLUMNS), rows


def refusals(card: Robustness) -> list[str]:
    """A line for each set of sensors that is refused alone."""
    frames = plural(card.frames, "frame")
    return [
        f"{_names(found)}: {_all_or(found.refused, card.frames)} of {frames} refused "
        f"without {', '.join(found.refused_without)}, their mIoU is 0"
        for found in card.subsets
        if found.refused
    ]


def _all_or(count: int, frames: int) -> str:
    return "all" if count == frames else str(count)


def _names(found: SensorSet) -> str:
    return " + ".join(found.sensors)


def _of_set(found: SensorSet) -> tuple[str, ...]:
    return (_names(found), *_cells(found))


def _cells(found: Estimate) -> tuple[str, str]:
    low, high = found.interval
    return f"{found.miou:.4f}", f"{low:.4f} to {high:.4f}"
