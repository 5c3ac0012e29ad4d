"""An operator's vocabulary: any file is a vocabulary that finds its own amenities, or an error that names the file."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment_tests.fuzz import share
from gym_enrichment_tests.fuzz.values import plain_texts

_scalars = st.one_of(
    st.booleans().map(lambda value: str(value).lower()),
    st.integers(-99, 99).map(str),
    st.sampled_from(
        ["1.5", "nan", "2026-01-01", "[]", "{}", "[1]", '["a"]', '["a", 1]', '[["a"]]', '""', '" "', "'x'"]
    ),
    plain_texts.map(lambda text: '"' + "".join(c if c.isalnum() or c in " -'" else "" for c in text) + '"'),
)
_keys = "id label group fr en es ar indefinite usual traps words verbs fixed names amenity".split()
_pairs = st.lists(st.tuples(st.sampled_from(_keys), _scalars), max_size=5).map(
    lambda pairs: "".join(f"{key} = {value}\n" for key, value in dict(pairs).items())
)
_good = st.integers(0, 3).map(lambda n: f'id = "own-{n}"\nlabel = "Propre {n}"\nfr = ["mur propre {n}"]\n')
_heads = ["", "[[amenity]]\n", "[amenity]\n", "[words]\n", "[names]\n", "[verbs]\n", "[denials]\n"]
_sections = st.lists(st.tuples(st.sampled_from(_heads), _good | _pairs), max_size=3)
files = _sections.map(lambda parts: "".join(head + body for head, body in parts).encode()) | st.binary(max_size=20)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vocabulary") / "own.toml"


@share(0.1)
@given(files)
@example(b"amenity = 1")
@example(b"[[amenity]]\nid = 1\nlabel = 'x'")
@example(b"traps = [1]")
@example(b"[[amenities]]\nid = 'own'\nlabel = 'x'")
@example(b"words = 'x'")
@example(b"[amenity]\nid = 'x'")
def test_any_file_is_a_vocabulary_or_an_error_that_names_it(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        vocabulary = Vocabulary.load(path)
    except ValueError as error:
        refusal = str(error)
        assert refusal.startswith(f"{path}: ")
        return
    own = tomllib.loads(content.decode()).get("amenity", [])
    assert len(vocabulary.amenities) == len(Vocabulary.default().amenities) + len(own)
    for amenity in vocabulary.amenities[-len(own) :] if own else ():
        assert vocabulary.get(amenity.id) == amenity
