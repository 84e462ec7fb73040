"""Shapley values against every order in which the players can come."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fuseg.explain import shapley

PLAYERS = ["rgb", "depth", "thermal", "sound"]


def by_orders(players, value):
    """The mean of what each adds when it comes, over all orders."""
    added = dict.fromkeys(players, 0.0)
    orders = [*itertools.permutations(players)]
    for order in orders:
        there, before = [], 0.0
        for player in order:
            there.append(player)
            after = value[tuple(p for p in players if p in there)]
            added[player] += after - before
            before = after
    return {player: total / len(orders) for player, total in added.items()}


def random_game(players, seed):
    random = np.random.default_rng(seed)
    sizes = range(1, len(players) + 1)
    sets = [s for size in sizes for s in itertools.combinations(players, size)]
    return {subset: float(random.uniform()) for subset in sets}


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_values_are_those_of_all_orders(count, seed):
    players = PLAYERS[:count]
    value = random_game(players, seed)
    found = shapley(players, value)
    assert found == pytest.approx(by_orders(players, value), abs=1e-12)
    assert sum(found.values()) == pytest.approx(value[tuple(players)], abs=1e-12)


def test_a_player_that_adds_nothing_gets_nothing():
    others = random_game(PLAYERS[:3], 7)
    value = {}
    for size in range(1, 5):
        for subset in itertools.combinations(PLAYERS, size):
            rest = tuple(p for p in subset if p != "sound")
            value[subset] = others[rest] if rest else 0.0
    found = shapley(PLAYERS, value)
    assert found["sound"] == pytest.approx(0, abs=1e-12)
    assert {p: found[p] for p in PLAYERS[:3]} == pytest.approx(
        shapley(PLAYERS[:3], others)
    )


def test_players_that_are_alike_get_the_same():
    value = {
        subset: len(subset) ** 2 / 16 + 0.3 * ("rgb" in subset)
        for size in range(1, 5)
        for subset in itertools.combinations(PLAYERS, size)
    }
    rgb, *others = shapley(PLAYERS, value).values()
    assert others == pytest.approx([others[0]] * 3)
    assert rgb == pytest.approx(others[0] + 0.3)
