"""The networks that the exporter's rules, the doubles and the real builder judge."""

from __future__ import annotations

from tensorrt_real.case import Case
from tensorrt_real.operator_cases import OPERATORS, RESIZE
from tensorrt_real.quantization_cases import QUANTIZATION, TYPES

__all__ = ["CASES", "Case"]

CASES = [*QUANTIZATION, *TYPES, *RESIZE, *OPERATORS]
