"""What a person can do about an account: the commands, named once, for every format.

Owns the words for each remedy. Refuses to decide when one is called for: that is known
where the error, the outcome or the change is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from provisioner.errors import Advice, ProvisionerError, Remedy

if TYPE_CHECKING:
    from provisioner.model.report import Outcome, Stop

_FORCE: Final = (
    "with --force it is forgotten all the same, and if it is there, it holds a place that nothing here counts"
)
_DECIDE: Final = (
    "look for it in the parent's dashboard, by its first and last name: if it is there, `provisioner adopt {name}"
    " LOGIN` takes it over; if it is not, `provisioner resolve {name} --not-created` frees its slot"
)
_CLAUSES: Final[Mapping[Remedy, str]] = MappingProxyType(
    {
        Remedy.LIST: "`provisioner status` lists all accounts",
        Remedy.FORGET: "`provisioner forget {name}` frees its slot",
        Remedy.FORGET_FIRST: "if the {name} that the state knows was deleted, run `provisioner forget {name}` first",
        Remedy.FORCE: _FORCE,
        Remedy.REFRESH_OR_FORCE: f"if it is to stay, `provisioner refresh` notes that it is there after all; {_FORCE}",
        Remedy.REFRESH: "`provisioner refresh` looks for the account again",
        Remedy.ADOPT_KEY: "if Octopush changed it, `provisioner adopt {name} LOGIN` takes it over",
        Remedy.RESOLVE: "`provisioner resolve` ends an unknown outcome, and `provisioner adopt` takes over what exists",
        Remedy.APPLY_FIRST: "run `provisioner apply` first: it finishes or undoes that",
        Remedy.ROTATE: "`provisioner credentials show {name}` shows each that may be right, and `provisioner"
        " rotate-password {name}` finishes it",
        Remedy.APPLY: "`provisioner credentials show {name}` shows each that may be right, and the next apply"
        " finishes it",
        Remedy.FREE_OR_ADOPT: "if you are sure that it does not exist, `provisioner forget {name} --force` frees its"
        " slot; if it does, `provisioner adopt {name} LOGIN` takes it over",
        Remedy.DECIDE: _DECIDE,
        Remedy.WAIT_OR_DECIDE: f"wait for the run that is at work; if there is none, {_DECIDE}",
        Remedy.FINISH: "`provisioner apply` finishes it, with an identity",
        Remedy.CHANGE_BACK: "`provisioner apply --refresh` changes it back; to keep it, write it into the manifest",
    }
)


def clause(this: Advice) -> str:
    """Return what can be done, as a clause that may follow a semicolon."""
    return _CLAUSES[this.remedy].format(name=this.name)


def reason(this: Outcome) -> str | None:
    """Return the reason of an outcome, and what can be done."""
    todo = None if this.advice is None else clause(this.advice)
    return "; ".join(filter(None, (this.reason, todo))) or None


def hint(this: ProvisionerError | Stop) -> str:
    """Return the hint of what ended a command or a parent's part of a run, and what else can be done."""
    if this.advice is None:
        return this.hint
    told = clause(this.advice)
    return " ".join(filter(None, (this.hint, f"{told[0].upper()}{told[1:]}.")))
