"""Settings: any text in the environment is settings that print back, or an error that names the variable."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment.settings import Settings, SettingsError, load_settings

NAMES = sorted(field.alias for field in Settings.model_fields.values() if field.alias is not None)
SECRETS = {"OPENAI_API_KEY", "GYM_DATABASE_URL", "GYM_ALERT_WEBHOOK", "GOOGLE_PLACES_API_KEY", "OPENAI_BASE_URL"}
"""Variables whose values no error may repeat; in a base URL somebody may have put a password."""


@pytest.fixture(autouse=True, scope="module")
def _nothing_set_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("OPENAI_", "GYM_", "GOOGLE_")):
                patch.delenv(name)
        yield


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40),
    st.sampled_from(["0", "1", "-1", "1e999", "nan", "inf", "true", "offline", "openai", "packed", "batch", ",", " "]),
    st.from_regex(r"(https?|postgresql|sqlite|file)://[^\x00\ud800-\udfff]{0,20}", fullmatch=True),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3))
@example({"OPENAI_BASE_URL": "https://[::1/v1"})
@example({"GYM_ALERT_WEBHOOK": "https://a:99999/"})
def test_any_environment_is_settings_or_an_error_that_names_the_variable(variables: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        try:
            found = load_settings(_env_file=None)
        except SettingsError as error:
            refusal = str(error)
            assert any(f"{name}: " in refusal for name in variables)
            assert not [name for name in SECRETS & set(variables) if is_in(variables[name], refusal)]
            return
    assert not [name for name in SECRETS - {"OPENAI_BASE_URL"} if is_in(variables.get(name, ""), repr(found))]
    again = load_settings(_env_file=None, **{name: getattr(found, field) for field, name in _aliases()})
    assert again == found


def is_in(secret: str, text: str) -> bool:
    return len(secret) > len("https://host/v1") and secret in text


def _aliases() -> list[tuple[str, str]]:
    return [(field, info.alias) for field, info in Settings.model_fields.items() if info.alias is not None]
