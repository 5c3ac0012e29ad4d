"""CSV exports: no cell begins a formula, however a spreadsheet cuts the file, and nothing is lost."""

import csv
import io
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment.pipeline.exporting import without_formulas

_BACK = re.compile(r"(^(?='+[\t\r\n])|(?:^|[;\t\r\n])[^\S\t\r\n]*(?='+[=+\-@＝＋－＠]))'")
TEXTS = st.text(st.one_of(st.sampled_from("=+-@\t\r\n;'\" ,＝"), st.characters(codec="utf-8")), max_size=30)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", " =", "\u00a0=", "'="])
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(start: str) -> None:
    assert without_formulas(f"{start}1+1").lstrip(" \u00a0").startswith("'")


@pytest.mark.parametrize("text", ["", "Club 3-2-1", "06:00 – 22:00; fermé", "a=b", "l'eau", "Deux\n\nlignes", "a, -b"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert without_formulas(text) == text


@given(TEXTS)
@example("Sauna;=HYPERLINK(1)")
@example("\n\n=1")
def test_no_cell_begins_a_formula_whichever_sign_parts_the_cells(text: str) -> None:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow(["x", without_formulas(text)])
    for delimiter in ",;\t":
        for row in csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter=delimiter):
            for cell in row:
                assert not cell.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")), cell


@given(TEXTS)
def test_the_apostrophes_can_be_taken_away_again(text: str) -> None:
    assert _BACK.sub(r"\1", without_formulas(text)) == text
