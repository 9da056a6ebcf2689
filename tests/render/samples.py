"""Plans for the tests of their faces: with every kind of change, and with any texts in every place that has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle
from typing import Final

from hypothesis import strategies as st

from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin
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
from provisioner.model.state import Drift, Edit, Operation, Slots
from provisioner.model.terms import Freeze, Setting, Terms

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
    """Return an account as a manifest asks for it."""
    return DesiredAccount(name, attributes, None, Origin("m.yaml"))


def with_texts(texts: Sequence[str]) -> list[Plan]:
    """Return plans that hold ``texts`` wherever a plan holds one; a few may serve for many places."""
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
    """Return slots, of which those that are not named are zero."""
    return Slots(limit, reserved, used, unknown, planned)
