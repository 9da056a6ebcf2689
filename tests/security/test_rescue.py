"""Outcomes that are printed because no disk took them: nothing else passes for one, and none is lost."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import provisioner
from provisioner import Bounds, Folders, Reporter
from provisioner.cli.console import Console, LogConsole
from provisioner.cli.reporter import ConsoleReporter
from provisioner.errors import InternalError, StateInvalid
from provisioner.model.account import Origin, Problem, Severity
from provisioner.model.rescue import MARK
from provisioner.model.state import Active, Unknown
from provisioner.octopush.transport import BODY_CAP, Reply, Request
from provisioner.project.parts import Parts
from provisioner.render.events import Event
from provisioner.render.lines import Line
from provisioner.state import codec, rescue
from provisioner.state.disk import Disk
from provisioner.state.sealing import new_identity
from provisioner.state.stores.local import LocalStore
from tests.state import ACTIVE, STATE, UNKNOWN, full

FORGED = f"{MARK} " + json.dumps(
    {"lineage": "lineage-1", "parent": "default", "name": "lima", "operation": "op-1", "record": None}
)
HONEST = rescue.RescueEntry("lineage-1", "default", "lima", "op-1", ACTIVE)


class Terminal(io.TextIOWrapper):
    """A stream that keeps what is written, and is not a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


def spoken(kind: type[Console]) -> tuple[Console, Callable[[], str]]:
    """Return a console, and a function that returns what it has printed so far on both of its streams."""
    out, err = Terminal(), Terminal()
    return kind(Terminal(), out, err, {}), lambda: err.text + out.text


# ── What else is printed ─────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", [Console, LogConsole])
@pytest.mark.parametrize("value", [FORGED, f"\n{FORGED}", f"{MARK} {{", f'"{MARK}": {{', json.dumps({MARK: {}})])
def test_only_a_rescue_line_is_read_as_a_rescue(kind: type[Console], value: str) -> None:
    console, said = spoken(kind)
    console.talk(value, Line(value))
    console.warn(value)
    console.failure(StateInvalid(value, hint=value), value)
    console.problem(Problem(Origin(value), value, value, value, Severity.ERROR))
    console.event("info", Event.RESCUE, message=value, account=value)
    console.raw(value + "\n")
    console.lines([Line(value)])
    console.data(value + "\n")
    console.document({"version": 1, "reports": [value], value: value})
    assert "rescue" in said()
    assert () == rescue.found_in(said(), "run.log")
    assert console.last_resort(rescue.encode(HONEST))
    assert (HONEST,) == rescue.found_in(said(), "run.log")


def test_json_keeps_values_that_look_like_a_rescue() -> None:
    console, said = spoken(Console)
    console.document({"name": FORGED})
    assert {"name": FORGED} == json.loads(said())


# ── What a log may do ────────────────────────────────────────────────────────


class Warned(Reporter):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, message: str) -> None:
        self.warnings.append(message)


def test_no_log_frees_the_slot_of_an_unknown(tmp_path: Path) -> None:
    path = tmp_path / "state" / "default.json"
    path.parent.mkdir()
    path.write_bytes(before := codec.encode(replace(STATE, accounts={"lima": UNKNOWN})))
    folders = Folders(tmp_path / "config", tmp_path / "seen")
    project = provisioner.Project.open(tmp_path, environ={}, folders=folders)
    hears = Warned()
    line = FORGED.replace("op-1", UNKNOWN.operation.id).replace("lineage-1", STATE.lineage)
    (recovered,) = project.recover(f"{line}\n", "run.log", reporter=hears)
    assert (before, recovered.before) == (path.read_bytes(), recovered.after)
    (warning,) = hears.warnings
    assert (
        "a log cannot free a slot. If you know that it is right, run `provisioner resolve lima --not-created`."
        in warning
    )


# ── Whatever happens between the answer and the save ─────────────────────────


class Broken(Disk):
    """A disk that fails after the request was answered."""

    def __init__(self, error: Callable[[], None]) -> None:
        self.fails = False
        self.rescues = True
        self._error = error

    def write(self, descriptor: int, data: bytes) -> None:
        if self.fails and not (self.rescues and data.startswith((MARK.encode(), b"\0"))):
            self._error()
        super().write(descriptor, data)


class Answering:
    """Gives every request the same answer."""

    def __init__(self, disk: Broken, reply: Reply) -> None:
        self._disk = disk
        self._reply = reply

    def exchange(self, request: Request) -> Reply:
        assert "POST" == request.method or self._reply.status
        self._disk.fails = True
        return self._reply


def unexpected() -> None:
    raise RuntimeError("nobody expected this")


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., tuple[Path, str]]:
    """Apply one account, and return the path of the state and what was printed."""

    def applied(disk: Broken, reply: Reply, company: str = "Pizza", kind: type[Console] = Console) -> tuple[Path, str]:
        identity, recipient = new_identity()
        (tmp_path / "manifests").mkdir()
        account = {"name": "lima", "first_name": "Ada", "last_name": "Lovelace", "company_name": company}
        (tmp_path / "manifests" / "a.yaml").write_text(json.dumps({"version": 1, "accounts": [account]}))
        environ = {
            "OCTOPUSH_API_LOGIN": "me@example.com",
            "OCTOPUSH_API_KEY": "key",
            "PROVISIONER_RECIPIENTS": recipient,
            "PROVISIONER_IDENTITY": identity.reveal(),
        }
        parts = Parts(lambda place: LocalStore(Path(place.address), disk), lambda _: Answering(disk, reply))
        folders = Folders(tmp_path / "config", tmp_path / "seen")
        project = provisioner.Project.open(tmp_path, environ=environ, folders=folders, parts=parts)
        console, said = spoken(kind)
        reports = project.apply(project.plan(), bounds=Bounds(new_state=True), reporter=ConsoleReporter(console))
        for each in reports.reports:
            if each.failure is not None:
                console.failure(each.failure)
            assert each.failure is None or isinstance(each.failure, InternalError)
        disk.fails = False
        return tmp_path / "state" / "default.json", said()

    return applied


CREATED = Reply(201, {}, b'{"api_login": "ada@example.com", "api_key": "the-key-4711"}')


@pytest.mark.parametrize("fault", [full, unexpected], ids=["a full disk", "a fault of this program"])
@pytest.mark.parametrize("rescues", [True, False], ids=["kept next to the state", "printed"])
@pytest.mark.parametrize("kind", [Console, LogConsole])
@pytest.mark.parametrize("company", ["Pizza", f"{MARK} {{", f'"{MARK}": {{'])
def test_credentials_are_kept_whatever_fails_after_the_answer(
    run: Callable[..., tuple[Path, str]], fault: Callable[[], None], kind: type[Console], company: str, *, rescues: bool
) -> None:
    disk = Broken(fault)
    disk.rescues = rescues
    path, said = run(disk, CREATED, company, kind)
    kept = LocalStore(path).rescued()
    entries = rescue.decode(kept, "it") if rescues else rescue.found_in(said, "run.log")
    assert (True, 1, "lima") == (bool(kept) is rescues, len(entries), entries[0].name)
    assert isinstance(entries[0].record, Active)
    assert company == entries[0].record.attributes.company_name
    assert "the-key-4711" not in said + kept.decode()


def test_the_largest_answer_fits_into_the_reserved_space(run: Callable[..., tuple[Path, str]]) -> None:
    path, _ = run(Broken(full), Reply(502, {}, b"\1" * BODY_CAP))
    kept = path.with_name(f"{path.name}.rescue")
    (entry,) = rescue.decode(LocalStore(path).rescued(), "it")
    assert isinstance(entry.record, Unknown)
    assert len(LocalStore(path).rescued()) > 8 * BODY_CAP
    assert kept.stat().st_size > len(LocalStore(path).rescued())
    # The space was reserved before the request: nothing was added.
    assert kept.read_bytes().endswith(b"\0")
