"""What a reference model is: a factory, and what a user would say of its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from fuseg.manifest import Class, ImageInput

from ..frames.rendered import Scenes, labelled_rooms
from ..network.inputs import Inputs, read_inputs
from ..network.spec import Spec, make_spec
from ..parts.records import Parts

__all__ = ["ReferenceModel"]


@dataclass(frozen=True)
class ReferenceModel:
    """A network of this package, which `fuseg export` takes as it takes anybody's.

    Attributes:
        name: What it is exported by.
        family: What kind of system it is, as "fusion".
        summary: One line.
        build: Gives the network with random weights, see `sources.factory.build`.
        words: As many ``--input`` as its forward takes tensors, in its order.
        spec: The content of its spec file, see `network.spec.read_spec`.
        scenes: Held-out frames of what it is trained for; those of a text or a sound
            are among the frame sets' ``others``, or its spec's examples.
    """

    name: str
    family: str
    summary: str
    build: Callable[[], nn.Module | Parts]
    words: tuple[str, ...]
    spec: Mapping[str, Any] = field(default_factory=dict)
    scenes: Scenes = labelled_rooms

    def network(self) -> nn.Module:
        """A new network with random weights; of one of parts the whole."""
        made = self.build()
        return made.whole if isinstance(made, Parts) else made

    @cached_property
    def said(self) -> Spec:
        """Its spec, read."""
        return make_spec(f"the spec of {self.name}", self.spec)

    @cached_property
    def given(self) -> Inputs:
        """All of its inputs."""
        return read_inputs(self.words, (), self.said.inputs)

    @property
    def inputs(self) -> tuple[ImageInput, ...]:
        """Those that are pictures."""
        return self.given.pictures

    @property
    def classes(self) -> tuple[Class, ...]:
        """Of its first segmentation; none if its spec does not name them."""
        return self.said.classes or ()

    @property
    def ignore(self) -> int:
        """The label of no class."""
        return 255 if self.said.ignore is None else self.said.ignore
