"""The packed prompt: what is sent about several gyms, and how the answer is taken apart."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gym_enrichment.domain.answer_rules import AnswerRejected
from gym_enrichment.domain.models import Bundle, BundleReview
from gym_enrichment.prompts import combined, packed
from gym_enrichment_tests.llm_server import good_content


def bundle(number: int, *reviews: str) -> Bundle:
    return Bundle(
        place_id=f"gym-{number}",
        gym={"name": f"Salle {number}", "city": None},
        reviews=[BundleReview(f"review-{number}-{index}", text) for index, text in enumerate(reviews)],
        content_hash="hash",
        reviews_total=1,
        reviews_with_text=1,
        review_tokens=10,
        revision=1,
    )


def entry(gym_id: str, **changed: Any) -> dict[str, Any]:
    return {"id": gym_id, **json.loads(good_content()), **changed}


def answer(*entries: Mapping[str, Any]) -> str:
    return json.dumps({"gyms": entries})


def test_each_gym_has_an_id_and_its_reviews_are_numbered_anew() -> None:
    system, user = packed.render([bundle(1, "Bien", "Propre"), bundle(2, 'Un "piège": {}')])
    assert system == {"role": "system", "content": packed.INSTRUCTIONS}
    assert json.loads(user["content"]) == {
        "gyms": {
            "g1": {"gym": {"name": "Salle 1"}, "reviews": {"1": "Bien", "2": "Propre"}},
            "g2": {"gym": {"name": "Salle 2"}, "reviews": {"1": 'Un "piège": {}'}},
        }
    }


def test_the_rules_are_those_of_the_combined_prompt() -> None:
    assert combined.RULES in packed.INSTRUCTIONS
    assert combined.RULES in combined.INSTRUCTIONS
    gym = packed.schema([bundle(1, "Bien")])["properties"]["gyms"]["items"]
    assert set(gym["required"]) == set(gym["properties"]) == {"id", *combined.PROPERTIES}
    assert gym["additionalProperties"] is False


def test_hours_are_asked_for_only_where_no_rule_can_read_them() -> None:
    parsed = replace(bundle(1, "Bien"), gym={"name": "Salle 1", "hours": ["lundi: 06:00 – 22:00"]})
    unread = replace(bundle(2, "Bien"), gym={"name": "Salle 2", "hours": ["selon saison, dès 8h"]})

    system, user = packed.render([parsed])
    assert combined.HOURS_RULE not in system["content"]
    assert "hours" not in user["content"]
    assert "hours_french" not in packed.schema([parsed])["properties"]["gyms"]["items"]["properties"]

    system, user = packed.render([parsed, unread])
    assert system["content"].endswith(combined.HOURS_RULE)
    gyms = json.loads(user["content"])["gyms"]
    assert ("hours" in gyms["g1"]["gym"], gyms["g2"]["gym"]["hours"]) == (False, ["selon saison, dès 8h"])
    assert "hours_french" in packed.schema([parsed, unread])["properties"]["gyms"]["items"]["properties"]


def test_an_answer_is_taken_apart_by_id_whatever_its_order() -> None:
    text = answer(entry("g2", description="Deux"), entry("g1", description="Un"))
    parts = packed.split(text, 2)
    assert [json.loads(part or "")["gyms"][0]["description"] for part in parts] == ["Un", "Deux"]
    assert {json.loads(part or "")["gyms"][0]["id"] for part in parts} == {"g1"}


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([entry("g1")], [True, False]),
        ([entry("g1"), entry("g1"), entry("g2")], [False, True]),
        ([entry("g1"), entry("g3")], [True, False]),
        ([entry(" g1 "), entry("g2")], [True, True]),
        ([entry("G1"), {"description": "no id"}, "g2", None, {"id": 2}], [False, False]),
        ([entry("g1", description="half \ud83d"), entry("g2")], [False, True]),
        ([], [False, False]),
    ],
    ids=["missing", "double", "unknown", "spaces", "no id", "half of a character", "nothing"],
)
def test_only_a_gym_with_exactly_one_entry_has_a_part(entries: list[Any], found: list[bool]) -> None:
    assert [part is not None for part in packed.split(answer(*entries), 2)] == found


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"gyms": {}}', '{"gyms": 1}', "[" * 100_000, '{"gyms": [}'])
def test_what_is_no_pack_at_all_is_rejected(text: str) -> None:
    with pytest.raises(AnswerRejected):
        packed.split(text, 2)


def test_a_part_is_parsed_like_an_answer_about_the_gym_alone() -> None:
    two = packed.split(answer(entry("g1"), entry("g2", amenities=[{"name": "Sauna", "reviews": [1, 7]}])), 2)
    found = packed.parse(two[1] or "")
    assert [(claim.name, claim.reviews) for claim in found.amenities] == [("Sauna", [1, 7])]
    with pytest.raises(AnswerRejected, match="description: missing"):
        packed.parse(json.dumps({"gyms": [{"id": "g1", "amenities": [], "has_women_hours": None}]}))
    with pytest.raises(AnswerRejected, match="exactly one entry with the id 'g1'"):
        packed.parse(answer(entry("g2")))


def test_no_rejection_quotes_what_was_answered() -> None:
    secret = "SECRET"
    for text in (secret, answer(entry(secret)), answer(entry("g1", amenities=secret, description=secret))):
        with pytest.raises(AnswerRejected) as caught:
            packed.parse(text)
        assert secret not in str(caught.value)
