"""The domain's own rules: what shows, what does not, the arithmetic of slots, and the strongest exit code."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import itertools
import pkgutil
from datetime import UTC, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner import model
from provisioner.errors import GRAVITY, Advice, ExitCode, Remedy, StateConflict, StateLocked, StateNotSaved
from provisioner.model.account import (
    CALLBACK_NAMES,
    FIELDS,
    Attributes,
    Callbacks,
    Credentials,
    DesiredAccount,
    Manifest,
    Origin,
    Problem,
    Secret,
    fits,
    masked_url,
    shown_value,
)
from provisioner.model.codes import CODES
from provisioner.model.exchange import (
    Balance,
    Edited,
    EditRequest,
    Failed,
    Missing,
    Observed,
    Pack,
    differing,
    unreported,
)
from provisioner.model.history import Author, HistoryEntry
from provisioner.model.plan import (
    ACTIONS,
    Change,
    Create,
    Elsewhere,
    FieldChange,
    Gone,
    Plan,
    Selection,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
    counts,
)
from provisioner.model.report import Attempt, Outcome, Report, Result, Scope, Stop, exit_code
from provisioner.model.revision import Revision
from provisioner.model.shard import Shard
from provisioner.model.state import Abandoned, Active, Drift, Edit, Operation, Pending, Record, Slots, State, Unknown
from provisioner.model.status import ParentStatus
from provisioner.model.terms import Freeze, Setting, Terms
from provisioner.model.url import may_hold_secret, token_in_clear
from provisioner.model.verdict import Answer, Created, CreateRequest, NotCreated, OutcomeUnknown, SealedContent, Then

SECRET = "s3cret"
UUID = "550e8400-e29b-41d4-a716-446655440000"
URL = f"https://user:{SECRET}@hooks.example.com/dlr?t={SECRET}#{SECRET}"
MASKED_URL = "https://***@hooks.example.com/dlr?***#***"
CALLBACKS = Callbacks(callback_url_for_deliveries=URL, email_for_inbounds="sms@example.com")
ATTRIBUTES = Attributes("Leonardo", "Da Vinci", "Italy", CALLBACKS)
OPERATION = Operation("1f0c", "2026-01-01T00:00:00Z", "me@here")
BEGUN = Edit(ATTRIBUTES, OPERATION, 1)
ACCOUNT = DesiredAccount("paris", ATTRIBUTES, Secret(SECRET), Origin("accounts.yaml", 1))
CREDENTIALS = Credentials("abc_1f2@sub-accounts.com", Secret(SECRET))
ANSWER = Answer(201, SECRET.encode())
FIELD = FieldChange("callbacks.callback_url_for_deliveries", URL, f"{URL}2")
SLOTS = Slots(limit=20, reserved=0, used=0, unknown=0, planned=0)
OUTCOME = Outcome("paris", "create", Result.CREATED)
STOP = Stop(ExitCode.REFUSED, "there is no slot left")
PACK = Pack(12.5, datetime(2030, 10, 23, tzinfo=UTC))
AUTHOR = Author("2026-01-02T03:04:05Z", "ada@laptop")
SETTING = Setting("proxy", "http://***@proxy.example.com:3128")
EVERY_KIND: tuple[object, ...] = (
    Secret(SECRET),
    CALLBACKS,
    ATTRIBUTES,
    Origin("accounts.yaml"),
    ACCOUNT,
    Manifest("default", (ACCOUNT,)),
    Problem(Origin("accounts.yaml"), "accounts[0]", "It is wrong.", "Correct it."),
    OPERATION,
    Pending(ATTRIBUTES, OPERATION),
    Active(ATTRIBUTES, OPERATION, "2026-01-01T00:00:00Z", "sealed"),
    Drift(("first_name",), ("last_name",), gone=True),
    Edit(ATTRIBUTES, OPERATION, 2, "sealed"),
    Unknown(ATTRIBUTES, OPERATION, "lost"),
    Abandoned(ATTRIBUTES, OPERATION, "lost"),
    SLOTS,
    State("lineage", "default", accounts={"paris": Pending(ATTRIBUTES, OPERATION)}),
    CREDENTIALS,
    ANSWER,
    SealedContent(
        "lineage", "default", "paris", "1f0c", Secret(SECRET), CREDENTIALS, ANSWER, ATTRIBUTES, {"x": SECRET}
    ),
    FIELD,
    Create(ACCOUNT),
    Update(ACCOUNT, (FIELD,)),
    Unchanged("paris", ATTRIBUTES),
    Unmanaged("paris", ATTRIBUTES),
    Gone("paris", ATTRIBUTES),
    StillUnknown("paris", ATTRIBUTES, "lost"),
    StillAbandoned("paris", ATTRIBUTES, "lost"),
    Plan("default", None, 0, SLOTS, (Create(ACCOUNT), Update(ACCOUNT, (FIELD,)))),
    CreateRequest(ATTRIBUTES, Secret(SECRET), hidden=(SECRET,)),
    Created(CREDENTIALS),
    NotCreated("refused", Then.GO_ON),
    OutcomeUnknown("cut", ANSWER),
    EditRequest(ATTRIBUTES, Secret(SECRET), hidden=(SECRET,)),
    Observed({"callbacks.callback_url_for_deliveries": URL}, Secret(SECRET)),
    Edited(),
    Missing("not known"),
    Failed("refused", Then.GO_ON),
    PACK,
    Balance(12.5, "euros", (PACK,)),
    ParentStatus("default", "state/default.json", None, 20, 0),
    OUTCOME,
    Attempt(ATTRIBUTES, "2026-01-01T00:00:00Z"),
    Advice(Remedy.FORGET, "paris"),
    CODES[210],
    STOP,
    Report("default", (OUTCOME,), STOP),
    Revision(2, "lineage", "2026-01-02T03:04:05Z", "paris: active", "ada@laptop"),
    Shard(1, 3),
    SETTING,
    AUTHOR,
    HistoryEntry(AUTHOR, 3, "paris", "create", "created"),
    Selection(("paris",), 3, 1),
    Elsewhere("acme", "paris"),
    Freeze("2026-12-31", "the contract moves"),
    Terms("https://api.example.com", "${env:LOGIN}", "${env:KEY}", "state/default.json", settings=(SETTING,)),
)


# ── Secrets ──────────────────────────────────────────────────────────────────


def test_the_table_of_kinds_is_complete() -> None:
    modules = [
        importlib.import_module(each.name) for each in pkgutil.iter_modules(model.__path__, f"{model.__name__}.")
    ]
    members = [member for module in modules for member in vars(module).values()]
    kinds = {each for each in members if isinstance(each, type) and dataclasses.is_dataclass(each)}
    assert {type(each) for each in EVERY_KIND} == kinds


@pytest.mark.parametrize("this", EVERY_KIND, ids=lambda this: type(this).__name__)
def test_no_secret_shows_and_nothing_can_be_changed(this: object) -> None:
    assert SECRET not in f"{this!r} {this} {this!s:>3}"
    assert not hasattr(this, "__dict__")
    names = [each.name for each in dataclasses.fields(this)]  # type: ignore[arg-type]
    for name in names or ["anything"]:
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            setattr(this, name, None)


def test_a_secret_is_masked_and_revealed_on_demand() -> None:
    assert "***" == repr(Secret(SECRET))
    assert "***" == f"{Secret(SECRET)}"
    assert SECRET == Secret(SECRET).reveal()
    assert Secret(SECRET) == Secret(SECRET)
    assert Secret(SECRET) != Secret("another")


def test_what_is_shown_of_a_kind_that_holds_a_secret_still_tells_it_from_others() -> None:
    assert "Answer(status=201, body=***)" == repr(ANSWER)
    assert "FieldChange(path='callbacks.callback_url_for_deliveries', drifted=False, unseen=False)" == repr(FIELD)
    assert "Observed(api_key=***)" == repr(Observed({"first_name": SECRET}, Secret(SECRET)))
    shown = f"Callbacks(callback_url_for_deliveries='{MASKED_URL}', email_for_inbounds='sms@example.com')"
    assert shown == repr(CALLBACKS)
    assert "Callbacks()" == repr(Callbacks())


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        (URL, MASKED_URL),
        ("https://hooks.example.com/dlr", "https://hooks.example.com/dlr"),
        ("https://hooks.example.com:8443/dlr?t=1", "https://hooks.example.com:8443/dlr?***"),
        ("https://user@hooks.example.com", "https://***@hooks.example.com"),
        ("https://a@b@hooks.example.com/", "https://***@hooks.example.com/"),
        ("https://hooks.example.com/#token", "https://hooks.example.com/#***"),
        ("https://[::1/?t=1", "***"),
        ("${env:HOOK}", "${env:HOOK}"),
        ("", ""),
        ("https://h.example/?a=${env:T}", "https://h.example/?a=${env:T}"),
        ("https://h.example/?a=1&b=2&c=${env:T}&d=3", "https://h.example/?***&c=${env:T}&***"),
        ("https://h.example/?a=x${env:T}y", "https://h.example/?***${env:T}***"),
        ("https://h.example/?${env:T}", "https://h.example/?${env:T}"),
        ("https://h.example/?a=${file:x/y?z#&=@}${env:T}#b", "https://h.example/?a=${file:x/y?z#&=@}${env:T}#***"),
        ("https://${env:U}:pw@h.example/", "https://${env:U}***@h.example/"),
        ("https://h.example/?a=${env:}", "https://h.example/?***"),
        ("https://h.example/?\ue000\ue001", "https://h.example/?***"),
    ],
)
def test_a_url_shows_without_its_secrets(url: str, masked: str) -> None:
    assert masked == masked_url(url)


@given(st.text(), st.text(min_size=8))
def test_no_query_string_is_ever_shown(path: str, token: str) -> None:
    url = f"https://hooks.example.com/{path.replace(token, '')}?{token}"
    assert token not in masked_url(url).removeprefix("https://hooks.example.com/")


IN_PATHS = [
    ("https://hooks.slack.com/services/T024BE7LH/B08S3CR3T/xoxSECRETpathTOKEN99", "/services/***/***/***"),
    ("https://hooks.slack.com/services/T00000000/B00000000/" + 24 * "X", "/services/***/***/***"),
    ("https://discord.com/api/webhooks/123456789012345678/AbCdEf-ghi_pqr0", "/api/webhooks/***/***"),
    (f"https://a.webhook.office.com/webhookb2/{UUID}@{UUID}/IncomingWebhook/0a1b2c3d4e5f60718/{UUID}",
     "/webhookb2/***/IncomingWebhook/***/***"),
    (f"https://hc-ping.com/{UUID}/start", "/***/start"),
    ("https://hc-ping.com/fqOOd6-F4MMNuCEnzTU01w/nightly", "/***/nightly"),
    ("https://hooks.zapier.com/hooks/catch/123456/abc123/", "/hooks/catch/123456/***/"),
    ("https://maker.ifttt.com/trigger/sms/with/key/paris", "/trigger/sms/with/key/***"),
    ("https://api.telegram.org/bot123456:ABC-DEF1234ghIkl/sendMessage", "/***/sendMessage"),
    ("https://x.example/api-key/paris/dlr", "/api-key/***/dlr"),
    ("https://x.example/accessToken/paris", "/accessToken/***"),
    ("https://x.example/dlr;token=paris", "/***"),
    ("https://x.example/eyJhbGciOi.eyJzdWIi.dozjgNryP4J3", "/***"),
    ("https://x.example/cb/SGVsbG8gV29ybGQ%3D", "/cb/***"),
]  # fmt: skip
PLAIN_PATHS = [
    *("/dlr", "/v1/public/sms/dlr.php", "/api/v2.1/octopush/delivery-report", "/a/b.c;d=e&f", "/Da%20Vinci"),
    *("/2026/11/27", "/webhook/octopush/paris", "/webhooks/paris-75015", "/hooks/paris75", "/hooks/paris2026"),
    *("/web2sms/b2b", "/DLRServlet", "/deliveryReportCallback", "/dlr_fr_FR", "/hooks/rechtschreibung"),
    *("/Donaudampfschifffahrt", "/%C3%A9t%C3%A9/dlr", "/hooks/account-00012", "/customers/1234567/sms"),
    *("/siret/12345678900011/dlr", "/DE123456789", "/FR40303265045", "/SIRET12345678900011/dlr"),
    *("/monkey/paris", "/cgi-bin/dlr.cgi", "/${env:TOKEN}", "/bot${env:TOKEN}/send"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "path"), IN_PATHS)
def test_a_path_shows_without_its_token(url: str, path: str) -> None:
    assert masked_url(url) == url[: url.index("/", 8)] + path
    assert (token_in_clear(url), may_hold_secret(url)) == ("path", True)


@pytest.mark.parametrize("path", PLAIN_PATHS)
def test_a_path_that_a_person_made_up_is_shown(path: str) -> None:
    url = f"https://hooks.example.com{path}"
    assert (masked_url(url), token_in_clear(url)) == (url, None)


@given(st.binary(min_size=20, max_size=40))
def test_no_random_token_is_ever_shown_in_a_path(raw: bytes) -> None:
    token = hashlib.sha256(raw).hexdigest()
    assert masked_url(f"https://hooks.example.com/x/{token}") == "https://hooks.example.com/x/***"


@pytest.mark.parametrize(
    ("rest", "place"),
    [
        ("?token=abcd", "query string"),
        ("?a=1&api_key=paris", "query string"),
        ("?mdp=soleil75&mot_de_passe=soleil", "query string"),
        ("?passwort=sonne", "query string"),
        ("?haslo=slonce", "query string"),
        ("?x=s3cr3tT0k3n", "query string"),
        ("?9f8e7d6c5b4a", "query string"),
        ("#accessToken=paris", "fragment"),
        ("?t=1&source=octopush&site=paris75", None),
        ("?token=${env:TOKEN}", None),
        ("", None),
    ],
)
def test_a_token_in_clear_is_told_by_its_place(rest: str, place: str | None) -> None:
    assert token_in_clear(f"https://hooks.example.com/dlr{rest}") == place


@pytest.mark.parametrize(
    ("user", "place"), [("user:pass", "user-info"), ("key", "user-info"), ("user:${env:P}", None), ("${env:P}", None)]
)
def test_user_info_in_clear_is_told(user: str, place: str | None) -> None:
    assert token_in_clear(f"https://{user}@hooks.example.com/dlr") == place


def test_only_urls_are_masked() -> None:
    assert MASKED_URL == shown_value("callbacks.callback_url_for_visits", URL)
    assert MASKED_URL == shown_value("callback_url_for_visits", URL)
    assert "a@b?c" == shown_value("callbacks.email_for_inbounds", "a@b?c")
    assert "what?" == shown_value("first_name", "what?")


# ── What is desired ──────────────────────────────────────────────────────────


def test_the_faces_of_attributes() -> None:
    given_callbacks = {"callback_url_for_deliveries": URL, "email_for_inbounds": "sms@example.com"}
    names = {"first_name": "Leonardo", "last_name": "Da Vinci", "company_name": "Italy"}
    assert given_callbacks == CALLBACKS.given()
    assert {**names, "callbacks": given_callbacks} == ATTRIBUTES.document()
    assert {
        **names,
        "callbacks": {"callback_url_for_deliveries": MASKED_URL, "email_for_inbounds": "sms@example.com"},
    } == ATTRIBUTES.shown()
    assert {
        **names,
        "callbacks.callback_url_for_deliveries": URL,
        "callbacks.email_for_inbounds": "sms@example.com",
    } == ATTRIBUTES.flat()


def test_what_is_absent_stays_absent() -> None:
    names = {"first_name": "Leonardo", "last_name": "Da Vinci"}
    plain = Attributes(**names)
    assert names == plain.document()
    assert names == plain.shown()
    assert names == plain.flat()
    assert {} == Callbacks().given()


def test_an_empty_value_is_not_an_absent_one() -> None:
    assert {"first_name": "", "last_name": "", "company_name": ""} == Attributes("", "", "").document()
    assert {"first_name": "", "last_name": "", "company_name": ""} == Attributes("", "", "").flat()
    assert {"email_for_inbounds": ""} == Callbacks(email_for_inbounds="").given()


def test_the_callbacks_are_the_five_of_the_api() -> None:
    assert CALLBACK_NAMES == (
        "callback_url_for_deliveries",
        "callback_url_for_blacklisted_numbers",
        "callback_url_for_visits",
        "callback_url_for_inbounds",
        "email_for_inbounds",
    )


TEXTS = st.text(min_size=1, max_size=5)


@given(st.builds(Attributes, TEXTS, TEXTS, st.none() | TEXTS, st.builds(Callbacks, *[st.none() | TEXTS] * 5)))
def test_attributes_are_the_same_in_every_shape(attributes: Attributes) -> None:
    assert attributes == Attributes.of(attributes.document())
    assert attributes == Attributes.of_fields(attributes.flat())
    assert attributes.flat().keys() <= set(FIELDS)


def test_an_account_as_it_was_found_has_its_empty_texts_for_absent_values() -> None:
    found = {"first_name": None, "company_name": "", "callbacks.email_for_inbounds": "", "unheard": "of"}
    assert Attributes("", "") == Attributes.of_fields(found)
    hook = "callbacks.callback_url_for_visits"
    expected = Attributes("A", "B", "C", Callbacks(callback_url_for_visits="https://x"))
    assert expected == Attributes.of_fields(
        {"first_name": "A", "last_name": "B", "company_name": "C", hook: "https://x"}
    )


def test_the_fields_that_can_be_read_are_all_that_attributes_have() -> None:
    whole = Attributes("a", "b", "c", Callbacks(*"defgh"))
    assert FIELDS == tuple(whole.flat())


# ── What is sent, and what is found ──────────────────────────────────────────


@pytest.mark.parametrize(
    ("expected", "observed", "differ", "silent"),
    [
        ({}, {}, (), ()),
        ({"a": "x"}, {"a": "x"}, (), ()),
        ({"a": "x"}, {"a": "y"}, ("a",), ()),
        ({"a": "x"}, {"a": None}, ("a",), ()),
        ({"a": "x"}, {"a": ""}, ("a",), ()),
        ({"a": None}, {"a": ""}, (), ()),
        ({"a": ""}, {"a": None}, (), ()),
        ({}, {"a": None, "b": ""}, (), ()),
        ({}, {"a": "x"}, ("a",), ()),
        ({"a": "x", "b": "y"}, {}, (), ("a", "b")),
        ({"a": "x", "b": "y"}, {"c": "z", "b": "x"}, ("c", "b"), ("a",)),
    ],
)
def test_what_is_found_differs_or_is_silent(
    expected: dict[str, str | None],
    observed: dict[str, str | None],
    differ: tuple[str, ...],
    silent: tuple[str, ...],
) -> None:
    assert differ == differing(expected, observed)
    assert silent == unreported(expected, observed)


# ── The state ────────────────────────────────────────────────────────────────

RECORDS: tuple[Record, ...] = (
    Pending(ATTRIBUTES, OPERATION),
    Active(ATTRIBUTES, OPERATION, "2026-01-01T00:00:00Z", "sealed"),
    Unknown(ATTRIBUTES, OPERATION, "lost"),
    Abandoned(ATTRIBUTES, OPERATION, "lost"),
)
PENDING, ACTIVE, UNKNOWN, ABANDONED = RECORDS


def test_a_state_is_followed_by_another() -> None:
    empty = State("lineage", "default", serial=7, endpoint="https://x", parent_check="salt", recipients=("age1",))
    one = empty.with_record("paris", PENDING)
    assert dataclasses.replace(empty, serial=8, accounts={"paris": PENDING}) == one
    assert dataclasses.replace(empty, serial=9, accounts={"paris": ACTIVE}) == one.with_record("paris", ACTIVE)
    assert dataclasses.replace(empty, serial=9, accounts={}) == one.with_record("paris", None)
    assert dataclasses.replace(one, serial=9) == one.with_record("rome", None)
    assert {"paris": PENDING} == one.accounts
    assert {} == empty.accounts


def test_a_record_moves_to_another_name_in_one_step() -> None:
    one = State("lineage", "default", serial=7, accounts={"oslo": PENDING, "paris": ACTIVE})
    moved = one.with_record("lyon", UNKNOWN, previous="paris")
    assert dataclasses.replace(one, serial=8, accounts={"oslo": PENDING, "lyon": UNKNOWN}) == moved
    assert dataclasses.replace(one, serial=8) == one.with_record("paris", ACTIVE, previous="not there")


@given(
    st.dictionaries(st.text(min_size=1), st.sampled_from(RECORDS)),
    st.integers(0, 50),
    st.integers(0, 50),
    st.integers(0, 50),
)
def test_every_record_holds_a_slot(accounts: dict[str, Record], limit: int, reserved: int, planned: int) -> None:
    slots = State("lineage", "default", accounts=accounts).slots(limit=limit, reserved=reserved, planned=planned)
    in_doubt = sum(record in (PENDING, UNKNOWN) for record in accounts.values())
    assert Slots(limit=limit, reserved=reserved, used=len(accounts), unknown=in_doubt, planned=planned) == slots
    assert slots.left + planned + len(accounts) + reserved == limit


def test_why_a_record_that_was_left_pending_is_in_doubt() -> None:
    assert "died" in Pending(ATTRIBUTES, OPERATION).reason


# ── The plan ─────────────────────────────────────────────────────────────────


def test_a_plan_tells_its_creates_and_updates() -> None:
    create, update = Create(ACCOUNT), Update(ACCOUNT, (FIELD,))
    plan = Plan("default", None, 0, SLOTS, (Unchanged("athens", ATTRIBUTES), create, update))
    assert (create,) == plan.creates
    assert (update,) == plan.updates
    assert ("paris", "paris") == (create.name, update.name)


@pytest.mark.parametrize(
    ("update", "sends", "renews", "record_name"),
    [
        (Update(ACCOUNT, (FIELD,)), True, False, "paris"),
        (Update(ACCOUNT, (FieldChange("password_version", "1", "2"),)), True, True, "paris"),
        (Update(ACCOUNT, (FieldChange("password", None, None),)), True, True, "paris"),
        (Update(ACCOUNT, (), edit=BEGUN), True, False, "paris"),
        (Update(ACCOUNT, (), edit=dataclasses.replace(BEGUN, sealed="x")), True, True, "paris"),
        (Update(ACCOUNT, (FieldChange("name", "lyon", "paris"),), "lyon"), False, False, "lyon"),
        (Update(ACCOUNT, (FieldChange("name", "lyon", "paris"),), "lyon", edit=BEGUN), True, False, "lyon"),
        (Update(ACCOUNT, (FieldChange("name", "lyon", "paris"), FIELD), "lyon"), True, False, "lyon"),
    ],
)
def test_what_an_update_asks_for(update: Update, *, sends: bool, renews: bool, record_name: str) -> None:
    assert (sends, renews, record_name) == (update.sends, update.renews_password, update.record_name)


def test_why_an_account_is_gone() -> None:
    assert "Octopush no longer knows its login" == Gone("paris", ATTRIBUTES).reason


# ── The exit code ────────────────────────────────────────────────────────────

DONE = Outcome("a", "create", Result.CREATED)
SAME = Outcome("b", "unchanged", Result.UNCHANGED)
FAILED = Outcome("c", "create", Result.FAILED, "refused")
DOUBT = Outcome("d", "create", Result.UNKNOWN, "lost")
SKIPPED = Outcome("e", "create", Result.NOT_ATTEMPTED, "stopped")
LATER = Outcome("f", "update", Result.NOT_ATTEMPTED, "not supported")
GONE = Outcome("g", "abandoned", Result.NOT_ATTEMPTED, "abandoned", weight=ExitCode.DONE)
SEALED = Outcome("h", "update", Result.NOT_ATTEMPTED, "no identity", weight=ExitCode.SETTING_INVALID)
UNSEEN = Outcome("i", "refresh", Result.UNCHECKED, "lost")


@pytest.mark.parametrize(
    ("outcomes", "stop", "code"),
    [
        ((), None, ExitCode.DONE),
        ((DONE, SAME), None, ExitCode.DONE),
        ((DONE, GONE), None, ExitCode.DONE),
        ((DONE, FAILED), None, ExitCode.SOME_FAILED),
        ((DONE, LATER), None, ExitCode.SOME_FAILED),
        ((DONE, SKIPPED), None, ExitCode.SOME_FAILED),
        ((DONE, UNSEEN), None, ExitCode.SOME_FAILED),
        ((DONE, SEALED), None, ExitCode.SETTING_INVALID),
        ((FAILED, SEALED), None, ExitCode.SOME_FAILED),
        ((SEALED, DOUBT), None, ExitCode.OUTCOME_UNKNOWN),
        ((SEALED,), Stop(ExitCode.INTERRUPTED, "asked"), ExitCode.INTERRUPTED),
        ((FAILED, DOUBT), None, ExitCode.OUTCOME_UNKNOWN),
        ((DONE,), Stop(ExitCode.STATE_UNUSABLE, "full"), ExitCode.STATE_UNUSABLE),
        ((FAILED, SKIPPED), Stop(ExitCode.INTERRUPTED, "asked"), ExitCode.INTERRUPTED),
        ((FAILED, SKIPPED), Stop(ExitCode.SETTING_INVALID, "401"), ExitCode.SETTING_INVALID),
        ((DOUBT, SKIPPED), Stop(ExitCode.INTERRUPTED, "asked"), ExitCode.OUTCOME_UNKNOWN),
        ((DOUBT, FAILED), Stop(ExitCode.STATE_UNUSABLE, "full"), ExitCode.OUTCOME_UNKNOWN),
    ],
)
def test_the_strongest_exit_code_wins(outcomes: tuple[Outcome, ...], stop: Stop | None, code: ExitCode) -> None:
    assert code is exit_code([Report("default", outcomes, stop)])


@pytest.mark.parametrize("result", Result)
def test_what_every_result_weighs(result: Result) -> None:
    failed = {Result.FAILED, Result.NOT_ATTEMPTED, Result.UNCHECKED}
    expected = (
        ExitCode.OUTCOME_UNKNOWN
        if result is Result.UNKNOWN
        else ExitCode.SOME_FAILED
        if result in failed
        else ExitCode.DONE
    )
    assert expected is Outcome("a", "any", result).exit_code
    assert ExitCode.REFUSED is Outcome("a", "any", result, weight=ExitCode.REFUSED).exit_code
    assert ExitCode.DONE is Outcome("a", "any", result, weight=ExitCode.DONE).exit_code


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("https://${env:A}.example.com/x", "https://a.example.com/x", True),
        ("https://${env:A}.example.com/x", "https://evil.example/?.example.com/x", False),
        ("https://${env:A}.example.com/x", "https://evil.example\\.example.com/x", False),
        ("https://u:${env:A}@hooks.example.com/", "https://u:p@hooks.example.com/", True),
        ("https://u:${env:A}@hooks.example.com/", "https://u:p@evil.example/#@hooks.example.com/", False),
        ("${env:A}://hooks.example.com/", "https://hooks.example.com/", True),
        ("${env:A}://hooks.example.com/", "https://evil.example/?://hooks.example.com/", False),
        ("https://hooks.example.com${env:A}", "https://hooks.example.com/x?y", True),
        ("https://${env:A}/x?${file:b/c}", "https://hooks.example.com/base/x?t", True),
        ("${env:A}", "https://hooks.example.com/x", True),
        ("${env:A} b", "x/y b", True),
        ("https://hooks.example.com/${env:A}/x", "https://hooks.example.com/a/b/x", True),
        ("https://hooks.example.com/${env:A}/x", "https://hooks.example.com//x", False),
    ],
)
def test_what_stands_for_a_placeholder_ends_no_host(text: str, value: str, *, expected: bool) -> None:
    assert expected == fits(text, value)


def test_the_exit_code_is_that_of_all_parents() -> None:
    stopped = Report("acme", (SKIPPED,), STOP)
    assert ExitCode.DONE is exit_code([])
    assert ExitCode.SOME_FAILED is exit_code([Report("default", (DONE,)), Report("acme", (FAILED,))])
    assert ExitCode.REFUSED is exit_code([Report("default", (FAILED,)), stopped])
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([stopped, Report("default", (DOUBT,))])
    assert ExitCode.REFUSED is exit_code(iter([Report("default", (DONE,)), stopped]))
    later = Report("later", (SKIPPED,), Stop(ExitCode.SETTING_INVALID, "401"))
    assert ExitCode.SETTING_INVALID is exit_code([stopped, later])
    failed = Report("failed", (), failure=StateNotSaved("The state could not be saved."))
    assert ExitCode.STATE_UNUSABLE is exit_code([stopped, failed, later])
    interrupted = Report("last", (SKIPPED,), Stop(ExitCode.INTERRUPTED, "asked", scope=Scope.RUN))
    assert ExitCode.INTERRUPTED is exit_code([stopped, later, interrupted])
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([interrupted, Report("default", (DOUBT,))])


def test_an_error_is_a_stop_of_the_parent_that_met_it() -> None:
    error = StateNotSaved("The state could not be saved: full.", hint="Make room.")
    assert Stop(ExitCode.STATE_UNUSABLE, "The state could not be saved: full", "Make room.") == Stop.of(error)
    assert Scope.PARENT is Stop.of(error).scope
    advice = Advice(Remedy.FORCE, "paris")
    assert advice == Stop.of(StateConflict("It is there.", advice=advice)).advice


LOCKED = StateLocked("held", hint="wait")


def test_a_parent_that_failed_gives_its_exit_code() -> None:
    failed = Report("acme", (), failure=LOCKED)
    assert ExitCode.STATE_LOCKED is exit_code([failed])
    assert ExitCode.STATE_LOCKED is exit_code([Report("default", (FAILED,)), failed])
    assert ExitCode.OUTCOME_UNKNOWN is exit_code([failed, Report("default", (DOUBT,))])


def test_the_gravest_end_of_several_parents_counts_whatever_their_order() -> None:
    assert set(ExitCode) == set(GRAVITY)
    assert len(ExitCode) == len(GRAVITY)
    assert [8, 130, 143, 1, 5, 10, 9, 6, 4, 3] == [int(code) for code in GRAVITY[:10]]
    for graver, other in itertools.pairwise(GRAVITY):
        ends = [Report("a", (FAILED,), Stop(other, "no")), Report("b", (FAILED,), Stop(graver, "no"))]
        assert graver is exit_code(ends) is exit_code(reversed(ends))


def test_every_kind_of_change_has_an_action_and_is_counted() -> None:
    kinds = get_args(Change)
    assert len(kinds) == len(set(ACTIONS))
    assert {kind.action for kind in kinds} == set(ACTIONS)
    plan = Plan("default", None, 0, SLOTS, (Create(ACCOUNT), Gone("a", ATTRIBUTES), Gone("b", ATTRIBUTES)))
    assert {**dict.fromkeys(ACTIONS, 0), "create": 2, "gone": 4} == counts([plan, plan])
    assert dict.fromkeys(ACTIONS, 0) == counts([])


def test_what_is_to_be_created_or_changed_is_pending() -> None:
    assert Plan("default", None, 0, SLOTS, (Create(ACCOUNT),)).pending
    assert Plan("default", None, 0, SLOTS, (Update(ACCOUNT, (FIELD,)),)).pending
    assert not Plan("default", None, 0, SLOTS, (Gone("a", ATTRIBUTES), Unchanged("b", ATTRIBUTES))).pending
