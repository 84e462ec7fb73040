"""Token ids that are a text: compared as a whole, up to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m

from ..network.outputs import Shapes
from ..tokenizer import read_tokenizer
from .base import OutputRequest, Prediction
from .plain import Plain, record_of

__all__ = ["Tokens"]


@dataclass(frozen=True)
class Tokens(Plain):
    """See `ExportedOutput`.

    Attributes:
        tokenizer: The file that makes words of ids.
    """

    tokenizer: bytes = b""

    EQUAL = "texts are the same"
    LEAST_BETWEEN_STAGES = 1.0
    LEAST = 0.95  # one changed word changes those behind it

    @classmethod
    def of(cls, request: OutputRequest, returned: Tensor, _: Shapes) -> Tokens:
        """See `ExportedOutput`: ids, int64 (1, length)."""
        settings = dict(request.settings)
        path = settings.pop("tokenizer", None)
        data = read_tokenizer(f"output {request.name}: tokenizer", path)
        asked = OutputRequest(request.name, request.kind, request.path, settings)
        member = f"{request.name}.tokenizer.json"
        return cls(record_of(m.TokensOutput, asked, returned, tokenizer=member), data)

    @property
    def members(self) -> Mapping[str, bytes]:
        return {self.record.tokenizer: self.tokenizer}

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The ids, (length,), the end's from the first end on."""
        ids = tensor.reshape(-1).copy()
        ends = np.flatnonzero(ids == self.record.end)
        if len(ends):
            ids[ends[0] :] = self.record.end
        return np.asarray(ids)

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """Whether all of the text is the same."""
        return float(np.array_equal(expected, found))

    def _predicted(self, tensor: NDArray[Any]) -> Prediction:
        """What comes after the end is noise, and is not compared."""
        ids = self.result(tensor)
        return Prediction(ids, ids)
