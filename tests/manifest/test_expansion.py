"""Expansion: placeholders become what is sent, and the result must be valid in a manifest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import SettingInvalid
from provisioner.manifest import load
from provisioner.manifest.expansion import edits, requests
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Secret
from provisioner.model.exchange import EditRequest
from provisioner.model.plan import Create, FieldChange, Update
from provisioner.model.state import Edit, Operation
from provisioner.model.verdict import CreateRequest
from provisioner.placeholders.reading import Reader

TEXT = """\
version: 1
accounts:
  - name: paris
    first_name: ${env:FIRST}
    last_name: Da Vinci
    company_name: The ${env:FIRST} Company
    password: ${file:secrets/paris}
    callbacks:
      callback_url_for_visits: https://example.com/?t=${env:TOKEN}
  - name: nice
    first_name: Caterina
    last_name: Medici
"""


def reader(environ: dict[str, str]) -> Reader:
    return Reader(environ, (Path("/"),))


def made(folder: Path, text: str = TEXT, file: str = "s3cret\n", **environ: str) -> dict[str, CreateRequest]:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "paris").write_text(file)
    path = folder / "m.yaml"
    path.write_text(text)
    (manifest,) = load([path]).require()
    creates = [Create(account) for account in manifest.accounts]
    return requests(creates, reader({"FIRST": "Leonardo", "TOKEN": "T0X"} | environ), lambda: Secret("generated"))


# The file is next to the manifest, not where the tests run.
def test_every_placeholder_is_filled_in_and_a_missing_password_generated(tmp_path: Path) -> None:
    assert made(tmp_path) == {
        "nice": CreateRequest(Attributes("Caterina", "Medici"), Secret("generated")),
        "paris": CreateRequest(
            Attributes(
                "Leonardo",
                "Da Vinci",
                "The Leonardo Company",
                Callbacks(callback_url_for_visits="https://example.com/?t=T0X"),
            ),
            Secret("s3cret"),
            hidden=("Leonardo", "Leonardo", "T0X", "s3cret"),
        ),
    }


def test_what_is_missing_is_named_with_its_account(tmp_path: Path) -> None:
    text = TEXT.replace("${env:FIRST}", "${env:NOWHERE}", 1)
    with pytest.raises(SettingInvalid) as caught:
        made(tmp_path, text)
    assert caught.value.message == f"{tmp_path}/m.yaml:3: paris: The environment variable NOWHERE is not set."
    assert caught.value.hint == "Set NOWHERE and run again."


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FIRST": "SECRET\n"}, "first_name contains a line break, once its placeholder is filled in"),
        ({"TOKEN": "SECRET SECRET"}, "callbacks.callback_url_for_visits contains a character that a web address"),
        ({"FIRST": "SECRET" * 42}, "company_name is too long"),
        ({"TOKEN": "${SECRET}"}, "callbacks.callback_url_for_visits contains a character that a web address"),
    ],
)
def test_a_value_that_no_manifest_could_hold_is_refused(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        made(tmp_path, **environ)
    assert message in caught.value.message
    assert caught.value.message.startswith(f"{tmp_path}/m.yaml:3: paris: ")
    assert "SECRET" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("value", ["${FIRST}", "a ${env:TOKEN} b", "$(env:X)", "${"])
def test_a_value_that_looks_like_a_placeholder_is_not_expanded(tmp_path: Path, value: str) -> None:
    assert made(tmp_path, FIRST=value)["paris"].attributes.first_name == value


def test_a_whole_callback_from_a_placeholder_is_not_expanded(tmp_path: Path) -> None:
    text = TEXT.replace("https://example.com/?t=${env:TOKEN}", "${env:URL}")
    with pytest.raises(SettingInvalid, match="callback_url_for_visits must begin with https://"):
        made(tmp_path, text, URL="${env:TOKEN}")


@pytest.mark.parametrize("secret", [" SECRET", "SECRET\u200b"])
def test_a_password_is_one_line_that_can_be_seen(tmp_path: Path, secret: str) -> None:
    with pytest.raises(SettingInvalid, match="paris: the password ") as caught:
        made(tmp_path, file=secret)
    assert secret not in caught.value.message
    assert caught.value.hint.startswith("Delete")


def test_a_row_of_a_table_is_placed_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("name,first_name,last_name\n\nparis,${env:NOWHERE},b\n")
    (manifest,) = load([path]).require()
    with pytest.raises(SettingInvalid, match=r"m\.csv:3: paris: The environment variable NOWHERE"):
        requests([Create(each) for each in manifest.accounts], reader({}), lambda: Secret("x"))


# ── Edits ────────────────────────────────────────────────────────────────────

LEONARDO = DesiredAccount("paris", Attributes("Leonardo", "${env:LAST}"), None, Origin("m.yaml", 3))
RENEWED = FieldChange("password_version", "1", "2")
LAST = FieldChange("last_name", "Vinci", "${env:LAST}")
VINCI = Attributes("Leonardo", "Da Vinci")
BEGUN = Edit(VINCI, Operation("op-2", "2026-01-05T00:00:00Z", "ada@host"), 1, "sealed")


def edited(update: Update, **environ: str) -> EditRequest:
    environ = {"LAST": "Da Vinci", **environ}
    (found,) = edits([update], reader(environ), lambda: Secret("generated")).items()
    name, request = found
    assert update.name == name
    return request


def with_password(**more: Any) -> DesiredAccount:  # noqa: ANN401  # each has its own type
    return replace(LEONARDO, password=Secret("${env:PASSWORD}"), **more)


@pytest.mark.parametrize(
    ("update", "password"),
    [
        (Update(LEONARDO, (LAST,)), None),
        (Update(with_password(), (LAST,)), None),
        (Update(LEONARDO, (RENEWED,)), "generated"),
        (Update(with_password(), (RENEWED,)), "given"),
        (Update(LEONARDO, (), edit=BEGUN), "generated"),
        (Update(with_password(), (), edit=BEGUN), "given"),
        (Update(LEONARDO, (RENEWED,), edit=replace(BEGUN, sealed=None)), "generated"),
        (Update(LEONARDO, (), edit=replace(BEGUN, sealed=None)), None),
    ],
)
def test_an_edit_sets_a_password_where_one_is_asked_for_or_may_be_set_already(
    update: Update, password: str | None
) -> None:
    hidden = ("Da Vinci", "given") if password == "given" else ("Da Vinci",)
    expected = EditRequest(VINCI, None if password is None else Secret(password), hidden)
    # If the manifest's password is not sent, its variable need not be set.
    assert expected == edited(update, **({"PASSWORD": "given"} if password == "given" else {}))


def test_all_that_is_missing_for_edits_is_told_at_once() -> None:
    rome = replace(LEONARDO, name="rome", attributes=Attributes("A", "${env:OTHER}"))
    fine = replace(LEONARDO, name="oslo", attributes=VINCI)
    updates = [Update(each, (LAST,)) for each in (LEONARDO, fine, rome)]
    with pytest.raises(SettingInvalid) as caught:
        edits(updates, reader({}), lambda: Secret("x"))
    assert (
        "m.yaml:3: paris: The environment variable LAST is not set.\n"
        "m.yaml:3: rome: The environment variable OTHER is not set."
    ) == caught.value.message


def test_a_password_that_no_manifest_could_hold_is_refused_for_an_edit_too() -> None:
    with pytest.raises(SettingInvalid, match="paris: the password "):
        edited(Update(with_password(), (RENEWED,)), PASSWORD="SEC\nRET")


def test_nothing_to_expand_needs_nothing() -> None:
    assert {} == edits([], reader({}), lambda: Secret("x"))
    assert {} == requests([], reader({}), lambda: Secret("x"))


def test_a_manifest_without_lines_is_placed_by_its_file() -> None:
    account = replace(LEONARDO, origin=Origin("m.yaml"))
    with pytest.raises(SettingInvalid, match=r"^m\.yaml: paris: The environment variable LAST"):
        edits([Update(account, (LAST,))], reader({}), lambda: Secret("x"))
