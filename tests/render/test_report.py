from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from provisioner.errors import ExitCode, StateLocked
from provisioner.model.account import Attributes
from provisioner.model.plan import FieldChange
from provisioner.model.report import Attempt, Outcome, Report, Result, Stop
from provisioner.render import report
from provisioner.render.lines import BAD, CHANGED, GOOD, QUIET, Line
from provisioner.render.words import View

ADA = Attributes("Ada", "King", "Engines")
HOOK = "callbacks.callback_url_for_visits"
FIELDS = (
    FieldChange("first_name", "Leo\x1b", "Leonardo"),
    FieldChange("company_name", None, "X"),
    FieldChange(HOOK, "https://u:pw@h.example/x?token=t1", "https://u:pw@h.example/x?token=t2"),
)


def rendered(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_report_shows_what_happened_and_groups_what_did_not() -> None:
    this = Report(
        "default",
        (
            Outcome("a", "create", Result.CREATED),
            Outcome("b", "unchanged", Result.UNCHANGED),
            Outcome("c", "create", Result.FAILED, "refused"),
            Outcome("d", "create", Result.UNKNOWN, "no answer", attempt=Attempt(ADA, "2026-01-05T00:00:00Z")),
            Outcome("e", "create", Result.NOT_ATTEMPTED, "it stopped"),
            Outcome("f", "create", Result.NOT_ATTEMPTED, "it stopped"),
        ),
        Stop(ExitCode.OUTCOME_UNKNOWN, "the outcome of d is unknown", "Look."),
    )
    assert """\
default:
  created        a
  failed         c  refused
  unknown        d  no answer
  not attempted  e, f  it stopped
Done: 1 created, 1 unchanged, 1 failed, 1 unknown, 2 not attempted.
Stopped: the outcome of d is unknown.
  Look.
Unknown: d. It may or may not exist, and is not retried automatically.
  Look in Octopush's dashboard for:
    UNKNOWN  FIRST NAME  LAST NAME  COMPANY NAME  SENT
    d        Ada         King       Engines       5 minutes ago (2026-01-05T00:00:00Z)
  Then, for each:
    provisioner resolve NAME --not-created   it does not exist: its slot is free again
    provisioner adopt NAME LOGIN             it exists: the dashboard shows its login
    provisioner resolve NAME --abandon       nobody can find out: it keeps its slot""" == rendered(
        report.text(this, View(now=datetime(2026, 1, 5, 0, 5, 59, tzinfo=UTC)))
    )


def test_a_report_of_nothing() -> None:
    assert "p:\nDone: no account." == rendered(report.text(Report("p", ())))


def test_the_value_at_octopush_is_shown_under_its_account() -> None:
    this = Report(
        "p",
        (
            Outcome("a", "update", Result.UPDATED, "look", FIELDS),
            Outcome("b", "verify", Result.VERIFIED),
            Outcome("c", "unchanged", Result.UNCHANGED),
        ),
    )
    assert f"""\
p:
  updated        a  look
      first_name: sent "Leo\\x1b", found "Leonardo"
      company_name: sent (none), found "X"
      {HOOK}: sent "https://***@h.example/x?***", found "https://***@h.example/x?***" (the masked part differs)
Done: 1 updated, 1 unchanged, 1 verified.""" == rendered(report.text(this))


def test_what_is_not_attempted_is_shown_once_per_reason() -> None:
    outcomes = [
        Outcome(name, "update", Result.NOT_ATTEMPTED, reason) for name, reason in zip("abc", "xyx", strict=True)
    ]
    said = rendered(report.text(Report("p", tuple(outcomes))))
    assert ["  not attempted  a, c  x", "  not attempted  b  y"] == said.splitlines()[1:3]


def test_what_was_sealed_again_or_got_a_password_is_not_called_updated() -> None:
    sealed = Report("p", (Outcome("a", "rekey", Result.UPDATED), Outcome("b", "rekey", Result.UNCHANGED)))
    assert ["p:", "  sealed again   a", "Done: 1 sealed again, 1 unchanged."] == rendered(report.text(sealed)).split(
        "\n"
    )
    renewed = Report("p", (Outcome("a", "update", Result.UPDATED, only_password=True),))
    assert ["p:", "  password set   a", "Done: 1 password set."] == rendered(report.text(renewed)).split("\n")
    assert "Done: 2 passwords set." in rendered(report.text(replace(renewed, outcomes=renewed.outcomes * 2)))
    waiting = Report("p", (Outcome("a", "create", Result.NOT_ATTEMPTED),))
    assert "Nothing done: 1 not attempted." in rendered(report.text(waiting))


def test_a_stop_without_a_hint() -> None:
    said = rendered(report.text(Report("p", (), Stop(ExitCode.FAILURE, "no\nmore"))))
    assert "p:\nDone: no account.\nStopped: no\\nmore." == said


@pytest.mark.parametrize("result", Result)
def test_every_result_has_words_and_a_style(result: Result) -> None:
    line = report.outcome(Outcome("a\x1b", "any", result, "b\nc"))
    assert f"{result.value.replace('_', ' '):<13}  a\\x1b  b\\nc" == line.text
    good = {Result.CREATED, Result.UPDATED, Result.ADOPTED, Result.FORGOTTEN, Result.VERIFIED}
    bad = {Result.FAILED, Result.UNKNOWN, Result.GONE}
    changed = {Result.NOT_ATTEMPTED, Result.DRIFTED, Result.UNCHECKED}
    expected = {GOOD: good, BAD: bad, CHANGED: changed, QUIET: {Result.UNCHANGED}}
    assert [style for style, results in expected.items() if result in results] == [line.style]


def test_a_parent_for_which_nothing_could_be_done_says_why_and_what_to_do() -> None:
    failure = StateLocked("It is held.\nSince \x1bnoon.", hint="Wait,\nor ask.")
    assert """\
acme:
Failed: It is held.
  Since \\x1bnoon.
  Wait,
  or ask.""" == rendered(report.text(Report("acme", (), failure=failure)))
    said = rendered(report.text(Report("acme", (Outcome("a", "create", Result.CREATED),), failure=failure)))
    assert "Done: 1 created.\nFailed: It is held.\n" in said


def test_why_commands_ended_names_the_parent_where_there_are_several() -> None:
    stopped = Report("default", (), Stop(ExitCode.REFUSED, "no slot", "Look."))
    failed = Report("acme", (), failure=StateLocked("held"))
    assert "Stopped: no slot.\n  Look." == rendered(report.endings([stopped]))
    assert """\
default:
Stopped: no slot.
  Look.
acme:
Failed: held""" == rendered(report.endings([stopped, Report("done", ()), failed]))


def test_what_ends_an_unknown_outcome_names_its_parent() -> None:
    this = Report("acme", (Outcome("d", "create", Result.UNKNOWN, "no answer"),))
    said = rendered(report.text(this))
    for command in ("resolve NAME --not-created", "adopt NAME LOGIN", "resolve NAME --abandon"):
        assert f"provisioner {command} --parent acme " in said
