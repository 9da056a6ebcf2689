"""Sealed content is opened only where it belongs, and a wrong identity is distinguished from damage."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from provisioner.errors import IdentityRejected, StateConflict, StateInvalid
from provisioner.executor import seals
from provisioner.model.account import Attributes, Callbacks
from provisioner.model.state import State
from provisioner.state.sealing import AgeSealer, new_identity
from tests.executor.examples import OPENER, RECIPIENT, SEALER, active, content, state

STRANGER: Final = AgeSealer((new_identity()[1],))
"""Seals to an identity that this run does not have."""
ITALY: Final = Attributes("Leonardo", "Da Vinci", "Italy", Callbacks(email_for_inbounds="${env:MAIL}"))
SENT: Final = replace(ITALY, callbacks=Callbacks(email_for_inbounds="sms@example.com"))


def foreign(name: str, **accounts: object) -> State:
    """Return a state whose account ``name`` is sealed to a stranger, beside ``accounts``."""
    record = replace(active(name), sealed=STRANGER.seal(content(name)))
    return replace(state(**{name: record, **accounts}), recipients=())  # type: ignore[arg-type]


def conflicting(name: str) -> object:
    """Return a record that has the sealed content of another operation."""
    return active(name, kept=content(name, operation="another one"))


def test_what_was_sent_may_differ_from_its_record_only_where_a_placeholder_stands() -> None:
    kept = state(paris=active("paris", attributes=ITALY, kept=content("paris", sent=SENT)))
    assert content("paris", sent=SENT) == seals.open_record(kept, "paris", OPENER)


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("first_name", replace(SENT, first_name="Lisa")),
        ("company_name", replace(SENT, company_name=None)),
        ("callbacks.email_for_inbounds", replace(SENT, callbacks=Callbacks())),
        (
            "callbacks.callback_url_for_visits",
            replace(SENT, callbacks=replace(SENT.callbacks, callback_url_for_visits="https://h.example/v")),
        ),
    ],
)
def test_any_other_difference_is_refused_by_its_field(path: str, sent: Attributes) -> None:
    kept = state(paris=active("paris", attributes=ITALY, kept=content("paris", sent=sent)))
    with pytest.raises(StateConflict, match=rf"content of paris has a different {path} than its record"):
        seals.open_record(kept, "paris", OPENER)


@pytest.mark.parametrize("other", ["lyon", "rome"])  # one sorts before paris, one after
@pytest.mark.parametrize("record", [active, conflicting])
def test_an_identity_that_belongs_to_another_record_is_not_a_wrong_one(other: str, record: type) -> None:
    with pytest.raises(StateInvalid, match="content of paris is damaged, or sealed to others"):
        seals.open_record(foreign("paris", **{other: record(other)}), "paris", OPENER)


def test_an_identity_that_opens_nothing_is_a_wrong_one_unless_the_state_names_its_recipient() -> None:
    wrong = foreign("paris", rome=foreign("rome").accounts["rome"])
    with pytest.raises(IdentityRejected):
        seals.open_record(wrong, "paris", OPENER)
    with pytest.raises(IdentityRejected):
        seals.open_all_active(wrong, OPENER)
    named = replace(wrong, recipients=(RECIPIENT,))
    with pytest.raises(StateInvalid, match="content of paris is damaged"):
        seals.open_record(named, "paris", OPENER)
    contents, faults = seals.open_all_active(named, OPENER)
    assert {} == contents
    assert {"paris": StateInvalid, "rome": StateInvalid} == {name: type(fault) for name, fault in faults.items()}


@pytest.mark.parametrize(
    ("record", "opened", "failed"),
    [
        (active, {"rome"}, {"paris": StateInvalid}),
        (conflicting, set(), {"paris": StateInvalid, "rome": StateConflict}),
    ],
)
def test_of_all_accounts_those_that_open_are_returned_and_the_others_explained(
    record: type, opened: set[str], failed: dict[str, type]
) -> None:
    contents, faults = seals.open_all_active(foreign("paris", rome=record("rome")), OPENER)
    assert opened == contents.keys()
    assert failed == {name: type(fault) for name, fault in faults.items()}


def test_a_record_sealed_by_this_run_opens() -> None:
    assert content("paris") == seals.open_active(state(paris=active("paris")), "paris", OPENER)
    assert SEALER.seal(content("paris")) != SEALER.seal(content("paris"))
