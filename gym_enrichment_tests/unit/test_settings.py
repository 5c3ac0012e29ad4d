"""Settings: addresses of the LLM that are refused, and what any text in the environment leads to."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gym_enrichment import doctor
from gym_enrichment.settings import Settings, SettingsError, load_settings

NAMES = sorted(field.alias for field in Settings.model_fields.values() if field.alias is not None)
SECRETS = {"OPENAI_API_KEY", "GYM_DATABASE_URL", "GYM_ALERT_WEBHOOK", "OPENAI_BASE_URL"}
"""Variables whose values no error may repeat; in a base URL somebody may have put a password."""


@pytest.fixture(autouse=True, scope="module")
def _nothing_set_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("OPENAI_", "GYM_")):
                patch.delenv(name)
        yield


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/v1",
        "host/v1",
        "https://",
        "https://me:hunter2@host/v1",
        "https://hunter2@host/v1",
        "https://host/v1?key=hunter2",
        "https://host/v1#hunter2",
        "https://host /v1",
        "https://[hunter2/v1",
    ],
)
def test_a_base_url_that_is_no_plain_web_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match=r"OPENAI_BASE_URL: .*https://host/v1") as refused:
        load_settings(_env_file=None, OPENAI_BASE_URL=url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("url", ["https://api.example/v1", "http://127.0.0.1:8008/v1/", "http://[::1]:1/v1"])
def test_other_base_urls_are_taken_as_they_are(url: str) -> None:
    assert load_settings(_env_file=None, OPENAI_BASE_URL=url).openai_base_url == url


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        (None, False),
        ("https://api.example/v1", False),
        ("http://127.0.0.1:8008/v1", False),
        ("http://localhost/v1", False),
        ("http://[::1]/v1", False),
        ("http://10.0.0.7/v1", True),
        ("http://llm.example/v1", True),
        ("http://127.0.0.1.example/v1", True),
    ],
)
def test_plain_http_to_another_machine_is_a_warning(url: str | None, warned: bool) -> None:
    assert bool(doctor.unencrypted(url)) is warned


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
            assert any(f"{name}: " in str(error) for name in variables)
            for name in SECRETS & set(variables):
                assert len(variables[name]) < 8 or variables[name] not in str(error)
            return
    shown = repr(found)
    for name in ("OPENAI_API_KEY", "GYM_DATABASE_URL", "GYM_ALERT_WEBHOOK"):
        assert len(variables.get(name, "")) < 8 or variables[name] not in shown
    again = load_settings(_env_file=None, **{name: getattr(found, field) for field, name in _aliases()})
    assert again == found


def _aliases() -> list[tuple[str, str]]:
    return [(field, info.alias) for field, info in Settings.model_fields.items() if info.alias is not None]
