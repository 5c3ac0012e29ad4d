"""The audit never passes for want of answers, and every pin can be audited."""

import re

import pytest

from gym_enrichment_tests.audit import PINS, verdict

CLEAN = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"], "aliases": []}]}
UNKNOWN = {"name": "c", "skip_reason": "nobody answers"}


@pytest.mark.parametrize(
    ("dependencies", "code"),
    [([CLEAN], 0), ([CLEAN, FLAWED], 1), ([FLAWED, UNKNOWN], 1), ([CLEAN, UNKNOWN], 2), ([UNKNOWN], 2), ([], 2)],
)
def test_only_answers_about_every_version_are_a_pass(dependencies: list[dict[str, object]], code: int) -> None:
    assert verdict(dependencies)[0] == code


def test_a_machine_without_internet_passes_only_where_that_is_asked_for_and_nobody_answered() -> None:
    code, said = verdict([UNKNOWN, UNKNOWN], offline_passes=True)
    assert (code, said) == (
        0,
        ["NOT AUDITED: no advisory service answers from here; 0 of 2 pinned versions were looked up"],
    )
    assert verdict([CLEAN, UNKNOWN], offline_passes=True)[0] == 2
    assert verdict([FLAWED, UNKNOWN], offline_passes=True)[0] == 1
    assert verdict([], offline_passes=True)[0] == 2


def test_what_is_found_and_what_is_not_known_is_said() -> None:
    said = "\n".join(verdict([CLEAN, FLAWED, UNKNOWN])[1])
    assert "VULNERABLE b 1: X-1, mended in ['2']" in said
    assert "2 of 3 pinned versions were looked up" in said
    assert "NOT LOOKED UP" in said


def test_every_pin_is_one_exact_version() -> None:
    pins = [line for line in PINS.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[A-Za-z0-9._\[\]-]+==[A-Za-z0-9.+!]+", pin)] == []
