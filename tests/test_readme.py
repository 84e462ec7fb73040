"""What README and docs say is what was measured, and what the project has."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def test_what_is_generated_is_up_to_date():
    check = [sys.executable, ROOT / "tools" / "docs" / "make_docs.py", "--check"]
    subprocess.run(check, check=True)


def test_the_generator_sees_a_typed_number():
    sys.path.append(str(ROOT / "tools" / "docs"))
    import make_docs

    for page, parts in make_docs.sections().items():
        text = (ROOT / page).read_text()
        for name, part in parts.items():
            assert part in text, f"{name} of {page}"
            digit = re.search(r"[0-9]", part)
            if digit is not None:
                typed = part[: digit.start()] + "x" + part[digit.end() :]
                stale = text.replace(part, typed)
                assert make_docs.filled(stale, page, parts) == text


def test_the_readme_fits_on_a_screen():
    assert len([line for line in README.splitlines() if line]) <= 70


def test_every_page_is_in_the_readmes_index():
    linked = set(re.findall(r"\]\((docs/[^)#]+)\)", README))
    assert linked == {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}


def test_the_glossary_has_at_most_25_terms():
    terms = re.findall(r"^\| \*\*(.+?)\*\* \|", GLOSSARY, re.MULTILINE)
    assert 10 <= len(terms) == len(set(terms)) <= 25


def test_every_make_target_and_picture_it_names_exists():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    command = r"(?:^|`)make (?:[A-Z_]+=\S+ )?([a-z-]+)"
    for page in PAGES:
        named = set(re.findall(command, page.read_text(), re.MULTILINE))
        assert named <= targets, page.name
    assert {"demo", "test"} <= set(re.findall(command, README, re.MULTILINE))
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert pictures
    assert all((ROOT / picture).exists() for picture in pictures)


def named_files():
    """Paths of CONTRIBUTING.md: in the table of questions, and in the layout's tree."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table, layout = re.split(r"^## .*$", text, flags=re.MULTILINE)[1:3]
    names = re.findall(r"`([\w.]+/[\w./]*)`", table)
    folder = ""
    for line in layout.splitlines():
        found = re.match(r"( *)((?:[\w.]+[/.][\w./]* )+) ", line)
        if found and not found[1]:
            folder = found[2].strip()
        names += (
            [folder * bool(found[1]) + w for w in found[2].split()] if found else []
        )
    return names


def test_every_file_that_contributing_names_exists():
    names = [name for name in named_files() if "NAME" not in name]
    assert {"kernels/simd/", "sdk/fuseg/runtime/", "export/checkpoints/"} <= {*names}
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_contributing_names_every_package():
    named = {name.rstrip("/").rpartition("/")[2] for name in named_files()}
    for folder in ("sdk/fuseg", "export/fuseg_export", "tools"):
        packages = {path.parent.name for path in (ROOT / folder).glob("*/*.py")}
        assert packages <= named, folder


def anchors(page):
    """What a page's headings are called in links, by GitHub's rule."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
