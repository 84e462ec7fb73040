"""What fuseg takes from TensorRT: from its sources, and from the doubles' records."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from conformance.syntax import Reader, Spot, aliases

PACKAGE = Path(__file__).parents[2] / "sdk" / "fuseg"


class Use(NamedTuple):
    """What a double records.

    Attributes:
        where: A class's name, or "trt" for the module.
        member: Its attribute; ``__init__`` when the class is called.
        positional: How many positional arguments a call had; "get" or "set" if it was
            none.
        keywords: Those of the call, sorted.
    """

    where: str
    member: str
    positional: int | str
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """A module that imports TensorRT.

    Attributes:
        named: Names of the module: ``trt.A.B``, ``hasattr(trt.A, "B")``.
        attributes: Attributes of objects that may be TensorRT's.
        name: Its path below the package.
        tree: Its syntax.
    """

    named: tuple[Spot, ...]
    attributes: tuple[Spot, ...]
    name: str
    tree: ast.Module


def sources(package: Path = PACKAGE) -> dict[str, str]:
    """The text of every module of ``package`` that imports TensorRT, by its path."""
    texts = {
        path.relative_to(package).as_posix(): path.read_text()
        for path in sorted(package.rglob("*.py"))
    }
    return {name: text for name, text in texts.items() if aliases(ast.parse(text))}


def read(name: str, text: str) -> Source:
    """What the module of this name and text may take from TensorRT."""
    tree = ast.parse(text)
    reader = Reader(name, text, tree)
    return Source(tuple(reader.named()), tuple(reader.attributes()), name, tree)
