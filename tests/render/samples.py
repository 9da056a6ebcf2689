"""Plans for the tests of their formats: with every kind of change, and with any texts in every place that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Final

from hypothesis import strategies as st

from provisioner.errors import StateInvalid
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin
from provisioner.model.exchange import Balance, Failed, Pack
from provisioner.model.history import Author, HistoryEntry
from provisioner.model.plan import (
    Create,
    FieldChange,
    Gone,
    Plan,
    Selection,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.state import (
    Abandoned,
    Active,
    Drift,
    Edit,
    Operation,
    Pending,
    Record,
    Slots,
    State,
    Unknown,
)
from provisioner.model.status import ParentStatus
from provisioner.model.terms import Freeze, Setting, Terms
from provisioner.model.verdict import Then

HOSTILE: Final = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=1' x='",
    "&lt;b&gt; &amp; &#60;i&#62; &",
    "</title></style></script><script>document.title='owned'</script>",
    "<!--",
    "]]><svg/onload=document.title='owned'>",
    "admin\u202egnp.exe\u2066x\u2069",
    "\x1b[31mred\x07\x00",
    "two\nlines\r\nand\u2028three",
    "javascript:document.title='owned'",
    "%s %d %% {0} {}",
    "\ud800 half",
    "</td></tr></table></details></section>",
)
"""What somebody might write to make a page say or do something else."""

# A text of each kind that escaping could get wrong, mixed with any text at all.
anything: Final = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.one_of(st.sampled_from("<>&\"'`=/!-%{}\\|*_#@~[]()\x00\r\n\t\u202e\u2066\ud800 ab:"))),
    st.text(alphabet=st.characters()),
)
"""Any text, most of them unkind."""


def desired(name: str, attributes: Attributes) -> DesiredAccount:
    """Return an account as in a manifest."""
    return DesiredAccount(name, attributes, None, Origin("m.yaml"))


def with_texts(texts: Sequence[str]) -> list[Plan]:
    """Return plans with ``texts`` wherever a plan has a text; a few texts may fill many places."""
    more = cycle(texts or ["x"])

    def t() -> str:
        return next(more)

    def attributes() -> Attributes:
        return Attributes(t(), t(), t(), Callbacks(f"https://h.example/{t()}", None, t(), None, t()))

    def fields() -> tuple[FieldChange, ...]:
        return (
            FieldChange("name", t(), t()),
            FieldChange("company_name", t(), t()),
            FieldChange("last_name", None, t()),
            FieldChange("company_name", t(), None, drifted=True),
            FieldChange("company_name", None, t(), drifted=True),
            FieldChange("callbacks.callback_url_for_visits", t(), t()),
            FieldChange("password", None, None),
            FieldChange("password_version", t(), t()),
        )

    over, parent = t(), t()
    changes = (
        Create(replace(desired(t(), attributes()), previously=t()), t() or "x"),
        Create(desired(over, attributes())),
        Update(desired(t(), attributes()), fields(), t(), Edit(attributes(), Operation(t(), t(), t()), 2, t())),
        Unchanged(t(), attributes()),
        Unchanged(t(), attributes(), Drift((t(),), (t(),), gone=True)),
        Unmanaged(t(), attributes()),
        Unmanaged(t(), attributes(), Drift((), (t(),))),
        Gone(t(), attributes()),
        StillUnknown(t(), attributes(), t()),
        StillAbandoned(t(), attributes(), t()),
    )
    stranger = t()
    terms = Terms(
        t(), t(), t(), t(), begins=True,
        # Of one recipient, who is new: what is said does not hang on whether two texts are the same.
        recipients=(stranger,), added=(stranger,), removed=(t(),),
        settings=(Setting(t(), t(), t()), Setting("proxy", t())),
        frozen=Freeze(t(), t()), is_frozen=True,
    )  # fmt: skip
    return [
        Plan(parent, "lineage", 3, Slots(20, 1, 8, 1, 2), changes, (over,), terms, Selection((t(), t()), 3, 1)),
        Plan(t(), None, 0, Slots(20, 0, 0, 0, 0), ()),
    ]


def counts(*, limit: int = 20, reserved: int = 0, used: int = 0, unknown: int = 0, planned: int = 0) -> Slots:
    """Return slots; those that are not named are zero."""
    return Slots(limit, reserved, used, unknown, planned)


# ── Statuses ─────────────────────────────────────────────────────────────────

NOW: Final = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
"""The time at which the statuses of these samples were read."""


def _begun(days: int) -> Operation:
    return Operation(f"op-{days}", f"2026-02-{28 - days:02}T03:17:05Z", "ci@runner-7")


def statuses(count: int) -> list[ParentStatus]:
    """Return that many parents, the first few with every kind of trouble."""
    return [_status(number) for number in range(count)]


def _status(number: int) -> ParentStatus:
    name = f"parent-{number:02}"
    if number == 3:
        failure = StateInvalid(f"state/{name}.json is not JSON (line 7).\nIt may be cut.", hint="Bring back a backup.")
        return ParentStatus(name, f"state/{name}.json", None, 20, 0, failure=failure)
    accounts: dict[str, Record] = {
        f"shop-{number:02}-{each}": Active(
            Attributes("Ada", f"Lovelace {each}", "Engines Ltd"), _begun(number % 20), "2026-01-31T12:00:00Z", "sealed"
        )
        for each in range(2 + number % 9)
    }
    balances: dict[str, Balance | Failed] = {each: Balance(12.5, "euros") for each in accounts}
    if number == 0:
        accounts |= {
            "berlin": Unknown(
                Attributes("Käthe", "Kollwitz", "Grafik"),
                _begun(3),
                "no answer within 30 s, after the request was sent",
            ),
            "geneva": Pending(Attributes("Rosa", "Parks"), _begun(0)),
            "oslo": Abandoned(Attributes("Edvard", "Munch"), _begun(20), "nobody could find out"),
        }
    if number in {0, 1}:
        first, second, *_ = accounts
        active = accounts[first]
        assert isinstance(active, Active)
        edit = Edit(active.attributes, _begun(1), 1)
        accounts |= {
            "paris": replace(active, drift=Drift(gone=True)),
            first: replace(active, drift=Drift(changed=("first_name", "company_name"))),
            second: replace(active, edit=edit),
        }
        soon = NOW + timedelta(days=9)
        balances |= {
            first: Balance(20, "euros", (Pack(7.5, soon), Pack(12.5, soon + timedelta(days=900)))),
            second: Failed("the API did not accept the credentials (HTTP 401)", Then.GO_ON),
        }
    limit = 3 if number == 2 else 20
    return ParentStatus(
        name, f"state/{name}.json", State("lineage", name, 7, accounts=accounts), limit, number % 3, balances=balances
    )


def done(count: int) -> list[tuple[str, HistoryEntry]]:
    """Return operations of that many parents, oldest first."""
    author = Author("2026-02-01T03:17:05Z", "ci@runner-7", "ada", "bob", "https://ci.example/runs/7", "5d0e2c")
    last = replace(author, at="2026-02-28T03:17:05Z", actor=None, approver=None, run=None)
    return [
        ("parent-00", HistoryEntry(author, 3, "berlin", "create", "unknown")),
        *(
            (f"parent-{each:02}", HistoryEntry(last, 7, f"shop-{each:02}-0", "create", "created"))
            for each in range(count)
        ),
        ("parent-00", HistoryEntry(replace(last, at="2026-03-01T03:17:05Z"), 8, None, "rekey", "rekeyed")),
    ]


def done_with_texts(texts: Sequence[str]) -> list[tuple[str, HistoryEntry]]:
    """Return an operation that holds ``texts`` wherever one does."""
    more = cycle(texts or ["x"])
    author = Author(*(next(more) for _ in range(6)))
    return [(next(more), HistoryEntry(author, 7, *(next(more) for _ in range(4))))]


def statuses_with_texts(texts: Sequence[str]) -> list[ParentStatus]:
    """Return statuses that hold ``texts`` wherever a status holds one; a few may serve for many places."""
    more = cycle(texts or ["x"])

    def t() -> str:
        return next(more)

    def attributes() -> Attributes:
        return Attributes(t(), t(), t(), Callbacks(f"https://h.example/{t()}"))

    def operation() -> Operation:
        return Operation(t(), t(), t())

    accounts: dict[str, Record] = {}
    accounts[f"a{t()}"] = Unknown(attributes(), operation(), t())
    accounts[f"b{t()}"] = Pending(attributes(), operation())
    accounts[f"c{t()}"] = Abandoned(attributes(), operation(), t())
    gone = f"d{t()}"
    accounts[gone] = Active(
        attributes(),
        operation(),
        t(),
        t(),
        drift=Drift((t(),), (t(),), gone=True),
        edit=Edit(attributes(), operation(), 1),
    )
    left = f"e{t()}"
    accounts[left] = Active(attributes(), operation(), t(), t())
    balances: dict[str, Balance | Failed] = {
        gone: Failed(t(), Then.GO_ON),
        left: Balance(1, t(), (Pack(1, NOW), Pack(2, NOW + timedelta(days=99)))),
    }
    parent = f"p{t()}"
    return [
        ParentStatus(parent, t(), State("lineage", parent, 7, accounts=accounts), 3, 0, balances=balances),
        ParentStatus(f"q{t()}", t(), None, 3, 0, failure=StateInvalid(t(), hint=f"h{t()}".replace("`", ""))),
    ]
