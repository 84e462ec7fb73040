"""What ``fuseg explain`` found, as a page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..dataset.panes import Pane, draw_heat
from ..explain import ClassShares, Contributions
from ..manifest import Class
from .html import facts, items, legend, page, panes, section, swatch, table
from .printing import plural

__all__ = ["Occluded", "as_html", "refused_sets"]

# Told apart by most people who see few colours, too: Okabe and Ito, 2008.
_COLORS = ((0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167))
_AGAINST = {"all sensors": "those made from all sensors", "truth": "the true ones"}
_SIZE = 240, 320  # of an occlusion map


@dataclass(frozen=True, eq=False)
class Occluded:
    """A class, the key of a frame, and by sensor what hidden patches lose of it."""

    name: str
    key: str
    lost: Mapping[str, NDArray[np.float64]]

    def as_json(self) -> dict[str, Any]:
        """The maps as lists of rows."""
        maps = {sensor: lost.tolist() for sensor, lost in self.lost.items()}
        return {"class": self.name, "frame": self.key, "lost": maps}


def as_html(
    bundle: Bundle,
    found: Contributions,
    classes: Sequence[Class],
    frames: Mapping[str, Sequence[Pane]],
    occluded: Occluded | None,
) -> str:
    """A page: shares of the sensors in each class, frames, what patches hide.

    Args:
        classes: Of the labels.
        frames: By the key of a frame, its panes.
        occluded: If a class was looked for.
    """
    known = facts(
        [
            ("bundle", bundle.path.name),
            ("sha256", bundle.digest),
            ("frames", str(found.frames)),
            ("labels compared with", _AGAINST[found.against]),
        ]
    )
    parts = [
        known,
        section("Share of each sensor in each class", _shares(found, classes)),
        items("Refused", refused_sets(found)),
    ]
    if occluded is not None:
        parts.append(section(f"Where {occluded.name} comes from", _occluded(occluded)))
    shown = "".join(
        f"<h3>frame {html.escape(key)}</h3>\n{panes(made)}"
        for key, made in frames.items()
    )
    parts.append(section("Frames", legend(classes) + shown))
    return page(bundle.manifest.name, "explained", parts)


def refused_sets(found: Contributions) -> list[str]:
    """A sentence for each set of sensors without labels."""
    frames = plural(found.frames, "frame")
    return [
        f"{' + '.join(subset)}: {count} of {frames} refused, worth 0"
        for subset, count in found.refused.items()
    ]


def _shares(found: Contributions, classes: Sequence[Class]) -> str:
    colors = dict(zip(found.sensors, _COLORS, strict=False))
    names = "".join(
        f"<li>{swatch(color)}{html.escape(name)}</li>\n"
        for name, color in colors.items()
    )
    sets = found.sets
    headings = [
        *("class", "share", *found.sensors),
        *(f"IoU from {' + '.join(subset)}" for subset in sets),
    ]
    rows = []
    for entry in classes:
        name = f"{swatch(entry.color)}{html.escape(entry.name)}"
        one = found.classes[entry.name]
        if one is None:
            rows.append([name, "does not occur", *[""] * (len(headings) - 2)])
            continue
        numbers = [f"{one.values[subset]:.3f}" for subset in sets]
        shares = one.shares or {}
        percent = [f"{shares[s]:.0%}" if s in shares else "" for s in found.sensors]
        rows.append([name, _bar(one, colors), *percent, *numbers])
    key = f'<ul class="legend">\n{names}</ul>\n'
    return key + table(headings, rows, escaped=True)


def _bar(one: ClassShares, colors: Mapping[str, Sequence[int]]) -> str:
    """As long as the shares are; negative ones are in the numbers alone."""
    parts = []
    for sensor, share in (one.shares or {}).items():
        red, green, blue = colors[sensor]
        style = f"width:{max(share, 0):.1%};background:rgb({red},{green},{blue})"
        parts.append(f'<span style="{style}"></span>')
    return f'<span class="bar">{"".join(parts)}</span>'


def _occluded(found: Occluded) -> str:
    most = max(float(lost.max()) for lost in found.lost.values())
    limits = 0.0, most or 1.0
    made = [
        Pane(f"{sensor}: at most {lost.max():.0%} lost", draw_heat(lost, _SIZE, limits))
        for sensor, lost in found.lost.items()
    ]
    about = (
        f"<p>In frame {html.escape(found.key)}. A patch of one sensor is hidden at a "
        "time; the brighter, the less of the class is found then: black is nothing "
        f"lost, white {most:.0%} of it.</p>\n"
    )
    return about + panes(made)
