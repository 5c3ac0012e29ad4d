"""What is published of opening hours: parsed where they can be, and never a time that the source does not name."""

import pytest

from gym_enrichment.domain.hours import NOT_STATED, stated_hours, translated_hours

WEEK = "lundi: 08:00 – 20:00; mardi: 08:00 – 20:00; vendredi: Fermé"
SAYS_SO = ["ouvert tous les jours sauf vendredi, de 8h à 20h environ"]


def test_hours_that_parse_are_published_as_lines_as_a_sentence_and_for_osm() -> None:
    hours = stated_hours(["Monday: 8:00 AM – 8:00 PM", "Tuesday: Closed"])

    assert hours is not None
    assert hours.status == "parsed"
    assert hours.french.replace("\u2009", " ") == "lundi: 08:00 – 20:00; mardi: Fermé"
    assert hours.sentence is not None
    assert hours.osm is not None
    assert hours.sentence.startswith("Ouvert le lundi de 8")
    assert hours.osm.startswith("Mo 08:00-20:00; Tu off")


@pytest.mark.parametrize("lines", [(), ("",), ("  ", "")])
def test_a_source_that_states_nothing_needs_no_llm(lines: tuple[str, ...]) -> None:
    hours = stated_hours(lines)

    assert hours is not None
    assert (hours.french, hours.status, hours.osm) == (NOT_STATED, "not_stated", None)


@pytest.mark.parametrize("line", ["selon saison", "Monday: 9 to 9pm or so", SAYS_SO[0]])
def test_only_lines_that_no_rule_can_read_are_left_to_the_llm(line: str) -> None:
    assert stated_hours([line]) is None


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (SAYS_SO[0], WEEK),
        ("Monday 9am till about 9 pm", "lundi: 09:00 – 21:00"),
        ("Monday 9 to 9pm or so", "lundi: 09:00 – 21:00"),
        ("lundi de 8 a 20 normalement", "lundi: 08:00 – 20:00"),
        ("le lundi jusqu'à minuit, dès 18h30", "lundi: 18:30 – 00:00"),
    ],
)
def test_a_reading_with_the_times_of_the_source_is_verified(line: str, answer: str) -> None:
    hours = translated_hours([line], answer)

    assert hours.status == "verified"
    assert hours.french.replace("\u2009", " ") == answer
    assert hours.reason is None


@pytest.mark.parametrize(
    ("line", "answer", "why"),
    [
        ("selon saison", "lundi: 08:00 – 20:00", "names a time that the source does not"),
        (SAYS_SO[0], WEEK.replace("20:00", "21:00"), "names a time that the source does not"),
        ("de 8h à 20h, vendredi de 15h à 21h sauf fêtes", WEEK, "left out"),
        ("le lundi de 8h à 20h environ", WEEK, "closes on a day"),
        ("souvent ouvert", "lundi: Ouvert 24h/24", "opens all day"),
        (SAYS_SO[0], "lundi: de huit à vingt heures", "neither can the LLM's"),
        (SAYS_SO[0], NOT_STATED, "cannot be read"),
        (SAYS_SO[0], None, "cannot be read"),
        (SAYS_SO[0], "", "cannot be read"),
        ("12 rue des Frères, 2e étage", "lundi: 12:00 – 14:00", "names a time that the source does not"),
    ],
)
def test_anything_else_is_not_published_and_says_why(line: str, answer: str | None, why: str) -> None:
    hours = translated_hours([line], answer)

    assert (hours.french, hours.sentence, hours.osm, hours.status) == (NOT_STATED, None, None, "unverified")
    assert hours.reason is not None
    assert why in hours.reason
