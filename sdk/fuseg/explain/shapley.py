"""Shapley values: what each player adds, averaged over the orders to come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import factorial

__all__ = ["shapley"]


def shapley(
    players: Sequence[str], value: Mapping[tuple[str, ...], float]
) -> dict[str, float]:
    """The Shapley value of each player, exactly: every coalition is looked at.

    Args:
        players: Their names.
        value: Of every coalition but the empty one, which is worth 0; names in the
            order of ``players``.

    Returns:
        By player; they sum to the value of all players together.

    Source:
        Shapley, "A Value for n-Person Games", 1953: the mean, over the coalitions
        without the player, of what the player adds, weighted by the orders in which
        just these come before.

    Example:
        >>> shapley(["a", "b"], {("a",): 0.5, ("b",): 0.25, ("a", "b"): 1.0})
        {'a': 0.625, 'b': 0.375}
    """
    count, found = len(players), {}
    for player in players:
        others = [other for other in players if other != player]
        total = 0.0
        for size in range(count):
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            for before in combinations(others, size):
                after = tuple(p for p in players if p in (*before, player))
                total += weight * (value[after] - (value[before] if before else 0.0))
        found[player] = total
    return found
