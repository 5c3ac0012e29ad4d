"""Every setting, typed, from the environment and `.env`. Secrets are never printed.

What must not live here: connecting to anything, or creating a file.
"""

from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gym_enrichment.domain.amenities import Vocabulary
from gym_enrichment.domain.places import Area, AreaError, parse_area
from gym_enrichment.storage.engine import Database


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and what to write instead."""


class LlmChoice(StrEnum):
    """Who answers: a server that speaks OpenAI's protocol, or the local rules."""

    OPENAI = "openai"
    OFFLINE = "offline"


class VariantChoice(StrEnum):
    """The ways of asking: everything about one gym in one call, in three, or about several gyms in one."""

    COMBINED = "combined"
    FANOUT = "fanout"
    PACKED = "packed"


class LlmProtocol(StrEnum):
    """How a server is told the form of its answers, which is where servers differ most from OpenAI's protocol."""

    FULL = "full"
    """`json_schema`, strict, and `max_completion_tokens`."""
    GRAMMAR = "grammar"
    """`json_object` with the schema beside it, which llama.cpp makes a grammar of, and `max_tokens`."""
    BASIC = "basic"
    """`json_object` alone, the schema in the instructions, and `max_tokens`: the server enforces nothing."""


class LlmMode(StrEnum):
    """How prompts travel: each by itself and answered at once, or many together within a day at half the price."""

    SYNC = "sync"
    BATCH = "batch"


class Settings(BaseSettings):
    """The settings of one process. Build it with `load_settings`, which turns mistakes into clear errors."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", env_ignore_empty=True, frozen=True)

    home: Path = Field(Path("./.gym"), alias="GYM_HOME")
    """Embedded database, Dagster instance and exports live below it."""
    database_url: SecretStr | None = Field(None, alias="GYM_DATABASE_URL")
    """Default: SQLite in `home`. Production: Postgres."""
    sources: Annotated[tuple[str, ...], NoDecode] = Field((), alias="GYM_SOURCES")
    """What materializing raw_gyms and raw_reviews ingests: paths or database URLs, separated by commas."""

    openai_api_key: SecretStr | None = Field(None, alias="OPENAI_API_KEY")
    openai_base_url: str | None = Field(None, alias="OPENAI_BASE_URL")
    llm: LlmChoice | None = Field(None, alias="GYM_LLM")
    model: str = Field("gpt-4o-mini", alias="GYM_LLM_MODEL", min_length=1)
    protocol: LlmProtocol = Field(LlmProtocol.FULL, alias="GYM_LLM_PROTOCOL")
    """`grammar` and `basic` are for servers without strict schemas: docs/models.md."""
    concurrency: int = Field(20, alias="GYM_LLM_CONCURRENCY", ge=1, le=10_000)
    """Most requests in flight at once in one process."""
    cache_ttl_seconds: int = Field(30 * 24 * 3600, alias="GYM_LLM_CACHE_TTL", ge=0, le=10 * 365 * 24 * 3600)
    """How long an answer stays fresh, in seconds; default 30 days, like Google Places' own data."""
    timeout_seconds: float = Field(60.0, alias="GYM_LLM_TIMEOUT", gt=0)
    """Longest wait for one answer. OpenAI's client would wait 600 s."""
    patience_seconds: float = Field(60.0, alias="GYM_LLM_PATIENCE", gt=0)
    """A provider that answers nothing for so long stops the run."""
    requests_per_minute: int | None = Field(None, alias="GYM_LLM_RPM", ge=1)
    """Most requests in any 60 seconds, over all processes that share the database."""
    tokens_per_minute: int | None = Field(None, alias="GYM_LLM_TPM", ge=1)
    """Most tokens in any 60 seconds, likewise; estimated before a call, corrected after it."""
    budget_usd: float | None = Field(None, alias="GYM_BUDGET_USD", ge=0)
    """Most dollars that one run may spend."""
    monthly_budget_usd: float | None = Field(None, alias="GYM_BUDGET_MONTH_USD", ge=0)
    """Most dollars that all runs of a calendar month (UTC) may spend."""
    price_prompt: float | None = Field(None, alias="GYM_LLM_PRICE_PROMPT", ge=0)
    """Dollars per million prompt tokens, instead of the price list's."""
    price_cached: float | None = Field(None, alias="GYM_LLM_PRICE_CACHED", ge=0)
    """Dollars per million prompt tokens that the provider had cached; default: as GYM_LLM_PRICE_PROMPT."""
    price_completion: float | None = Field(None, alias="GYM_LLM_PRICE_COMPLETION", ge=0)
    """Dollars per million completion tokens, instead of the price list's."""
    max_attempts: int = Field(6, alias="GYM_LLM_MAX_ATTEMPTS", ge=1, le=100)
    """Attempts at one request while its errors are transient."""
    llm_mode: LlmMode = Field(LlmMode.SYNC, alias="GYM_LLM_MODE")
    """`batch` sends the prompts through the Batch API."""
    batch_requests: int = Field(5_000, alias="GYM_LLM_BATCH_REQUESTS", ge=1, le=50_000)
    """Most requests in one API batch, and most that wait at once in one process; some 20 KB of memory each."""
    batch_poll_seconds: float = Field(60.0, alias="GYM_LLM_BATCH_POLL", gt=0, le=3_600)
    """Longest time between two looks at an API batch."""

    variant: VariantChoice = Field(VariantChoice.COMBINED, alias="GYM_VARIANT")
    """The way of asking."""
    pack_tokens: int = Field(6_000, alias="GYM_PACK_TOKENS", ge=500)
    """Most tokens of facts and reviews in one call of the variant `packed`."""

    batch_size: int = Field(100, alias="GYM_BATCH_SIZE", ge=1, le=10_000)
    token_budget: int = Field(1_200, alias="GYM_TOKEN_BUDGET", ge=50)
    """Most review tokens that one gym's prompt may hold."""
    vocabulary_path: Path | None = Field(None, alias="GYM_VOCABULARY")
    """A TOML file with amenities of your own, added to those of the package."""
    labels: Path | None = Field(None, alias="GYM_LABELS")
    """Labelled gyms (JSON lines) that the asset evaluation_report measures against."""
    publish_unverified: bool = Field(False, alias="GYM_PUBLISH_UNVERIFIED")
    """True publishes also amenities that no review was found to support."""
    partitions_per_run: int | None = Field(None, alias="GYM_PARTITIONS_PER_RUN", ge=1)
    """Unset: all partitions of a backfill in one run."""
    batches_per_tick: int = Field(20, alias="GYM_BATCHES_PER_TICK", ge=1, le=1_000)
    """Most runs that one tick of the sensor or the schedule requests."""
    alert_webhook: SecretStr | None = Field(None, alias="GYM_ALERT_WEBHOOK")
    """Where alerts_sensor posts, as Slack's incoming webhooks want it. Who knows the URL can post: it is a secret."""

    places_key: SecretStr | None = Field(None, alias="GOOGLE_PLACES_API_KEY")
    """Of a Google Cloud project in which Places API (New) is enabled."""
    places_url: str = Field("https://places.googleapis.com", alias="GYM_PLACES_URL")
    areas: Annotated[tuple[str, ...], NoDecode] = Field((), alias="GYM_PLACES_AREAS")
    """Where gyms are looked for: names or SOUTH,WEST,NORTH,EAST, separated by semicolons."""
    places_query: str = Field("salle de sport", alias="GYM_PLACES_QUERY", min_length=1, max_length=256)
    """What is searched in each area."""
    places_requests_per_minute: int = Field(300, alias="GYM_PLACES_RPM", ge=1)
    """Most requests in any 60 seconds, over all processes that share the database. Google's own limit begins at 600."""
    places_requests_per_day: int | None = Field(None, alias="GYM_PLACES_REQUESTS_PER_DAY", ge=0)
    """Most requests on a day (UTC), likewise."""
    places_budget_usd: float | None = Field(None, alias="GYM_PLACES_BUDGET_MONTH_USD", ge=0)
    """Most dollars that requests of a calendar month (UTC) may cost, at list price."""
    places_timeout_seconds: float = Field(20.0, alias="GYM_PLACES_TIMEOUT", gt=0, le=120)
    """Longest wait for one answer of Google Places."""

    @field_validator("sources", mode="before")
    @classmethod
    def _split_commas(cls, value: Any) -> Any:
        return _parts(value, ",")

    @field_validator("openai_base_url")
    @classmethod
    def _is_plain_web_address(cls, value: str | None) -> str | None:
        # It is shown, and part of fingerprints: what is secret has no place in it.
        if value is not None and not (_is_web_url(value) and _holds_no_secret(value)):
            raise ValueError(
                "is not a URL of the form https://host/v1 (or http://), without user, password, query and fragment;"
                " the key goes into OPENAI_API_KEY"
            )
        return value

    @field_validator("areas", mode="before")
    @classmethod
    def _split_semicolons(cls, value: Any) -> Any:
        return _parts(value, ";")

    @field_validator("places_url")
    @classmethod
    def _is_base_url(cls, value: str) -> str:
        if not (_is_web_url(value) and _holds_no_secret(value)):
            raise ValueError("is not a URL that begins with https:// or http://, names a host and no user")
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_web_address(cls, value: SecretStr | None) -> SecretStr | None:
        # What urlsplit says quotes the URL, so nothing of it is passed on.
        if value is not None and not _is_web_url(value.get_secret_value()):
            raise ValueError("is not a URL that begins with https:// or http:// and names a host")
        return value

    @cached_property
    def database(self) -> Database:
        """The database these settings name; nothing is opened before its first use."""
        if self.database_url is not None:
            return Database(self.database_url.get_secret_value())
        return Database(f"sqlite:///{self.home.absolute() / 'gym.db'}", create=True)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The amenities that there are.

        Raises:
            SettingsError: GYM_VOCABULARY cannot be read, or is not of the right form.
        """
        if self.vocabulary_path is None:
            return Vocabulary.default()
        try:
            return Vocabulary.load(self.vocabulary_path)
        except (OSError, ValueError) as error:
            raise SettingsError(f"GYM_VOCABULARY: {error}") from None

    @cached_property
    def place_areas(self) -> tuple[Area, ...]:
        """Where gyms are looked for.

        Raises:
            SettingsError: GYM_PLACES_AREAS holds something that is no area.
        """
        try:
            return tuple(dict.fromkeys(parse_area(text) for text in self.areas))
        except AreaError as error:
            raise SettingsError(f"GYM_PLACES_AREAS: {error}") from None

    def require_places_key(self) -> SecretStr:
        """The key for Google Places.

        Raises:
            SettingsError: there is none.
        """
        if self.places_key is None:
            raise SettingsError("GOOGLE_PLACES_API_KEY is not set; docs/sources.md says how to get one")
        return self.places_key

    @property
    def dagster_home(self) -> Path:
        """Where the Dagster instance lives: below `home`, absolute as Dagster demands."""
        return self.home.absolute() / "dagster"

    def require_llm(self) -> LlmChoice:
        """Who answers the prompts.

        Raises:
            SettingsError: no engine was chosen and there is no key, or the chosen one lacks its key.
        """
        if self.llm is None and self.openai_api_key is None:
            raise SettingsError(
                "no LLM is configured. Either set OPENAI_API_KEY (and OPENAI_BASE_URL for another server that"
                " speaks OpenAI's protocol), or set GYM_LLM=offline for the local rules that need no key"
            )
        choice = self.llm or LlmChoice.OPENAI
        if choice is LlmChoice.OPENAI and self.openai_api_key is None:
            raise SettingsError("GYM_LLM=openai needs OPENAI_API_KEY (any text for a server that checks none)")
        return choice


def _parts(value: Any, separator: str) -> Any:
    """The parts of a text from the environment, without blanks around them; what is no text stays as it is."""
    return tuple(part.strip() for part in value.split(separator) if part.strip()) if isinstance(value, str) else value


def _is_web_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and parts.scheme in {"http", "https"} and text.isprintable() and " " not in text


def _holds_no_secret(url: str) -> bool:
    parts = urlsplit(url)
    return "@" not in parts.netloc and not parts.query and not parts.fragment


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment and `.env`, then `overrides` by variable name (`GYM_HOME=...`).

    Raises:
        SettingsError: a value cannot be used; names the variable, never repeats a secret.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("; ".join(lines)) from None
