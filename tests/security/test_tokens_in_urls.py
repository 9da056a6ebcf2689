"""Octopush does not sign its calls, so a callback's URL is the secret: its query string, user-info or path."""

from dataclasses import replace

import pytest

from provisioner.manifest import yaml_manifest
from provisioner.manifest.writing import as_yaml, with_placeholders
from provisioner.model.account import Attributes, Callbacks
from provisioner.model.plan import FieldChange
from provisioner.model.report import Outcome, Report, Result
from provisioner.render import documents, words
from provisioner.render import report as reports

TOKENS = (
    "https://hooks.slack.com/services/T024BE7LH/B08S3CR3T/xoxSECRETpathTOKEN99",
    "https://discord.com/api/webhooks/123456789012345678/xoxSECRETpathTOKEN99",
    "https://hc-ping.com/550e8400-e29b-41d4-a716-446655440000",
    "https://hooks.zapier.com/hooks/catch/123456/b2x9k4q/",
    "https://user:xoxSECRETpathTOKEN99@hooks.example.com/dlr",
    "https://hooks.example.com/dlr?token=xoxSECRETpathTOKEN99",
    "https://hooks.example.com/dlr#xoxSECRETpathTOKEN99",
)
SECRETS = ("xoxSECRETpathTOKEN99", "B08S3CR3T", "446655440000", "b2x9k4q")


def holds_any(text: str) -> bool:
    return any(secret in text for secret in SECRETS)


def having(url: str) -> Attributes:
    return Attributes("Ada", "Lovelace", callbacks=Callbacks(callback_url_for_visits=url))


@pytest.mark.parametrize("url", TOKENS)
def test_a_token_from_octopush_is_never_written_into_a_manifest_or_the_clear_state(url: str) -> None:
    written, variables = with_placeholders("lyon", having(url))
    assert list(variables) == ["LYON_CALLBACK_URL_FOR_VISITS"]
    assert not holds_any(as_yaml([("lyon", written)]))


@pytest.mark.parametrize("url", TOKENS)
def test_a_token_from_octopush_is_never_shown(url: str) -> None:
    change = FieldChange("callbacks.callback_url_for_visits", None, url, drifted=True)
    outcome = Outcome("lyon", "refresh", Result.DRIFTED, "changed", (change,))
    shown = [
        repr(documents.field(change)),
        words.value(change.path, url),
        repr(documents.reports([Report("default", (outcome,))])),
        "\n".join(line.text for line in reports.text(Report("default", (outcome,)))),
        repr(having(url)),
    ]
    assert [each for each in shown if holds_any(each)] == []


@pytest.mark.parametrize("url", TOKENS)
def test_a_token_in_clear_in_a_manifest_gets_a_warning_that_does_not_repeat_it(url: str) -> None:
    (problem,) = yaml_manifest.read(as_yaml([("lyon", having(url))]).encode(), "m.yaml").problems
    assert problem.hint == "Replace it with ${env:NAME} or ${file:PATH}, and have a new token issued."
    assert not holds_any(f"{problem.message} {problem.path}")
    placed = replace(having(url), callbacks=Callbacks(callback_url_for_visits="https://hooks.example.com/${env:HOOK}"))
    assert yaml_manifest.read(as_yaml([("lyon", placed)]).encode(), "m.yaml").problems == ()
