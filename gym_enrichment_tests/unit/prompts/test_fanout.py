"""The fan-out's prompts: together they ask what the combined prompt asks, each only its part."""

import json
from typing import Any

import pytest

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.prompts import combined
from gym_enrichment.prompts.fanout import AMENITIES, DESCRIPTION, PARTS, WOMEN, PartPrompt


def bundle(hours: list[str] | None = None) -> Bundle:
    return Bundle(
        place_id="gym-1",
        gym={"name": "Salle 1", "city": None, "hours": hours},
        reviews=[BundleReview("review-1", "Bien"), BundleReview("review-2", 'Un "piège": {}')],
        content_hash="hash",
        reviews_total=2,
        reviews_with_text=2,
        review_tokens=10,
        revision=1,
    )


def test_each_part_is_told_its_own_rule_and_the_one_about_evidence() -> None:
    rules = {part.name: part.rule for part in PARTS}
    for part in PARTS:
        system, _ = part.render(bundle())
        assert combined.EVIDENCE_RULE in system["content"]
        assert [name for name, rule in rules.items() if rule in system["content"]] == [part.name]


def test_the_rules_and_fields_of_all_parts_are_those_of_the_combined_prompt() -> None:
    assert combined.EVIDENCE_RULE + "".join(part.rule for part in PARTS) == combined.RULES
    asked = [name for part in PARTS for name in part.schema(bundle())["required"]]
    assert asked == list(combined.PROPERTIES)


def test_all_parts_read_the_same_gym_and_reviews() -> None:
    _, user = combined.render(bundle())
    assert [part.render(bundle())[1] for part in PARTS] == [user] * 3
    assert json.loads(user["content"])["reviews"] == {"1": "Bien", "2": 'Un "piège": {}'}


def test_only_one_part_is_asked_for_hours_and_only_where_no_rule_can_read_them() -> None:
    parsed, unread = bundle(["lundi: 06:00 – 22:00"]), bundle(["selon saison, dès 8h"])
    for part in PARTS:
        assert combined.HOURS_RULE not in part.render(parsed)[0]["content"]
        assert "hours_french" not in part.schema(parsed)["properties"]
    asked = [part for part in PARTS if combined.HOURS_RULE in part.render(unread)[0]["content"]]
    assert asked == [WOMEN]
    assert [part for part in PARTS if "hours_french" in part.schema(unread)["required"]] == [WOMEN]


def test_what_stands_first_is_the_same_for_every_gym() -> None:
    for part in PARTS:
        assert part.render(bundle(["selon saison, dès 8h"]))[0]["content"].startswith(part.instructions)
        assert part.render(bundle())[0]["content"] == part.instructions


def test_each_part_has_a_schema_of_its_own_name_that_allows_nothing_else() -> None:
    assert len({part.schema_name for part in PARTS}) == 3
    assert all(part.schema(bundle())["additionalProperties"] is False for part in PARTS)


def test_answers_are_parsed_as_parts() -> None:
    assert DESCRIPTION.parse('{"description": " Une salle. "}').description == "Une salle."
    claims = AMENITIES.parse('{"amenities": [{"name": "Sauna", "reviews": [2]}, "Parking"]}').amenities
    assert [(claim.name, claim.reviews) for claim in claims] == [("Sauna", [2]), ("Parking", [])]
    women = WOMEN.parse('{"has_women_hours": null, "women_hours_reviews": []}')
    assert (women.has_women_hours, women.women_hours_reviews, women.hours_french) == (None, [], None)


@pytest.mark.parametrize("part", PARTS, ids=[part.name for part in PARTS])
@pytest.mark.parametrize("text", ["", "SECRET", "{}", '{"description": 1, "amenities": "SECRET"}', "[]"])
def test_what_is_no_answer_to_a_part_is_rejected_and_not_quoted(part: PartPrompt[Any], text: str) -> None:
    with pytest.raises(AnswerRejected) as caught:
        part.parse(text)
    assert caught.value.malformed
    assert "SECRET" not in str(caught.value)
