"""The page about all parents: what it shows first, that no value in it is markup, and how a browser takes it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from provisioner.errors import Advice, ExitCode, Remedy, StateLocked
from provisioner.model.report import Outcome, Report, Result, Stop
from provisioner.model.state import State
from provisioner.model.status import ParentStatus
from provisioner.model.terms import Freeze
from provisioner.render import markdown, overview, status_html, status_markdown, text
from provisioner.render.overview import Overview, RunEnd, Trouble
from tests.render import browser
from tests.render import test_html as pages
from tests.render import test_markdown as texts
from tests.render.samples import HOSTILE, NOW, anything, done, done_with_texts, statuses, statuses_with_texts


def seen(count: int, ended: RunEnd | None = None) -> Overview:
    return overview.overview(statuses(count), NOW, done=done(count), ended=ended, last_success="2026-02-27T03:17:40Z")


# ── What it shows ────────────────────────────────────────────────────────────


def test_trouble_comes_first_gravest_and_oldest_first() -> None:
    this = seen(60)
    assert ["parent-00", "parent-03", "parent-01", "parent-02", "parent-04"] == [
        each.parent for each in this.parents[:5]
    ]
    order = list(Trouble)
    assert sorted(order.index(each.trouble) for each in this.findings) == [
        order.index(each.trouble) for each in this.findings
    ]
    found = Counter(each.trouble for each in this.findings)
    assert set(Trouble) == set(found), "the samples have every kind"
    assert (
        "60 parents (1 not readable): 351 accounts, 755 slots left. 1 unknown, 1 pending, 1 failed, 2 gone,"
        " 1 over the limit, 2 unfinished, 2 drift, 2 expiring, 2 unchecked."
    ) == overview.summary(this)
    assert "6 accounts, 14 slots left." in overview.summary(seen(1))
    assert "Accounts and slots are not known. 1 failed." == overview.summary(overview.overview(statuses(4)[3:], NOW))
    frozen = ParentStatus("p", "p.json", None, 5, 1, Freeze("2026-12-31", "the contract | moves"))
    alone = overview.overview([frozen], NOW)
    assert "0 accounts, 4 slots left. Nothing needs attention." == overview.summary(alone)
    assert "| `p` | 0 of 5 slots used, 1 reserved, 4 left | 0 accounts; frozen until 2026-12-31 |" in (
        status_markdown.page(alone)
    )


def test_an_unknown_has_its_names_its_age_and_the_next_command() -> None:
    (alone,) = [each for each in seen(1).findings if each.trouble is Trouble.UNKNOWN]
    (among,) = [each for each in seen(2).findings if each.trouble is Trouble.UNKNOWN]
    assert ("berlin", "Kollwitz") == (alone.account, alone.attributes and alone.attributes.last_name)
    why = "no answer within 30 s, after the request was sent (since 2026-02-25 03:17 UTC, 4 days ago)"
    assert why == overview.why(alone, NOW)
    assert "`provisioner adopt berlin LOGIN` takes it over" in text.plain(alone.todo)
    for command in ("adopt berlin LOGIN", "resolve berlin --not-created"):
        assert f"`provisioner {command} --parent parent-00`" in text.plain(among.todo)


def test_a_run_that_ended_adds_what_the_states_do_not_say() -> None:
    stop = Stop(ExitCode.SETTING_INVALID, "the API did not accept the credentials", "Check `ACME_KEY`.")
    gone = Advice(Remedy.REFRESH, "paris")
    reports = (
        Report("parent-04", (Outcome("lyon", "create", Result.FAILED, "refused: HTTP 400"),), stop),
        Report("parent-05", (), failure=StateLocked("The state is locked.", hint="Wait.")),
        Report("parent-00", (Outcome("paris", "update", Result.FAILED, "Octopush does not know it", advice=gone),)),
    )
    this = seen(6, RunEnd(ExitCode.OUTCOME_UNKNOWN, None, reports))
    failed = [(e.parent, e.account, e.what, text.plain(e.todo)) for e in this.findings if e.trouble is Trouble.FAILED]
    assert [
        ("parent-03", None, "state/parent-03.json is not JSON (line 7).\nIt may be cut.", "Bring back a backup."),
        ("parent-04", None, stop.reason, "Check `ACME_KEY`."),
        ("parent-04", "lyon", "create: refused: HTTP 400", ""),
        ("parent-05", None, "The state is locked.", "Wait."),
    ] == failed, "an account that the state shows as gone is not shown twice"
    assert "The run ended with exit code 8: at least one outcome is unknown." in overview.times(this)


def test_the_last_operations_are_the_newest_of_all_parents() -> None:
    this = seen(60)
    assert 20 == len(this.operations)
    assert sorted((entry.author.at for _, entry in this.operations), reverse=True) == [
        entry.author.at for _, entry in this.operations
    ]
    page = pages.Parsed(status_html.page(seen(2))).said
    assert "2026-03-01 03:17 UTC, 42 minutes ago parent-00 rekey: rekeyed, by ci@runner-7" in page
    assert (
        "2026-02-01 03:17 UTC, 28 days ago berlin of parent-00"
        " create: unknown, by ada (ci@runner-7), approved by bob, https://ci.example/runs/7"
    ) in page


@pytest.mark.parametrize(
    ("ago", "said"),
    [(0, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (86_400 * 3, "3 days ago"), (-9, "just now")],
)
def test_an_age_is_in_the_largest_unit(ago: int, said: str) -> None:
    stamp = (NOW - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert overview.when(stamp, NOW).endswith(f" UTC, {said}")
    for odd in ("yesterday", "", "2026-01-01", "2026-01-01T00:00:00"):
        assert odd == overview.when(odd, NOW)


def test_only_packs_that_end_soon_are_shown_and_balances_are_summed() -> None:
    this = seen(3)
    whats = [each.what for each in this.findings if each.trouble is Trouble.EXPIRING]
    assert ["7.50 euros of its credit expire on 2026-03-10"] * 2 == whats
    page = pages.Parsed(status_html.page(this)).said
    assert "parent-00: 20.00 euros in 1 account" in page
    assert "20.00 euros; 7.50 euros expire on 2026-03-10" in page


# ── No value is markup, and nothing is loaded ────────────────────────────────


@settings(max_examples=30)
@given(st.lists(anything, min_size=1, max_size=12))
@example(list(HOSTILE))
def test_whatever_the_texts_the_elements_are_those_of_harmless_ones(these: list[str]) -> None:
    these = [each or "x" for each in these]

    def shape(used: list[str]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        this = overview.overview(statuses_with_texts(used), NOW, done=done_with_texts(used))
        rendered = MarkdownIt("commonmark", {"html": True}).enable(["table"]).render(status_markdown.page(this))
        page = pages.Parsed(status_html.page(this))
        return page.shape, texts.Parsed(rendered).shape

    assert shape([f"t{these.index(each)}" for each in these]) == shape(these)


def test_no_page_holds_a_callback_or_what_is_sealed() -> None:
    texts_of = {"callback": "callback-secret", "sealed": "sealed-secret"}
    (status, *_) = statuses(1)
    assert status.state is not None
    accounts = {
        name: replace(record, attributes=replace(record.attributes, callbacks=replace(
            record.attributes.callbacks, callback_url_for_visits=f"https://h.example/?t={texts_of['callback']}")),
            sealed=texts_of["sealed"])
        for name, record in status.state.accounts.items()
    }  # fmt: skip
    this = overview.overview([replace(status, state=State("l", status.parent, 7, accounts=accounts))], NOW)
    for page in (status_html.page(this), status_markdown.page(this)):
        assert not any(each in page for each in texts_of.values())


def test_the_markdown_of_many_parents_fits_into_a_comment_and_says_what_is_missing() -> None:
    many = [replace(each, parent=f"p{number}") for number in range(400) for each in statuses(1)]
    page = status_markdown.page(overview.overview(many, NOW))
    assert len(page) <= markdown.LONGEST
    assert re.search(r"\d+ did not fit here: see `provisioner status --format html` for all of them", page)
    assert "350 more parents did not fit here." in page
    assert "\n      provisioner adopt berlin LOGIN --parent p0\n    takes it over; if not,\n" in page


# ── In a real browser ────────────────────────────────────────────────────────


def test_a_browser_shows_filters_and_prints_it(tmp_path: Path) -> None:
    path = browser.find()
    if path is None:
        pytest.skip(browser.MISSING)
    file = tmp_path / "page.html"
    hostile = overview.overview([*statuses(60), *statuses_with_texts(list(HOSTILE))], NOW, done=done(60))
    file.write_text(status_html.page(hostile), encoding="utf-8")
    shown = "[...document.querySelectorAll('tr[data-action]')].filter((row) => row.checkVisibility()).length"
    with browser.running(path) as chromium:
        with chromium.page() as page:
            page.open(file)
            assert ("Sub-accounts of 62 parents", [file.as_uri()]) == (page.value("document.title"), page.requested())
            assert [] == page.complaints()
            everything = page.value(shown)
            page.value("document.querySelector('input[type=search]').focus()")
            pages.typed(page, "parent-00")
            assert 0 < page.value(shown) < everything / 3
            assert page.value("document.querySelector('[role=status]').textContent").startswith(
                f"{page.value(shown)} of "
            )
            page.call("Emulation.setEmulatedMedia", media="print")
            assert everything == page.value(shown), "paper has all of it"
        with chromium.page(scripts=False, width=360, height=740) as page:
            page.open(file)
            assert everything == page.value(shown)
            assert page.value("document.documentElement.scrollWidth") <= 360
