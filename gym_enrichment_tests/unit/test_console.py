"""What is shown on a terminal: text of others gives it no orders."""

import json

import pytest

from gym_enrichment.console import harmless, print_json, print_table, say

ORDERS = "Club\x1b]0;renamed\x07\x1b[2J\x9b31m\r[bold]x[/bold]"


def test_text_of_others_gives_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("t", ["name"], [[ORDERS]])
    say(ORDERS)
    print_json({"name": ORDERS})
    shown = capsys.readouterr()
    assert not {"\x1b", "\x07", "\x9b", "\r"} & set(shown.out + shown.err)
    assert "[bold]" in shown.out
    assert json.loads(shown.out[shown.out.index("{") :]) == {"name": ORDERS}


def test_letters_line_breaks_and_tabs_stay() -> None:
    assert harmless("Été\n\tنادي 💪") == "Été\n\tنادي 💪"
