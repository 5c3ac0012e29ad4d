"""What a reader would see of a review, where its sentences end, and which of its words tell something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gym_enrichment.domain.folding import fold
from gym_enrichment.domain.reviews import (
    LONGEST_SENTENCE,
    beginning,
    clean_text,
    informative_words,
    names_a_time,
    sentences,
)
from gym_enrichment_tests.costs import bounded_cost


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        (None, ""),
        (" \n\t ", ""),
        ("un\u202fdeux\u2009trois\r\nquatre", "un deux trois quatre"),
        ("mo\u200bt ca\u00adché \u202egauche\u202c", "mot caché gauche"),
        ("caché \U000e0041\U000e0042 là", "caché là"),
        ("un\ud800deux", "undeux"),
        ("جمـــيل", "جميل"),
        ("La piscine est trÃ¨s propre, câ€™est chauffÃ©", "La piscine est très propre, c’est chauffé"),
        ("مسبح نظيف".encode().decode("latin-1"), "مسبح نظيف"),
        ("Il a dit\xa0: «\xa0bonjour\xa0» à\xa0tous", "Il a dit : « bonjour » à tous"),
        ("e\u0301te\u0301", "été"),
        ("𝗚𝘆𝗺 propre", "Gym propre"),
        ("Clean &amp; big &#128077;", "Clean & big 👍"),
        ("Clean<br/>and <b>big</b> <a href='x'>here</a>", "Clean and big here"),
        ("I <3 it, 5 < 6 and 7 > 2", "I <3 it, 5 < 6 and 7 > 2"),
        ("Nice <script>alert(1)</script>pool", "Nice pool"),
        ("Top!!!!!!!! Vraiment ?!?!?! Oui......", "Top! Vraiment ? Oui..."),
        ("Top 😍😍😍 😍 👍🏽", "Top 😍"),
        ("suuuuuper, la cool www.x.com", "suuper, la cool www.x.com"),
        ("cher : 10000 DA, 0555000000 =======", "cher : 10000 DA, 0555000000 ="),
        ("gym gym gym gym ici", "gym ici"),
        ("(Translated by Google) Very clean (Original) Très propre", "Très propre"),
        ("Très propre\n\n(Translated by Google)\nVery clean", "Très propre"),
        ("(Traduit par Google) Très propre (Avis d'origine) Muy limpio", "Muy limpio"),
    ],
)
def test_a_text_is_cleaned_as_a_reader_would_see_it(raw: str | None, clean: str) -> None:
    assert clean_text(raw) == clean


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Grande salle. Il y a un sauna ! Et le parking ? Gratuit…", 4),
        ("grande salle propre. les machines sont neuves", 2),
        ("القاعة نظيفة. هل يوجد موقف؟ نعم، مجاني", 3),
        ("很干净。有游泳池！", 2),
        ("Two floors.It has a pool.", 2),
        ("M. Amar est là de 9 a.m. to 5 p.m. on Monday", 1),
        ("Le tapis coûte 2.500 DA", 1),
        ("", 0),
    ],
)
def test_sentences_end_where_a_reader_ends_them_in_any_script(text: str, parts: int) -> None:
    assert len(sentences(text)) == parts
    assert " ".join(sentences(text)).replace(" ", "") == text.replace(" ", "")


def test_lines_without_punctuation_do_not_read_as_one_claim() -> None:
    assert sentences("Pas de sauna\nPiscine chauffée") == ["Pas de sauna.", "Piscine chauffée"]


def test_a_line_that_goes_on_in_lower_case_stays_one_claim() -> None:
    assert " ".join(sentences("Pas de\nsauna ici")) == "Pas de sauna ici"


def test_a_text_without_full_stops_is_cut_before_a_new_thought() -> None:
    words = "les machines sont neuves et la salle est grande " * 4
    assert sentences(f"{words}mais le parking {words}")[0] == words.strip()


@given(st.text(max_size=600))
def test_no_sentence_is_long_and_none_is_empty(text: str) -> None:
    assert all(0 < len(part) <= LONGEST_SENTENCE + 1 for part in sentences(text))


@given(st.text(max_size=80), st.integers(1, 40))
def test_a_beginning_is_never_longer_than_asked(text: str, characters: int) -> None:
    part = beginning(text, characters)
    assert len(part) <= max(characters, 0)
    assert text.strip().startswith(part.strip()) or text.startswith(part)


@pytest.mark.parametrize(
    "pattern", ["<script", "<a ", "<!--", "a ", "éÃ©", "!? ", "&lt;", "ab ab ", "(translated by google)", ". ", "😍 "]
)
def test_a_hostile_text_of_50_000_characters_is_read_at_once(pattern: str) -> None:
    text = (pattern * 50_000)[:50_000]
    with bounded_cost():
        sentences(text)


@pytest.mark.parametrize("text", ["Great gym, very good!", "Super salle", "👍👍", "قاعة رائعة جدا", "Excelente lugar"])
def test_praise_has_no_informative_word(text: str) -> None:
    assert informative_words(fold(text)) == set()


def test_informative_words_are_found_in_any_script() -> None:
    assert informative_words(fold("Vieux matériel")) == {"vieux", "materiel"}
    assert "الات" in informative_words(fold("الآلات قديمة، آلات"))
    assert informative_words("器材很新")


@pytest.mark.parametrize(
    "text",
    ["ouvert à 7h", "closed on Fridays", "until 10 pm", "24/7", "مغلق يوم الجمعة", "abierto los domingos", "7:30"],
)
def test_times_and_days_are_noticed(text: str) -> None:
    assert names_a_time(fold(text))


@pytest.mark.parametrize("text", ["10/10", "5 étoiles", "2 ans ici", "honest people"])
def test_other_figures_are_no_times(text: str) -> None:
    assert not names_a_time(fold(text))
