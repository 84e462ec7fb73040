"""The doubles of TensorRT have nothing that the real version lacks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conformance import bindings, check, read_module
from conformance.bindings import Api, Class, Member
from conformance.signatures import read
from doubles import tensorrt


def described(version: str) -> Api:
    """The double, read as the real bindings are."""
    found = read_module.describe_module(tensorrt.make(None, version))
    del found["module"]["uses"]  # the record itself
    return bindings.parse(found)


def test_there_is_a_double_of_every_version():
    assert set(tensorrt.VERSIONS) == set(bindings.WHEELS)


@pytest.mark.parametrize("version", bindings.WHEELS)
def test_a_double_has_only_what_its_version_has(version, real):
    made = described(version)
    assert len(made.classes) > 20
    assert check.double(made, real(version)) == []


def call(text: str) -> Member:
    return Member("call", read(text))


TRUE = Api(
    "1",
    {"Flag": Member("class", of="Flag"), "Run": Member("class", of="Run")},
    {
        "Flag": Class({}, {"A": 0, "B": 1}),
        "Run": Class(
            {
                "go": call("go(self: m.Run, first: int, second: int = 2) -> bool"),
                "size": Member("property"),
                "level": Member("property", settable=True),
            },
            None,
        ),
    },
)


@pytest.mark.parametrize(
    ("where", "name", "member", "sentence"),
    [
        ("Run", "size", Member("property"), None),
        ("Run", "level", Member("property"), None),
        ("Run", "go", call("go(self, first)"), None),
        ("Run", "_own", Member("property"), None),
        ("Run", "__len__", call("__len__(self)"), "no Run.__len__"),
        ("Run", "stop", call("stop(self)"), "no Run.stop"),
        ("Run", "size", Member("property", settable=True), "Run.size cannot be set"),
        ("Run", "size", call("size(self)"), "Run.size is a property, not a call"),
        ("Run", "go", call("go(self)"), "Run.go does not take ()"),
        ("Run", "go", call("go(self, word)"), "Run.go does not take (word=)"),
        ("trt", "Stop", Member("class", of="Flag"), "no trt.Stop"),
    ],
)
def test_more_than_the_version_has_is_named(where, name, member, sentence):
    module, classes = dict(TRUE.module), dict(TRUE.classes)
    if where == "trt":
        module[name] = member
    else:
        classes[where] = Class({name: member}, None)
    wrong = check.double(replace(TRUE, module=module, classes=classes), TRUE)
    assert wrong == ([] if sentence is None else [f"TensorRT 1: {sentence}."])


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"A": 0}, None),
        ({"A": 1}, "Flag.A is 0, not 1"),
        ({"C": 2}, "Flag.C is None, not 2"),
    ],
)
def test_an_enum_has_the_versions_numbers(numbers, sentence):
    classes = {"Flag": Class({}, numbers)}
    wrong = check.double(replace(TRUE, classes=classes), TRUE)
    assert wrong == ([] if sentence is None else [f"TensorRT 1: {sentence}."])
