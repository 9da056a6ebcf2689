"""What a person can do about an account: the commands, in one place, for every format.

Owns the wording of each remedy. Does not decide which one applies: the code that makes the
error, the outcome or the change knows that.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from provisioner.errors import Advice, ProvisionerError, Remedy
from provisioner.render.lines import BAD, Line, printable

if TYPE_CHECKING:
    from provisioner.model.report import Outcome, Stop

_FORCE: Final = "with --force it is forgotten anyway, and if it still exists, it uses a slot that is not counted here"
_DECIDE: Final = (
    "look for it in the parent's dashboard, by its first and last name: if it exists, `provisioner adopt {name}"
    " LOGIN` takes it over; if not, `provisioner resolve {name} --not-created` frees its slot"
)
_CLAUSES: Final[Mapping[Remedy, str]] = MappingProxyType(
    {
        Remedy.LIST: "`provisioner status` lists all accounts",
        Remedy.FORGET: "`provisioner forget {name}` frees its slot",
        Remedy.FORGET_FIRST: "if the {name} in the state was deleted, run `provisioner forget {name}` first",
        Remedy.FORCE: _FORCE,
        Remedy.REFRESH_OR_FORCE: f"to keep it, run `provisioner refresh`, which records that it exists; {_FORCE}",
        Remedy.REFRESH: "`provisioner refresh` looks for the account again",
        Remedy.ADOPT_KEY: "if Octopush changed it, `provisioner adopt {name} LOGIN` takes it over",
        Remedy.RESOLVE: "`provisioner resolve` is for unknown outcomes, and `provisioner adopt` for existing accounts",
        Remedy.APPLY_FIRST: "run `provisioner apply` first: it finishes or undoes that",
        Remedy.ROTATE: "`provisioner credentials show {name}` shows every one that may be right, and `provisioner"
        " rotate-password {name}` finishes it",
        Remedy.SET_AGAIN: "once no other run is at work, `provisioner rotate-password {name}` sets one that is certain",
        Remedy.APPLY: "`provisioner credentials show {name}` shows every one that may be right, and the next apply"
        " finishes it",
        Remedy.FREE_OR_ADOPT: "if you are sure that it does not exist, `provisioner forget {name} --force` frees its"
        " slot; if it does, `provisioner adopt {name} LOGIN` takes it over",
        Remedy.DECIDE: _DECIDE,
        Remedy.WAIT_OR_DECIDE: f"wait for the run that is still at work; if there is none, {_DECIDE}",
        Remedy.FINISH: "`provisioner apply` finishes it, with an identity",
        Remedy.CHANGE_BACK: "`provisioner apply --refresh` changes it back; to keep it, write it into the manifest",
    }
)


def clause(this: Advice) -> str:
    """Return what to do, as a clause that can follow a semicolon."""
    return _CLAUSES[this.remedy].format(name=this.name)


def reason(this: Outcome) -> str | None:
    """Return the reason for an outcome, and what to do."""
    todo = None if this.advice is None else clause(this.advice)
    return "; ".join(filter(None, (this.reason, todo))) or None


def hint(this: ProvisionerError | Stop) -> str:
    """Return the hint of the error or stop, and what else to do."""
    if this.advice is None:
        return this.hint
    todo = clause(this.advice)
    return " ".join(filter(None, (this.hint, f"{todo[0].upper()}{todo[1:]}.")))


def failure(this: ProvisionerError, label: str) -> list[Line]:
    """Return the lines of an error, the first after ``label``, and below them what to do."""
    first, *more = this.message.splitlines() or [""]
    said = [Line(f"{label}{printable(first)}", BAD), *(Line(f"  {printable(line)}", BAD) for line in more)]
    return [*said, *(Line(f"  {printable(line)}") for line in hint(this).splitlines())]
