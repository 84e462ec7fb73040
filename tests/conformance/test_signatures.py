"""A docstring's calls are the calls that Python would accept."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from conformance.signatures import read


def plain(a, b): ...
def defaults(a, b=(1, 2), c="x, y) = z"): ...
def by_position(a, b=1, /, c=2): ...
def by_keyword(a, *, b, c=None): ...
def anything(a, *args, **kwargs): ...
def nothing(): ...
def callback(a: dict[str, Callable[[int, str], None]], b: tuple[int, ...] = ()): ...


@pytest.mark.parametrize(
    "function",
    [plain, defaults, by_position, by_keyword, anything, nothing, callback],
)
def test_takes_exactly_what_python_would_bind(function):
    (signature,) = read(f"{function.__name__}{inspect.signature(function)}")
    names = ["a", "b", "c", "d"]
    subsets = itertools.chain.from_iterable(
        itertools.combinations(names, n) for n in range(len(names) + 1)
    )
    for positional, keywords in itertools.product(range(5), list(subsets)):
        given: dict[str, Any] = dict.fromkeys(keywords)
        try:
            inspect.signature(function).bind(*range(positional), **given)
            binds = True
        except TypeError:
            binds = False
        assert signature.takes(positional, keywords) == binds, (positional, keywords)


def test_self_is_not_counted():
    (call,) = read("run(self: m.Thing, stream_handle: typing.SupportsInt) -> bool\n")
    assert call.takes(1, ())
    assert call.takes(0, ("stream_handle",))
    assert not call.takes(2, ())
    assert not call.takes(1, ("stream_handle",))


def test_a_parameter_that_pybind11_had_to_name_itself_has_no_keyword():
    (call,) = read("registry(arg0: nvinfer1::EngineCapability) -> m.Registry")
    assert call.takes(1, ())
    assert not call.takes(0, ("arg0",))


def test_a_default_may_hold_brackets_colons_and_commas():
    (call,) = read(
        "__init__(self: m.Logger, level: m.Severity = <Severity.WARNING: 2>, "
        "name: str = 'a, (b', size: std::pair<int, int> = (1, 2)) -> None\n\nMore."
    )
    assert call.positional == ("level", "name", "size")
    assert call.required == frozenset()


def test_every_overload_is_found_and_prose_is_not():
    calls = read(
        "get(*args, **kwargs)\nOverloaded function.\n\n"
        "1. get(self: m.Engine, name: str) -> int\n\n"
        "    1. get(first) the size, as in get(name)\n\n"
        "2. get(self: m.Engine, name: str, index: int) -> int\n\n    Two.\n"
    )
    assert [c.positional for c in calls] == [("name",), ("name", "index")]


@pytest.mark.parametrize("doc", ["", "Initialize self.  See help(type(self)) for all."])
def test_prose_alone_has_no_call(doc):
    assert read(doc) == ()


def test_parameters_that_never_end_are_refused():
    with pytest.raises(ValueError, match="must end with"):
        read("run(self: m.Thing, a: int")
