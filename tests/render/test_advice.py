"""The remedies for an account are given as commands, the same in every format."""

from __future__ import annotations

import pytest

from provisioner.errors import Advice, ExitCode, ProvisionerError, Remedy, StateConflict
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.render import advice, documents, report

DECIDE = (
    "look for it in the parent's dashboard, by its first and last name: if it exists, `provisioner adopt paris LOGIN`"
    " takes it over; if not, `provisioner resolve paris --not-created` frees its slot"
)
TOLD = {
    Remedy.LIST: "`provisioner status` lists all accounts",
    Remedy.FORGET: "`provisioner forget paris` frees its slot",
    Remedy.FORGET_FIRST: "if the paris in the state was deleted, run `provisioner forget paris` first",
    Remedy.FORCE: "with --force it is forgotten anyway, and if it still exists, it uses a slot that is not counted"
    " here",
    Remedy.REFRESH_OR_FORCE: "to keep it, run `provisioner refresh`, which records that it exists; with --force it"
    " is forgotten anyway, and if it still exists, it uses a slot that is not counted here",
    Remedy.REFRESH: "`provisioner refresh` looks for the account again",
    Remedy.ADOPT_KEY: "if Octopush changed it, `provisioner adopt paris LOGIN` takes it over",
    Remedy.RESOLVE: "`provisioner resolve` is for unknown outcomes, and `provisioner adopt` for existing accounts",
    Remedy.APPLY_FIRST: "run `provisioner apply` first: it finishes or undoes that",
    Remedy.SET_AGAIN: "once no other run is at work, `provisioner rotate-password paris` sets one that is certain",
    Remedy.ROTATE: "`provisioner credentials show paris` shows every one that may be right, and `provisioner"
    " rotate-password paris` finishes it",
    Remedy.APPLY: "`provisioner credentials show paris` shows every one that may be right, and the next apply"
    " finishes it",
    Remedy.FREE_OR_ADOPT: "if you are sure that it does not exist, `provisioner forget paris --force` frees its slot;"
    " if it does, `provisioner adopt paris LOGIN` takes it over",
    Remedy.DECIDE: DECIDE,
    Remedy.WAIT_OR_DECIDE: f"wait for the run that is still at work; if there is none, {DECIDE}",
    Remedy.FINISH: "`provisioner apply` finishes it, with an identity",
    Remedy.CHANGE_BACK: "`provisioner apply --refresh` changes it back; to keep it, write it into the manifest",
}
FORCE = Advice(Remedy.FORCE, "paris")
SENTENCE = f"W{TOLD[Remedy.FORCE][1:]}."


@pytest.mark.parametrize("remedy", Remedy)
def test_every_remedy_has_its_words(remedy: Remedy) -> None:
    assert TOLD[remedy] == advice.clause(Advice(remedy, "paris"))


def test_a_name_is_repeated_as_it_is() -> None:
    assert "`provisioner forget {name} {0}` frees its slot" == advice.clause(Advice(Remedy.FORGET, "{name} {0}"))


@pytest.mark.parametrize(
    ("hint", "given", "told"),
    [
        ("", None, ""),
        ("Look.", None, "Look."),
        ("", FORCE, SENTENCE),
        ("Look.", FORCE, f"Look. {SENTENCE}"),
        ("", Advice(Remedy.LIST, "paris"), "`provisioner status` lists all accounts."),
    ],
)
def test_the_hint_of_what_ended_a_command_comes_first(hint: str, given: Advice | None, told: str) -> None:
    error = StateConflict("It is there.", hint=hint, advice=given)
    assert told == advice.hint(error)
    assert told == documents.error(error)["error"]["hint"]
    stop = Stop.of(error)
    assert told == advice.hint(stop)
    assert ([f"  {told}"] if told else []) == [line.text for line in report.endings([Report("p", (), stop)])[1:]]


def test_an_error_has_no_advice_unless_it_is_given() -> None:
    assert ProvisionerError("No.").advice is None
    assert Stop(ExitCode.FAILURE, "no").advice is None


def test_an_outcome_shows_its_reason_first_in_text_and_json() -> None:
    gone = [
        Outcome(name, "gone", Result.NOT_ATTEMPTED, "it is gone", advice=Advice(Remedy.FORGET, name))
        for name in ("paris", "rome")
    ]
    bare = Outcome("oslo", "gone", Result.NOT_ATTEMPTED, advice=Advice(Remedy.FORGET, "oslo"))
    outcomes = (*gone, bare, Outcome("lima", "unchanged", Result.UNCHANGED))
    this = Report("p", outcomes)
    told = [
        "it is gone; `provisioner forget paris` frees its slot",
        "it is gone; `provisioner forget rome` frees its slot",
        "`provisioner forget oslo` frees its slot",
    ]
    (document,) = documents.reports([this])["reports"]
    assert [*told, None] == [each["reason"] for each in document["outcomes"]]
    assert [f"  not attempted  {each.name}  {words}" for each, words in zip(outcomes, told, strict=False)] == [
        line.text for line in report.text(this)[1:4]
    ]
