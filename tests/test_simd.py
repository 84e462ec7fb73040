"""The headers of the instruction sets have the same functions; one page lists them."""

from __future__ import annotations

import re
from pathlib import Path

import native
from checks.simd_objects import homonyms, strangers

SIMD = Path(__file__).parents[1] / "kernels" / "simd"
SETS = ("avx512", "avx2", "sse4", "neon")
FUNCTION = re.compile(r"^inline ([\w:]+ \w+\([^)]*\)) \{", re.MULTILINE)


def functions(header: str) -> list[str]:
    """What they return, their names and types, in order: "Mask both(Mask, Mask)"."""
    text = (SIMD / f"{header}.h").read_text()
    found = [
        re.sub(r" \w+(?=[,)])", "", " ".join(f.split())) for f in FUNCTION.findall(text)
    ]
    assert len(found) == text.count("\ninline ")
    return found


def test_every_instruction_set_has_the_same_functions_in_the_same_order():
    wanted = functions("avx512")
    assert len(set(wanted)) == len(wanted) > 50
    assert {name: functions(name) for name in SETS} == dict.fromkeys(SETS, wanted)


def test_the_page_has_every_function():
    listed = set(re.findall(r"`(\w+)", (SIMD / "README.md").read_text()))
    assert {re.split(r"[ (]", name)[1] for name in functions("avx2")} <= listed


def test_no_instruction_set_defines_a_function_that_another_could_take_for_its_own():
    """Without the optimizer, so that no inlining hides one."""
    objects = native.simd_objects()
    assert len(objects) >= 6
    assert [s for found in objects for s in strangers(found, found.parent.name)] == []


def test_objects_of_an_instruction_set_mean_the_same_function_by_a_name():
    """Where they do not, the linker gives one of them the other's."""
    objects = native.simd_objects()
    for folder in {found.parent for found in objects}:
        assert homonyms([o for o in objects if o.parent == folder]) == []
