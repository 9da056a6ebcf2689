from __future__ import annotations

import re

from provisioner.model.account import Attributes
from provisioner.model.state import Abandoned, Active, Drift, Edit, Operation, Pending, State, Unknown
from provisioner.model.terms import Freeze
from provisioner.render import status
from provisioner.render.lines import Line

LEO = Attributes("Leonardo", "Da Vinci")
OPERATION = Operation("op-1", "2026-01-01T00:00:00Z", "ada@host")
DRIFT = Drift(("first_name",), ("last_name",))
BEGUN = Edit(LEO, Operation("op-2", "2026-01-05T00:00:00Z", "ada@host"), 2)


def rendered(lines: list[Line]) -> str:
    return "\n".join(line.text for line in lines)


def test_a_status_lists_every_kind_of_record() -> None:
    state = State(
        "lineage",
        "default",
        7,
        accounts={
            "b": Unknown(LEO, OPERATION, "no answer"),
            "a": Active(LEO, OPERATION, "2026-01-02T00:00:00Z", "sealed"),
            "d": Abandoned(LEO, OPERATION, "given up"),
            "c": Pending(LEO, OPERATION),
        },
    )
    assert """\
default: 4 accounts, serial 7
  NAME  STATUS     SINCE                 REASON
  a     active     2026-01-02T00:00:00Z
  b     unknown    2026-01-01T00:00:00Z  no answer
  c     pending    2026-01-01T00:00:00Z  its run has not saved an outcome: it is still running, or it died
  d     abandoned  2026-01-01T00:00:00Z  given up
Look in Octopush's dashboard for:
  UNKNOWN  FIRST NAME  LAST NAME  COMPANY NAME  SENT
  b        Leonardo    Da Vinci                 AGO (2026-01-01T00:00:00Z)
  c        Leonardo    Da Vinci                 AGO (2026-01-01T00:00:00Z)""" == re.sub(
        r"\d+ days ago", "AGO", rendered(status.text("default", state, "s.json"))
    )


def test_a_status_of_nothing() -> None:
    assert "p: there is no state at s.json yet" == rendered(status.text("p", None, "s.json"))
    assert "p: no accounts yet" == rendered(status.text("p", State("l", "p"), "s.json"))
    frozen = Freeze("2026-12-31", "moves.")
    assert "p: no accounts yet\n  frozen until 2026-12-31 (UTC, that day included): moves" == rendered(
        status.text("p", State("l", "p"), "s.json", frozen=frozen)
    )


def test_a_status_shows_what_is_unfinished_or_wrong() -> None:
    state = State(
        "lineage",
        "default",
        7,
        accounts={
            "a": Active(LEO, OPERATION, "2026-01-02T00:00:00Z", "sealed", drift=DRIFT, edit=BEGUN),
            "b": Active(LEO, OPERATION, "2026-01-02T00:00:00Z", "sealed", drift=Drift(gone=True)),
        },
    )
    assert """\
  a     active  2026-01-02T00:00:00Z  an edit was started at 2026-01-05T00:00:00Z and is not known to be finished; \
Octopush altered first_name; somebody changed last_name
  b     gone    2026-01-02T00:00:00Z  Octopush no longer knows its login""" == rendered(
        status.text("default", state, "s.json")[2:]
    )
