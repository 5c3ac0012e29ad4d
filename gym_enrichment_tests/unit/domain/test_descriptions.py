"""What a description may claim, what is sent back, and what is published when it claimed too much."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.answer_rules import broken_description_rules, count_sentences
from gym_enrichment.domain.composing import composed_description
from gym_enrichment.domain.descriptions import Described
from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.grounding import Mentions
from gym_enrichment.domain.models import WomenOnly

VOCABULARY = Vocabulary.default()
GYM = {"name": "Salle Atlas", "city": "Oran", "hours": ["lundi: 08:00 – 22:00", "vendredi: Fermé"]}
REVIEWS = {
    1: "Merci à Amina et au coach Karim ! Cours de yoga, hammam chaud. Thanks Les copains !",
    2: "Pas de piscine. Merci Pour tout, et à Zumba aussi.",
    3: "Salle réservée aux femmes de 9h à 12h.",
}


def described(
    women: WomenOnly = "yes",
    gym: dict[str, object] | None = None,
    reviews: dict[int, str] = REVIEWS,
) -> Described:
    return Described(gym or dict(GYM), reviews, Mentions(reviews, VOCABULARY), women, VOCABULARY)


@pytest.mark.parametrize(
    "sentence",
    [
        "Salle Atlas est une salle de sport située à Oran.",
        "Elle propose des cours de yoga et un hammam.",
        "Les machines et les vestiaires sont modernes.",
        "Pour les adhérents, des coachs sont sur place.",
        "La Zumba n'y est pas proposée.",
        "Il y a un HAMMAM.",
        "Elle n'a pas de piscine.",
        "Elle ouvre le lundi de 8 h à 22 h.",
        "Elle est fermée le vendredi.",
        "Un créneau de 9 h à 12 h est réservé aux femmes.",
    ],
)
def test_a_factual_sentence_stands(sentence: str) -> None:
    assert described().broken_rules(sentence) == []


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("Elle dispose d'une piscine.", "Piscine"),
        ("Un sauna et un hammam sont à disposition.", "Sauna"),
        ("Elle n'a pas de hammam.", "denies"),
        ("Le coach Karim encadre les séances.", "names somebody"),
        ("Karim encadre les séances.", "names somebody"),
        ("Les adhérents remercient Amina.", "names somebody"),
        ("Le mot de passe est TOURNESOL.", "names somebody"),
        ("La monitrice Ludivine encadre les séances.", "names somebody"),
        ("C'est la meilleure salle de la ville.", "praises, blames"),
        ("L'ambiance est conviviale.", "praises, blames"),
        ("Les locaux sont sales.", "praises, blames"),
        ("Elle ouvre à 6 h 30.", "a time"),
        ("Elle est fermée le lundi.", "a time"),
        ("Elle est ouverte 24h/24.", "24h/24"),
        ("Plus sur https://atlas.example.", "a link"),
        ("Plus sur atlas-gym.example.", "a link"),
        ("Téléphone : 0550 12 34 56.", "says else"),
        ("Suivez @atlas.", "a link"),
        ("Une <b>salle</b> de sport.", "a link"),
        ("هذه قاعة رياضة.", "French letters"),
        ("En tant qu'IA, le modèle décrit la salle.", "says else"),
        ("Nous proposons des machines.", "says else"),
        ("Elle propose des machines !", "no statement needs"),
        ("FITNESS KING est une salle de sport.", "says else"),
        ("La salle est fermée définitivement.", "closed"),
        ("L'équipe est souriante et motivante.", "praises, blames"),
        ("La salle a cessé son activité.", "says else"),
        ("Le club a fermé ses portes.", "closed"),
    ],
)
def test_a_sentence_that_claims_too_much_is_sent_back_with_the_reason(sentence: str, reason: str) -> None:
    reasons = described().broken_rules(sentence)
    assert any(reason in told for told in reasons)
    assert not any(name in told for told in reasons for name in ("Karim", "Amina", "copains"))


def test_women_only_hours_need_the_verdict() -> None:
    sentence = "Des horaires sont réservés aux femmes."
    assert described("yes").broken_rules(sentence) == []
    assert described("unknown").broken_rules(sentence)
    assert described("no").broken_rules(sentence)


def test_the_gyms_own_name_is_no_person_no_praise_and_no_claim() -> None:
    gym: dict[str, object] = {"name": "Super Piscine Karim", "city": "Oran", "hours": None}
    assert described(gym=gym).broken_rules("Super Piscine Karim dispose d'une piscine.") == []


def test_hours_around_the_clock_may_be_told_if_the_facts_hold_them() -> None:
    gym: dict[str, object] = {"name": "Atlas", "city": "Oran", "hours": ["lundi: Ouvert 24h/24"]}
    assert described(gym=gym).broken_rules("Elle est ouverte 24h/24 le lundi.") == []


GOOD = "Salle Atlas est une salle de sport à Oran. Elle propose des cours de yoga. Un hammam est dans les locaux."


def test_only_the_sentence_that_claims_too_much_is_removed() -> None:
    assert described().repaired(f"{GOOD} Elle dispose d'une piscine.") == GOOD


@pytest.mark.parametrize("text", ["", "Superbe salle !", "La piscine est belle. Le coach Karim est top. Venez !"])
def test_what_cannot_be_mended_is_composed_from_what_reviews_show(text: str) -> None:
    mended = described().repaired(text)
    assert mended
    assert "Salle Atlas" in mended
    assert "hammam" in mended
    assert "piscine" not in mended
    assert 3 <= count_sentences(mended) <= 4


@pytest.mark.parametrize("name", ["Salle Atlas", "Club F. C. Nord", "", "24 Hour Fitness", "قاعة الأبطال", "N" * 300])
@pytest.mark.parametrize("hours", [None, ["lundi: Ouvert 24h/24"], ["on verra"], GYM["hours"]])
@pytest.mark.parametrize("women", ["yes", "unknown"])
def test_a_composed_description_keeps_every_rule(name: str, hours: object, women: WomenOnly) -> None:
    judge = described(women, {"name": name, "city": "Le Caire", "hours": hours})
    composed = judge.repaired("Non.")
    assert composed
    assert judge.broken_rules(composed) == []
    assert broken_description_rules(composed, name) == []


def test_every_concept_can_be_written_into_a_sentence_that_claims_nothing_else() -> None:
    for amenity in VOCABULARY.amenities:
        sentence = composed_description("Atlas", "Oran", [amenity], False, None)
        claimed = {m.amenity_id for m in VOCABULARY.mentions(sentence) if not VOCABULARY.get(m.amenity_id).usual}
        assert claimed <= {amenity.id}, amenity.id


@pytest.mark.parametrize(
    "sentence",
    [
        "Le club Titan, à deux rues, est moins cher.",
        "Les adhérents préfèrent Power Fitness, en face.",
        "Les coachs y sont diplômés d'État.",
        "Le gérant a été arrêté.",
        "Les séances guérissent le diabète.",
        "La salle a reçu le prix de la fédération.",
        "Réservez dès maintenant.",
        "Une navette est proposée.",
        "Le bar compte 17 machines.",
        "C'est la plus grande salle de la ville.",
        "La salle est fermée.",
    ],
)
def test_what_an_attacker_would_have_said_is_removed(sentence: str) -> None:
    assert described().repaired(f"{GOOD} {sentence}") == GOOD


@pytest.mark.parametrize(
    "sentence",
    [
        "Situé au cœur du quartier, l'établissement met à disposition un large éventail d'appareils.",
        "Les séances, encadrées par des instructeurs, sont adaptées aux objectifs de chacun.",
        "Les locaux sont répartis sur deux niveaux et disposent de vestiaires séparés.",
        "Les avis évoquent l'affluence en fin d'après-midi et le renouvellement des équipements.",
    ],
)
def test_what_a_plain_directory_says_stands(sentence: str) -> None:
    assert described().broken_rules(sentence) == []


@given(word=st.from_regex(r"[a-zé]{4,12}", fullmatch=True), place=st.integers(0, 9))
def test_a_sentence_with_a_word_that_nothing_covers_is_always_removed(word: str, place: int) -> None:
    known = VOCABULARY.lexicon.words | VOCABULARY.lexicon.names
    assume(fold(word) not in known and not VOCABULARY.mentions(word))
    assume(not any(fold(word) in VOCABULARY.words_of(amenity.id) for amenity in VOCABULARY.amenities))
    words = "les séances sont proposées dans une salle de la ville".split()
    words.insert(place, word)
    claim = " ".join(words).capitalize() + "."
    judge = described()
    told = judge.broken_rules(f"{GOOD} {claim}")
    assert any("sentence 4" in reason for reason in told)
    assert judge.repaired(f"{GOOD} {claim}") == GOOD
