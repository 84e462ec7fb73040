"""Networks of other libraries by name: ``smp:Unet?classes=5``, ``torchvision:...``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from fuseg.errors import ArgumentError, ExportError

from ..network.call import parse_values

__all__ = ["Library", "LibraryWord", "of_library"]


@dataclass(frozen=True)
class Library:
    """A library of networks.

    Attributes:
        module: Where they are.
        package: What pip calls it.
        untrained: Arguments that keep it from downloading weights.
    """

    module: str
    package: str
    untrained: tuple[str, ...]


LIBRARIES = {
    "smp": Library(
        "segmentation_models_pytorch",
        "segmentation-models-pytorch",
        ("encoder_weights",),
    ),
    "torchvision": Library(
        "torchvision.models.segmentation",
        "torchvision",
        ("weights", "weights_backbone"),
    ),
}


@dataclass(frozen=True)
class LibraryWord:
    """``LIBRARY:NAME?ARGUMENT=VALUE&...``

    Attributes:
        library: That has it.
        name: As the library spells it.
        said: The arguments in the word.
    """

    library: Library
    name: str
    said: Mapping[str, Any]

    @property
    def target(self) -> str:
        """``package.module:factory``."""
        return f"{self.library.module}:{self.name}"

    def arguments(
        self, factory: Callable[..., Any], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """All arguments: those of the word, these, and none for trained weights.

        Raises:
            ArgumentError: The library would take one and do nothing with it.
        """
        own = {**self.said, **given}
        takes = inspect.signature(factory).parameters
        named = [n for n, p in takes.items() if p.kind is not p.VAR_KEYWORD]
        for name in own:
            if name not in named:
                near = get_close_matches(name, named, 1)
                end = f": did you mean {near[0]}?" if near else "."
                raise ArgumentError(
                    f"{self.target} takes the arguments {', '.join(named)}, got "
                    f"{name}{end}"
                )
        untrained = {n: None for n in self.library.untrained if n in named}
        return {**untrained, **own}

    def missing(self) -> ExportError:
        """It is not installed."""
        return ExportError(
            f"{self.target} needs {self.library.package}, which is not installed: pip "
            f"install {self.library.package}."
        )


def of_library(word: str) -> LibraryWord | None:
    """A target that is a library's network; None if it is another one.

    Raises:
        ArgumentError: What follows the question mark has another form.
    """
    library, _, rest = word.partition(":")
    if library not in LIBRARIES:
        return None
    name, _, query = rest.partition("?")
    words = query.split("&") if query else []
    said = parse_values(f"what follows {name}?", words, {})
    return LibraryWord(LIBRARIES[library], name, said)
