"""Who answers: resolves the settings to a server that speaks OpenAI's protocol.

The offline engine is such a server too, started here on a free loopback port; nobody behind this module
can tell the difference.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from gym_enrichment.settings import LlmChoice, LlmProtocol, Settings

OFFLINE_MODEL = "offline-extractive"
OPENAI = "openai"
"""The identity of OpenAI's own server."""


@dataclass(frozen=True)
class Endpoint:
    """A server and a model.

    Args:
        identity: names the server, and how it is spoken to, in fingerprints; stays the same when only the port of
            the offline engine changes.
        base_url: None for OpenAI itself.
        api_key: sent as a bearer token.
        model: the model's name there.
        protocol: how it is told the form of answers.
    """

    identity: str
    base_url: str | None
    api_key: SecretStr
    model: str
    protocol: LlmProtocol = LlmProtocol.FULL

    def hints(self, prompt: str) -> dict[str, str]:
        """What this server may be told about requests that begin alike, `prompt` being what they begin with.

        Only OpenAI itself is told: other servers may refuse parameters that they do not know.
        """
        return {"prompt_cache_key": prompt} if self.identity == OPENAI else {}


def describe_endpoint(settings: Settings) -> Endpoint:
    """The endpoint without starting anything: enough for fingerprints. Raises SettingsError if there is none."""
    if settings.require_llm() is LlmChoice.OFFLINE:
        return Endpoint("offline", None, SecretStr("offline"), OFFLINE_MODEL)
    assert settings.openai_api_key is not None
    identity = (settings.openai_base_url or OPENAI).rstrip("/")
    # What else changes the answers' form must change the set-up of stored rows too.
    named = identity if settings.protocol is LlmProtocol.FULL else f"{identity} {settings.protocol}"
    return Endpoint(named, settings.openai_base_url, settings.openai_api_key, settings.model, settings.protocol)


@contextmanager
def open_endpoint(settings: Settings) -> Iterator[Endpoint]:
    """An endpoint that answers until the context ends.

    Raises:
        SettingsError: no engine chosen, or no key.
    """
    endpoint = describe_endpoint(settings)
    if settings.require_llm() is not LlmChoice.OFFLINE:
        yield endpoint
        return
    from gym_enrichment.llm.offline.server import OfflineServer  # not needed where a real model answers

    with OfflineServer() as server:
        yield Endpoint(endpoint.identity, server.base_url, endpoint.api_key, endpoint.model)
