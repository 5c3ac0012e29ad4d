"""docs/security.md: every test that it names is there, and every threat names one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
THREATS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| threat ")]


@cache
def names_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    found = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in found if node.name.startswith("test_"))


def test_the_page_is_a_table_of_threats() -> None:
    assert len(THREATS) > 10


@pytest.mark.parametrize("threat", THREATS, ids=[line.split("|")[1].strip() for line in THREATS])
def test_every_threat_is_shown_by_tests_that_exist(threat: str) -> None:
    named = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", threat.split("|")[3])
    assert named
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []
