"""What every kind of output does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendError
from ...manifest import Manifest
from ..frame_job import FrameJob
from ..preprocess import Preprocessor

__all__ = ["OutputAdapter", "OutputContext"]


class OutputContext(NamedTuple):
    """What adapters know beside their own record.

    Attributes:
        backend: The name of what makes the tensors, for sentences.
    """

    manifest: Manifest
    preprocessor: Preprocessor
    backend: str


class OutputAdapter(ABC):
    """Makes one output's results of its tensor, on the CPU.

    On a GPU, labels are made there by `cuda`; any other output's tensor is brought to
    the CPU, and read as here.

    Attributes:
        least_agreement: What another backend or precision must reach with a sample.
        output: The manifest's record.
    """

    least_agreement: ClassVar[float]

    def __init__(self, output: Any, context: OutputContext) -> None:
        self.output, self.context = output, context

    def connect(self, tensors: Mapping[str, NDArray[Any]]) -> None:  # noqa: B027
        """Say where the outputs' tensors lie, before the first `read` and whenever
        they lie elsewhere; for kinds that read more than one."""

    @abstractmethod
    def read(self, tensor: NDArray[Any], job: FrameJob) -> Any:
        """The result; it keeps nothing of the tensor, which the next frame overwrites.

        Raises:
            BackendError: the tensor's values make no result.
        """

    def refuse_numbers(self, what: str) -> NoReturn:
        """Refuse NaN and infinity.

        Args:
            what: What of the output they are among.
        """
        raise BackendError(
            f"{self.context.backend} gave {what} of {self.output.name} that are no "
            "numbers (NaN or infinity): try another variant, such as fp32."
        )

    @staticmethod
    def as_array(result: Any) -> NDArray[Any]:
        """A result as a sample holds it; see the record's ``expected``."""
        return np.asarray(result)

    @staticmethod
    def as_json(result: Any) -> Any:  # noqa: ARG004
        """A result as JSON holds it, for `fuseg run`; None if its array is a file."""
        return None

    @staticmethod
    def words(result: Any) -> str:  # noqa: ARG004
        """A result in a line under a picture; empty if it is none to be read."""
        return ""

    @staticmethod  # noqa: B027  few kinds can be drawn
    def draw(result: Any, picture: NDArray[np.uint8]) -> None:
        """Draw it on a picture of its camera's frame, (H, W, 3) RGB."""

    @staticmethod
    @abstractmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """How alike two such arrays are: from 0 to 1, which is the same."""
