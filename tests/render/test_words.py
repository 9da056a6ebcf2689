"""The words that the formats share; no format forgets a kind of change."""

from __future__ import annotations

from typing import Final

import pytest

from provisioner.model.account import Attributes
from provisioner.model.exchange import Balance, Failed
from provisioner.model.plan import (
    Change,
    Create,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
    counts,
)
from provisioner.model.report import Outcome, Report, Result
from provisioner.model.state import Active, Drift, Edit, Operation, Record, Unknown
from provisioner.model.verdict import Then
from provisioner.render import documents, html, markdown, report, text, words
from provisioner.render.words import CodeText, Label, Name
from tests.render.samples import counts as slots
from tests.render.samples import desired

LEO: Final = Attributes("Leonardo", "Da Vinci")
OPERATION: Final = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")
DRIFT: Final = Drift(("first_name",), ("last_name",))
BEGUN: Final = Edit(LEO, Operation("op-2", "2026-01-05T00:00:00Z", "ada@host"), 2)
EVERY: Final[tuple[Change, ...]] = (
    Create(desired("a", LEO)),
    Create(desired("b", LEO)),
    Update(desired("c", LEO), ()),
    Unchanged("d", LEO),
    Unchanged("e", LEO, DRIFT),
    Unchanged("f", LEO, unchecked="HTTP 500"),
    Unmanaged("g", LEO),
    Gone("h", LEO),
    StillUnknown("i", LEO, "no answer"),
    StillAbandoned("j", LEO, "given up"),
)


def plan(*changes: Change, over: tuple[str, ...] = ()) -> Plan:
    return Plan("p", "l", 1, slots(), changes, over)


def test_every_format_counts_every_action() -> None:
    every = plan(*EVERY)
    said = "Plan: 2 to create, 1 to update, 2 unchanged, 1 unmanaged, 1 gone, 1 unknown, 1 abandoned, 1 unchecked."
    assert said == words.summary([every])
    assert said == text.plan(every)[-1].text
    assert said in markdown.plans([every], "d")
    assert 3 == html.page([every, plan()], "d").count(said[6:-1]) + 1, "in the navigation and in its section"
    summary = documents.plans([every])["plans"][0]["summary"]
    assert {"create": 2, "update": 1, "unchanged": 3, "unmanaged": 1, "unknown": 1} == summary
    assert summary.items() <= counts([every]).items()


def test_every_format_shows_every_kind_of_change_that_is_worth_it() -> None:
    every = plan(*EVERY, over=("b",))
    shown = [(label.word, change.name) for label, change in words.shown(every)]
    assert [
        ("create", "a"),
        ("no slot", "b"),
        ("update", "c"),
        ("drift", "e"),
        ("unchecked", "f"),
        ("unmanaged", "g"),
        ("gone", "h"),
        ("unknown", "i"),
        ("abandoned", "j"),
    ] == shown
    assert {label.word for label in Label} == {word for word, _ in shown}
    for said in ("\n".join(line.text for line in text.plan(every)), markdown.plans([every], "d")):
        assert all(f"{word:<9}  {name}" in said for word, name in shown)
    page = html.page([every], "d")
    assert all(f'</b> {word}</span></td>\n<th scope="row" class="name">{name}<' in page for word, name in shown)


def test_plans_are_summed_up_together() -> None:
    assert "Nothing to do: the manifests list no account." == words.summary([plan()]) == words.summary([])
    assert "Nothing to do: 1 unchanged." == words.summary([plan(Unchanged("a", LEO))])
    refused = plan(Unchanged("a", LEO, unchecked="401"), Unchanged("b", LEO, unchecked="not checked, because 401"))
    assert "Nothing known to do: 2 unchecked." == words.summary([refused])
    said = [each.unchecked for _, each in words.shown(refused) if isinstance(each, Unchanged)]
    assert ["401", "not checked, for the same reason"] == said
    both = [plan(Unchanged("a", LEO)), plan(Update(desired("a", LEO), ()), Gone("b", LEO))]
    assert "Plan: 1 to update, 1 unchanged, 1 gone." == words.summary(both)


def test_an_unchecked_account_is_shown_with_what_is_known() -> None:
    change = Unchanged("a", LEO, DRIFT, unchecked="HTTP 500")
    assert ("HTTP 500; Octopush altered first_name; somebody changed last_name",) == words.explanation(change)


def test_names_are_listed_up_to_a_number_of_them() -> None:
    assert () == words.listed([], 2)
    assert ("a", ", ", "b") == words.listed(["a", "b"], 2)
    assert ("a", ", ", "b", " and 1 more") == words.listed(["a", "b", "c"], 2)
    assert [Name, str, Name] == [type(each) for each in words.listed(["a", "b"], 2)]


def test_what_a_person_would_type_is_marked_in_a_sentence() -> None:
    assert [CodeText("provisioner forget a")] == [
        each for each in words.explanation(Gone("a", LEO)) if isinstance(each, CodeText)
    ]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Active(LEO, OPERATION, "T", "s"), None),
        (
            Active(LEO, OPERATION, "T", "s", edit=BEGUN),
            "an edit was started at 2026-01-05T00:00:00Z and is not known to be finished",
        ),
        (Active(LEO, OPERATION, "T", "s", drift=Drift(gone=True)), "Octopush no longer knows its login"),
        (
            Active(LEO, OPERATION, "T", "s", drift=DRIFT),
            "Octopush altered first_name; somebody changed last_name",
        ),
        (Unknown(LEO, OPERATION, "lost"), "lost"),
    ],
)
def test_why_an_account_is_not_simply_active(record: Record, why: str | None) -> None:
    assert why == words.reason(record)


def test_why_a_balance_is_not_known_is_said_with_the_rest() -> None:
    failed = Failed("HTTP 500", Then.GO_ON)
    assert "lost; its balance could not be read: HTTP 500" == words.reason(Unknown(LEO, OPERATION, "lost"), failed)
    assert words.reason(Active(LEO, OPERATION, "T", "s"), Balance(1.0, "euros")) is None


@pytest.mark.parametrize(
    ("path", "before", "after", "said"),
    [
        ("first_name", "Ka\u0308the", "K\u00e4the", "only the Unicode form differs"),
        ("last_name", "\u212bngstrom", "\u00c5ngstrom", "only the Unicode form differs"),
        ("company_name", "\u1112\u1161\u11ab", "\ud55c", "only the Unicode form differs"),
        (
            "company_name",
            "Acme",
            "\u0410cme",
            "U+0041 LATIN CAPITAL LETTER A becomes U+0410 CYRILLIC CAPITAL LETTER A",
        ),
        (
            "callbacks.callback_url_for_visits",
            "https://h.example/?a",
            "https://h.example/?b",
            "the masked part differs",
        ),
        ("first_name", "\u0639\u200c\u0644", "\u0639\\u200c\u0644", "in one of them, the escape is plain text"),
        ("first_name", "Kathe", "K\u00e4the", ""),
        ("first_name", "Ka\u0308the", "K\u00e4thi", ""),
        ("company_name", "Site 1", "Site A", ""),
        ("company_name", "Acme", None, ""),
        ("company_name", None, "Acme", ""),
        ("password_version", "1", "1", ""),
    ],
)
def test_how_two_values_differ_that_look_the_same(path: str, before: str | None, after: str | None, said: str) -> None:
    assert said == words.remark(FieldChange(path, before, after))


@pytest.mark.parametrize("drifted", [False, True])
def test_every_format_says_that_only_the_form_differs(drifted: bool) -> None:  # noqa: FBT001
    change = FieldChange("first_name", "Ka\u0308the", "K\u00e4the", drifted)
    this = plan(Update(desired("a", LEO), (change,)))
    said = "only the Unicode form differs"
    for shown in (
        "\n".join(line.text for line in text.plan(this)),
        markdown.plans([this], "d"),
        html.page([this], "d"),
    ):
        assert f"{said})" in shown
    assert said == documents.field(change)["remark"]
    found = report.text(Report("p", (Outcome("a", "refresh", Result.DRIFTED, None, (change,)),)))
    assert any(f"({said})" in line.text for line in found)


@pytest.mark.parametrize("since", ["2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z"])
def test_a_time_that_no_calendar_has_is_shown_as_it_is(since: str) -> None:
    assert words.ago(since, words.PUBLISHED) == since
