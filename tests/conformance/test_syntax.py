"""What the reader of sources takes for TensorRT's, and what it does not."""

from __future__ import annotations

import ast

import pytest
from conformance import uses
from conformance.scopes import Scopes

HEAD = """
import ctypes, subprocess
import tensorrt as trt
from typing import Any
from .record import Border, read
"""


def attributes(text: str) -> list[str]:
    return [spot.name for spot in uses.read("engines/a.py", HEAD + text).attributes]


@pytest.mark.parametrize(
    "text",
    [
        "subprocess.x",
        "subprocess.run().y.x",
        "read.x",
        "def f(a: Border): a.x",
        "def f(a: bytes): a.x",
        "p = subprocess.Popen()\np.x",
        "p, q = 1, subprocess.Popen()\nq.x",
        "with subprocess.Popen() as p: p.x",
        "for p in subprocess.many(): p.x",
        "def f(a: Any): a.x\nf(ctypes.CDLL('a'))",
        "class A:\n def f(self): self.x",
        "class A:\n def f(self):\n  self.p = subprocess.Popen()\n  self.p.x",
        "'a'.x",
        "f'{1}'.x",
    ],
)
def test_what_certainly_is_something_elses_is_left_out(text):
    assert "x" not in attributes(text)


@pytest.mark.parametrize(
    "text",
    [
        "a.x",
        "read().x",
        "trt.Builder(a).x",
        "b = trt.Builder(a)\nb.x",
        "def f(a: Any): a.x",
        "def f(a): a.x",
        "def f(a: trt.Builder): a.x",
        "def f(a: Any): a.x\nf(ctypes.CDLL('a'))\nf(trt.Builder(1))",
        "def f(a: Any): a.x\ndef g():\n a = subprocess.Popen()",
        "class A:\n def f(self): self.b.x",
        "class A:\n def f(self):\n  self.b = trt.Builder(1)\n  self.b.x",
        "p = subprocess.Popen()\np = trt.Builder(1)\np.x",
        "hasattr(a, 'x')",
        "setattr(a, 'x', 1)",
    ],
)
def test_what_may_be_tensorrts_is_kept(text):
    assert "x" in attributes(text)


@pytest.mark.parametrize(
    ("text", "guarded"),
    [
        ("trt.Z", False),
        ("if hasattr(trt.A, 'B'): trt.Z", True),
        ("if hasattr(trt.A, 'B'): pass\nelse: trt.Z", True),
        ("if getattr(trt, 'B', None): trt.Z", True),
        ("if trt.Z: pass", False),
        ("if a(trt.A, 'B'): trt.Z", False),
        ("if hasattr(a, 'B'): trt.Z", False),
        ("hasattr(trt, 'A') and trt.Z", True),
        ("a and trt.Z", False),
        ("trt.Z if hasattr(trt, 'A') else 0", True),
        ("k = trt.A\nif hasattr(k, 'B'): trt.Z", True),
        ("def f(a: trt.Z): pass", True),
        ("def f() -> trt.Z: pass", True),
        ("def f(a=trt.Z): pass", False),
    ],
)
def test_a_name_is_guarded_by_a_question_to_tensorrt_itself(text, guarded):
    named = uses.read("engines/a.py", HEAD + text).named
    assert [spot.guarded for spot in named if spot.name == "Z"] == [guarded]


@pytest.mark.parametrize(
    ("text", "how", "keywords"),
    [
        ("a.x", "get", ()),
        ("a.x = 1", "set", ()),
        ("a.x()", 0, ()),
        ("a.x(1, 2, c=3, b=4)", 2, ("b", "c")),
        ("a.x(*b)", "call", ()),
        ("a.x(b=1, **c)", "call", ("b",)),
        ("f(a.x)", "get", ()),
    ],
)
def test_how_an_attribute_is_used(text, how, keywords):
    (spot,) = uses.read("engines/a.py", HEAD + text).attributes
    assert (spot.name, spot.how, spot.keywords) == ("x", how, keywords)


def test_a_place_is_a_line_and_ends_are_characters_not_bytes():
    text = HEAD + "é = 1; a.é.x(ü=trt.A)\n"
    spots = {s.name: s for s in uses.read("engines/a.py", text).attributes}
    assert spots["x"].place == "engines/a.py:6"
    assert text[: spots["x"].end].endswith("a.é.x")
    assert text[spots["x"].call_end] == ")"
    assert text[spots["x"].keyword_starts[0] :].startswith("ü=")


def test_a_variable_is_known_by_the_innermost_function_that_has_it():
    tree = ast.parse("a = 1\ndef f():\n    a = 2\n    def g(): return a\n")
    (used,) = (n for n in ast.walk(tree) if isinstance(n, ast.Return))
    told = Scopes(tree).told(used.value)
    assert [ast.unparse(value) for value in told.values] == ["2"]
