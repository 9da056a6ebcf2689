"""What a person types, on one of the machines: each command runs the real project over the virtual world.

The person is truthful: before they say that an account does not exist, they look at Octopush.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, Final

from provisioner import Bounds, Folders, Project, Reporter
from provisioner.errors import InternalError, ProvisionerError
from provisioner.model.account import Secret
from provisioner.model.state import Abandoned, Active, Pending, Record, State, Unknown
from provisioner.project.parts import Parts
from provisioner.project.plans import Plans
from provisioner.project.reports import Reports
from provisioner.state import rescue
from provisioner.state.rescue import RescueEntry
from provisioner.state.stores import NOTE
from provisioner.state.stores.local import LocalStore
from provisioner.state.stores.objects import ObjectBackend
from provisioner.state.stores.opening import Place
from provisioner.state.stores.remote import RemoteStore
from tests.proof.model.baton import Runner, current, step
from tests.proof.model.reference import IDENTITY, RECIPIENT, SECOND_RECIPIENT, Reference, content_of
from tests.proof.model.world import (
    PARENT_KEY,
    Account,
    Clock,
    FailingDisk,
    Objects,
    Octopush,
    Signals,
    VirtualBucket,
    Watched,
    Wire,
)

LIMIT: Final = 5
RESERVED: Final = 1
"""The slots that accounts made by hand may have."""
_FAST: Final = Path("/dev/shm")  # noqa: S108  # only a faster place for a folder with a random name


class Inline(Executor):
    """Runs each parent in the thread of its runner, which has the baton."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # the caller gets it from the future
            future.set_exception(error)
        return future


class Recorder(Reporter):
    """Keeps the words of everything that is reported, and rescue lines in a log."""

    def __init__(self, said: list[str], log: list[str]) -> None:
        self._said, self._log = said, log

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401  # any method of the interface
        if name.startswith("_") or name == "last_resort" or not hasattr(Reporter, name):
            return super().__getattribute__(name)
        return lambda *event: step("report", lambda: self._said.append(f"{name} {event}"))

    def last_resort(self, line: str) -> bool:
        step("log", lambda: self._log.append(line))
        return True


@dataclass
class Wanted:
    """An account in the manifest."""

    person: str
    last_name: str
    previously: str | None = None
    password_version: int = 1

    def document(self, name: str) -> dict[str, object]:
        optional: dict[str, object] = {} if self.previously is None else {"previously": self.previously}
        if self.password_version > 1:
            optional["password_version"] = self.password_version
        return {"name": name, "first_name": self.person, "last_name": self.last_name, **optional}


@dataclass
class Site:
    """The manifest, the machines and the state, of one parent at Octopush."""

    remote: bool
    """Whether the state is in a bucket that two machines reach; otherwise it is a file on the only machine."""
    lock_timeout: int = 0
    enforces: bool = True
    """Whether the bucket keeps its promise."""
    wanted: dict[str, Wanted] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    """Everything that the commands have said."""
    log: list[str] = field(default_factory=list)
    """The rescue lines that they have logged."""

    def __post_init__(self) -> None:
        warm_up()
        place = _FAST if _FAST.is_dir() else None
        self.root = Path(tempfile.mkdtemp(prefix="model-", dir=place))
        self.project = self.root / "project"
        self.manifest = self.project / "manifests" / "accounts.yaml"
        self.manifest.parent.mkdir(parents=True)
        self.clock = Clock()
        self.octopush = Octopush(LIMIT)
        self.objects = Objects(enforces=self.enforces)
        self.reference = Reference(self.octopush, self.raw, self._rescued, RESERVED)
        self.recipients = [RECIPIENT]
        self.homes = [self.root / "home-0", self.root / "home-1"][: 2 if self.remote else 1]
        self.running: list[Runner] = []
        self.numbers = count(1)
        self._local = self.project / "state" / "default.json"

    def close(self) -> None:
        shutil.rmtree(self.root)

    # ── What is durable ──────────────────────────────────────────────────────

    def raw(self) -> bytes | None:
        if not self.remote:
            return self._local.read_bytes() if self._local.exists() else None
        names = sorted(each for each in [*self.objects.there] if each.split("/")[1][:8].isdigit())
        return self.objects.there[names[-1]].raw if names else None

    def state(self) -> State | None:
        return self.reference.state()

    def _rescued(self) -> Iterator[RescueEntry]:
        for line in {*self.log, *self._kept("*.rescue")}:
            yield from rescue.found_in(line, "the model")

    def _kept(self, pattern: str) -> Iterator[str]:
        for path in self.root.rglob(pattern):
            yield from path.read_text().replace("\0", "").split("\n")

    def texts(self) -> Iterator[str]:
        """Yield everything that was said or written, anywhere."""
        yield from self.said
        yield from self.log
        for path in self.root.rglob("*"):
            if path.is_file():
                yield path.read_text(errors="replace")
        for each in [*self.objects.there.values()]:
            yield each.raw.decode()

    # ── A command ────────────────────────────────────────────────────────────

    def write(self) -> None:
        """Write the manifest; what an adoption wrote is in it."""
        for other in self.manifest.parent.iterdir():
            other.unlink()
        accounts = [each.document(name) for name, each in self.wanted.items()]
        self.manifest.write_text(json.dumps({"version": 1, "accounts": accounts}))

    def opened(self, machine: int) -> Project:
        home = self.homes[machine % len(self.homes)]
        environ = {
            "OCTOPUSH_API_LOGIN": "parent@example.com",
            "OCTOPUSH_API_KEY": PARENT_KEY,
            "OCTOPUSH_API_URL": "https://octopush.example/v1/public",
            "PROVISIONER_STATE": "s3://virtual/{parent}" if self.remote else f"{self.project}/state/{{parent}}.json",
            "PROVISIONER_RECIPIENTS": " ".join(self.recipients),
            "PROVISIONER_IDENTITY": IDENTITY.reveal(),
            "PROVISIONER_LIMIT": str(LIMIT),
            "PROVISIONER_RESERVED": str(RESERVED),
            "PROVISIONER_ATTEMPTS": "2",
            "PROVISIONER_LOCK_TIMEOUT": str(self.lock_timeout),
            "LOGNAME": f"person-{machine}",
        }
        parts = Parts(self._store, self._wire, self._new_password, self.clock.text)
        return Project.open(
            self.project, environ=environ, folders=Folders(home / "config", home / "state"), parts=parts
        )

    def _store(self, place: Place) -> Any:  # noqa: ANN401  # a store with points around its calls
        saved = self.reference.saved
        if not self.remote:
            path = Path(place.address)
            return Watched(LocalStore(path, FailingDisk(path, saved)))
        backend = ObjectBackend(place.address, lambda *_: VirtualBucket(self.objects, self.clock, saved))
        new_id = lambda: f"lease-{next(self.numbers)}"  # noqa: E731  # a part, as the others
        return Watched(RemoteStore(backend, place.machine, new_id, lambda: self.clock.now))

    def _wire(self, _: object) -> Wire:
        this = self.reference
        return Wire(self.octopush, this.sending, this.answered, this.delivered)

    def _new_password(self) -> Secret:
        secret = Secret(f"Password-{next(self.numbers)}-{'beef' * 4}")
        self.octopush.secrets.add(secret.reveal())
        return secret

    def options(self) -> dict[str, Any]:
        return {"reporter": Recorder(self.said, self.log), "cancel": Signals(self.clock)}

    # ── What a person sees at Octopush and in the status ─────────────────────

    def account_of(self, person: str) -> Account | None:
        return next((each for each in self.octopush.accounts.values() if each.person == person), None)

    def names(self, *kinds: type) -> list[str]:
        state = self.state()
        return [] if state is None else sorted(n for n, each in state.accounts.items() if isinstance(each, kinds))

    def unfinished(self) -> bool:
        """Return whether the outcome of an edit is not known."""
        state = self.state()
        records = () if state is None else state.accounts.values()
        return any(isinstance(each, Active) and each.edit is not None for each in records)

    def holder(self, name: str) -> str:
        state = self.state()
        assert state is not None
        return state.accounts[name].attributes.first_name

    def record_of(self, person: str) -> str | None:
        """Return the name under which the state has a person's account."""
        state = self.state()
        records = {} if state is None else state.accounts
        return next((name for name, each in records.items() if each.attributes.first_name == person), None)

    def alone(self) -> bool:
        """Return whether nobody else is at work, which a person makes sure of before they say what does not exist."""
        return all(each.ended or each is current() for each in self.running)


# ── The commands ─────────────────────────────────────────────────────────────


def _done(site: Site, result: object) -> int:
    """Return the exit code."""
    site.said.append(repr(result))
    if not isinstance(result, Reports):
        return 0
    faults = [each.failure for each in result.reports if isinstance(each.failure, InternalError)]
    site.reference.broken += [f"an internal error: {each.__cause__!r}" for each in faults]
    return int(result.exit_code)


def apply(site: Site, machine: int, _: int) -> int:
    return _applied(site, machine, refresh=False)


def refreshed_apply(site: Site, machine: int, _: int) -> int:
    return _applied(site, machine, refresh=True)


def _applied(site: Site, machine: int, *, refresh: bool) -> int:
    begins = site.state() is None
    project, options = site.opened(machine), site.options()
    plans = project.plan(refresh=refresh, jobs=Inline(), **options)
    bounds = Bounds(new_state=begins, new_recipients=True)
    _plan_to_create(plans)
    return _done(site, project.apply(plans, bounds=bounds, jobs=Inline(), **options))


def review(site: Site, machine: int, _: int) -> int:
    project = site.opened(machine)
    project.save_plan(project.plan(jobs=Inline(), **site.options()), site.root / "plan.json")
    return 0


def apply_reviewed(site: Site, machine: int, _: int) -> int:
    begins = site.state() is None
    project, options = site.opened(machine), site.options()
    plans = project.reviewed(site.root / "plan.json", jobs=Inline(), **options)
    _plan_to_create(plans)
    bounds = Bounds(new_state=begins, new_recipients=True)
    return _done(site, project.apply(plans, bounds=bounds, jobs=Inline(), **options))


def _plan_to_create(plans: Plans) -> None:
    if (runner := current()) is not None:
        runner.planned = [each.account.attributes.first_name for plan in plans.plans for each in plan.creates]


def resolve(site: Site, machine: int, pick: int) -> int:
    """End an unknown outcome: it was not created, if that is true; otherwise give it up."""
    names = site.names(Pending, Unknown)
    if not names:
        return 0
    name = names[pick % len(names)]
    there = site.account_of(site.holder(name)) is not None

    def confirm(*_: object) -> bool:
        return there or (site.alone() and site.account_of(site.holder(name)) is None)

    return _done(site, site.opened(machine).resolve(name, abandon=there, confirm=confirm, **site.options()))


def adopt(site: Site, machine: int, pick: int) -> int:
    """Take over an account that exists: one whose outcome is unknown, or one made by hand."""
    doubtful = [(name, site.account_of(site.holder(name))) for name in site.names(Pending, Unknown, Abandoned)]
    found = [(name, each.login) for name, each in doubtful if each is not None]
    by_hand = [each for each in site.octopush.accounts.values() if each.by_hand and site.record_of(each.person) is None]
    found += [(f"hand-{each.person.lower()}", each.login) for each in by_hand]
    if not found:
        return 0
    adoption = site.opened(machine).adopt([found[pick % len(found)]], alone=True, different=True, **site.options())
    return _done(site, adoption.reports)


def forget(site: Site, machine: int, pick: int) -> int:
    """Forget an account that was deleted by hand; Octopush is asked."""
    deleted = [name for name in site.names(Active) if site.account_of(site.holder(name)) is None]
    if not deleted:
        return 0
    return _done(site, site.opened(machine).forget(deleted[pick % len(deleted)], **site.options())[0])


def rotate(site: Site, machine: int, pick: int) -> int:
    names = site.names(Active)
    if not names:
        return 0
    chosen = [names[pick % len(names)]]
    return _done(site, site.opened(machine).rotate_passwords(chosen, jobs=Inline(), **site.options()))


def rekey(site: Site, machine: int, _: int) -> int:
    """Add or remove the second recipient, in the settings and in what is sealed."""
    site.recipients = [RECIPIENT] if SECOND_RECIPIENT in site.recipients else [RECIPIENT, SECOND_RECIPIENT]
    return _done(site, site.opened(machine).rekey(**site.options())[0])


def refresh(site: Site, machine: int, _: int) -> int:
    return _done(site, site.opened(machine).refresh(jobs=Inline(), **site.options()))


def recover(site: Site, machine: int, _: int) -> int:
    """Put back what lies next to the state on this machine, and what is in the log."""
    project, options = site.opened(machine), site.options()
    _done(site, project.recover(**options))
    if site.log:
        _done(site, project.recover("\n".join(site.log), **options))
    return 0


def mend(site: Site, machine: int, pick: int) -> int:
    """Do what the status calls for; if it calls for nothing, apply."""
    if doubtful := site.names(Pending, Unknown):
        name = doubtful[pick % len(doubtful)]
        command = resolve if site.account_of(site.holder(name)) is None else adopt
    elif site.unfinished() and pick % 2:
        command = rekey
    elif any(each.by_hand and site.record_of(each.person) is None for each in site.octopush.accounts.values()):
        command = adopt
    elif any(site.account_of(site.holder(name)) is None for name in site.names(Active)):
        command = forget if pick % 2 else refresh
    else:
        command = recover if site.log else rotate if pick % 2 else apply
    return command(site, machine, pick)


COMMANDS: Final = {
    each.__name__: each
    for each in (
        apply,
        mend,
        refreshed_apply,
        resolve,
        adopt,
        recover,
        rotate,
        rekey,
        refresh,
        forget,
        review,
        apply_reviewed,
    )
}


# ── How it ends: calm weather, and a person who looks at everything ──────────


@cache
def warm_up() -> None:
    """Have a store prove its bucket: it does so once in a process, and holds a lock meanwhile, across points."""
    clock = Clock()
    backend = ObjectBackend("s3://virtual/proof", lambda *_: VirtualBucket(Objects(), clock, lambda _: None))
    backend.load()
    backend.save(b"{}", "", NOTE, None)


def calm(site: Site) -> None:
    """Settle every doubt, forget what was deleted, and apply twice: the second time, nothing is sent."""
    for machine in range(len(site.homes)):
        _leave_out_what_is_settled(site)
        _alone(site, recover, machine)
    for name in site.names(Pending, Unknown, Abandoned):
        _settle(site, name)
    for name in site.names(Active):
        if site.account_of(site.holder(name)) is None:
            _forget_by_force(site, name)
    _want_what_fits(site)
    if not site.wanted:
        return
    site.write()
    code = _alone(site, apply)
    assert code == 0, f"a calm apply ended with {code}: {site.said[-1]}"
    before, sent = site.raw(), sum(map(len, site.reference.sent.values()))
    code = _alone(site, apply)
    assert (0, before, sent) == (code, site.raw(), sum(map(len, site.reference.sent.values())))
    _require_as_wanted(site)


def _alone(site: Site, command: Callable[[Site, int, int], int], machine: int = 0) -> int:
    """Run a command after every lease has expired, and without a fault."""
    site.clock.advance(660)
    try:
        return command(site, machine, 0)
    except ProvisionerError as error:
        raise AssertionError(f"a calm {command.__name__} was refused: {error.message} {error.hint}") from error


def _leave_out_what_is_settled(site: Site) -> None:
    """Remove rescue lines about accounts that have gone through another operation since, as the refusal asks for."""
    state = site.state()
    if state is None:
        return
    known = {each for record in state.accounts.values() for each in operations_of(record)}

    def is_settled(line: str) -> bool:
        return any(
            entry.operation not in known and entry.name in state.accounts
            for entry in rescue.found_in(line, "the model")
        )

    site.log[:] = [line for line in site.log if not is_settled(line)]
    for path in site.root.rglob("*.rescue"):
        lines = path.read_text().replace("\0", "").split("\n")
        path.write_text("\n".join(line for line in lines if not is_settled(line)))


def operations_of(record: Record) -> frozenset[str]:
    return record.operations if isinstance(record, Active) else frozenset({record.operation.id})


def _settle(site: Site, name: str) -> None:
    """End an unknown or abandoned outcome."""
    person = site.holder(name)
    account = site.account_of(person)
    if account is None:
        # The account was never created, or was created and deleted by hand.
        _forget_by_force(site, name)
        return
    if not any(each.person == person for each in site.wanted.values()):
        site.wanted[name] = Wanted(person, str(account.fields["last_name"]))
        site.write()
    site.clock.advance(660)
    site.opened(0).adopt([(name, account.login)], alone=True, different=True, **site.options())


def _forget_by_force(site: Site, name: str) -> None:
    site.clock.advance(660)
    site.opened(0).forget(name, force=True, **site.options())


def _want_what_fits(site: Site) -> None:
    """Take out of the manifest what there is no slot for; it is never empty."""
    state = site.state()
    free = LIMIT - RESERVED - (0 if state is None else len(state.accounts))
    missing = [name for name, each in site.wanted.items() if site.record_of(each.person) is None]
    for name in missing[max(0, free) :]:
        del site.wanted[name]
    if not site.wanted and state is not None and state.accounts:
        name = next(iter(state.accounts))
        account = site.account_of(site.holder(name))
        assert account is not None
        site.wanted[name] = Wanted(account.person, str(account.fields["last_name"]))


def _require_as_wanted(site: Site) -> None:
    state = site.state()
    assert state is not None
    for name, wanted in site.wanted.items():
        record, account = state.accounts[name], site.account_of(wanted.person)
        assert isinstance(record, Active)
        assert account is not None
        assert wanted.last_name == account.fields["last_name"]
        credentials = content_of(state, name, record).credentials
        assert credentials is not None
        assert (account.login, account.key) == (credentials.api_login, credentials.api_key.reveal())
