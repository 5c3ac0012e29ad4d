"""Settings: addresses of the LLM that are refused or warned of."""

import pytest

from gym_enrichment import doctor
from gym_enrichment.settings import SettingsError, load_settings


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
