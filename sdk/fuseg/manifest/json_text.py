"""JSON that says everything once."""

from __future__ import annotations

import json
from typing import Any

from ..errors import ManifestError
from .schema import require_unique

__all__ = ["read_json"]


def read_json(text: str | bytes) -> Any:
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
        )
    except RecursionError:
        raise ManifestError("a manifest must not nest this deeply.") from None
    except ManifestError:
        raise
    except ValueError as err:
        raise ManifestError(f"a manifest must be UTF-8 JSON, but: {err}.") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    require_unique("the keys of an object", (key for key, _ in pairs))
    return dict(pairs)


def _refuse_constant(word: str) -> None:
    raise ManifestError(f"a number must be finite, got {word}.")
