"""The layer ``disk``: recoveries on every state in which a power cut could have left the disk of a run.

A *scene*, one run or two, is recorded once on a forgetful disk, with the sandbox's ledger and what the
runs print on the same disk, so that one log has the order of everything. Then, for each point of the
log, the legal states are built in the same place on an ordinary disk, the sandbox gets the accounts
that it had at that point, and the subject recovers. Each state is a run of the layer.

What was acknowledged must be held at once: what a run has printed as created, what was created before
a later request for the same parent, and what the state held when a run had ended.
"""

from __future__ import annotations

import random
import re
import shutil
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.proof import checker
from tests.proof.chaos import Outcome, Subject, concluded
from tests.proof.chaos.grounds import Ground, new_ground, serving_sandbox
from tests.proof.chaos.subject import Provisioner
from tests.proof.chaos.tracing import NotSupported, Run, run
from tests.proof.disk import log, mount
from tests.proof.disk.states import Disk, Tree

_REMEMBERED: Final = ("ground/sandbox", "ground/run/harness")
"""The folders of other machines: the sandbox's, and that of whoever reads what the runs print."""
_USUAL: Final = 2000
_CUT: Final = -9
"""The exit code of a run whose power was cut."""

# ── Scenes ───────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Stage:
    """A scene while it is recorded."""

    top: Path
    """The top folder of the disk."""
    recording: Path
    ground: Ground
    subject: Subject
    played: list[Played] = field(default_factory=list)

    def order(self, name: str, value: str = "") -> None:
        """Give the disk an order."""
        mount.order(self.top, name, value)

    def settle(self) -> None:
        """Have everything so far last."""
        self.order("settle")
        self._note([])

    def run(self) -> None:
        """Run the subject's command to its end, or to its death."""
        self._note([run(self.subject.command(self.ground))])

    def _note(self, runs: Sequence[Run]) -> None:
        held = () if any(each.killed for each in runs) else self.subject.holding(self.ground, runs).held
        logins = frozenset(each.login for each in held)
        self.played.append(Played(len(log.read(self.recording)), len(self.ground.created()), logins))


@dataclass(frozen=True, slots=True)
class Played:
    """A run that was recorded, or all that came before."""

    end: int
    """The length of the log when it had ended."""
    created: int
    """How many accounts there were then."""
    held: frozenset[str]
    """The logins that the subject held then, if it was not killed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is recorded."""

    name: str
    play: Callable[[Stage], None]
    parents: Sequence[str] = ("default",)
    ours: Subject | None = None
    """The subject, if not every one can play it."""

    @property
    def group(self) -> str:
        """The first word of its name: scenes that are alike have it in common."""
        return self.name.partition(" ")[0]


def _first(stage: Stage) -> None:
    """The first apply: there is neither a state nor a folder for it."""
    stage.settle()
    stage.run()


def _later(stage: Stage) -> None:
    """An apply that finds accounts and creates more."""
    stage.run()
    stage.ground.names = (*stage.ground.names, "oslo", "lima")
    stage.subject.prepare(stage.ground)
    stage.settle()
    stage.run()


def _refused(stage: Stage) -> None:
    """The disk refuses the save after the first create, whose credentials go to the rescue file; another apply."""
    stage.settle()
    stage.order("fail", "2 default.json")
    stage.run()
    stage.run()


def killed(after: int, folder: str) -> Scene:
    """Return the scene in which the first apply is killed, ``after`` so many changes in ``folder``; another apply."""

    def play(stage: Stage) -> None:
        stage.settle()
        stage.order("kill", f"{after} /{folder}")
        stage.run()
        stage.order("kill", "0 /")
        stage.run()

    return Scene(f"killed after {after} in {folder.rpartition('/')[2]}", play)


FIRST: Final = Scene("first", _first)
SCENES: Final = (
    FIRST,
    Scene("later", _later),
    Scene("refused", _refused),
    Scene("parents", _first, ("north", "south")),
    Scene("edit", _first, ours=Provisioner.editing()),
    Scene("rekey", _first, ours=Provisioner.rekeying()),
)

# ── The layer ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Case:
    """A state that a power cut could leave."""

    take: Take
    cut: int
    tree: Tree
    acknowledged: frozenset[str]
    """The logins of which the credentials had been acknowledged as saved."""


@dataclass(slots=True)
class Take:
    """A scene that was recorded, and the place of its disk, which only one run can use at a time."""

    scene: Scene
    folder: Path
    ground: Ground
    played: Sequence[Played]
    operations: Sequence[log.Operation]
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(slots=True)
class ForgetfulDisk:
    """See the module."""

    scenes: Sequence[Scene] = SCENES
    kills: bool = True
    """Whether runs are killed too, wherever the names in a folder are about to be synced."""
    bound: int = 100
    """Legal states at one cut, beyond which a sample of them is taken."""
    seed: int = 0
    name: str = "disk"
    short: bool = False  # its own test has a shorter one
    cuts: int = 0
    """How many points of the logs there are."""
    whole: int = 0
    """At how many of them every legal state is found."""
    _cases: list[Case] = field(default_factory=list)

    @property
    def about(self) -> str:
        """What it does, with the numbers that are known once it is opened."""
        at = f" at {self.cuts:,} moments (every legal state at {self.whole:,} of them)" if self.cuts else ""
        return f"power cuts{at}: what was not synced is lost, whole or in part"

    @property
    def usual(self) -> int:
        """As many as five quiet minutes allow."""
        return min(_USUAL, self.cases)

    @property
    def cases(self) -> int:
        """How many different states there are."""
        return len(self._cases)

    @contextmanager
    def opened(self, subject: Subject, folder: Path) -> Iterator[None]:
        """Record the scenes, and find the states."""
        if why := mount.missing():
            raise NotSupported(why)
        drawn = random.Random(f"disk {self.seed}")  # noqa: S311  # it hides nothing
        self._cases, self.cuts, self.whole = [], 0, 0
        scenes = [*self.scenes]
        found: dict[str, list[Case]] = {}
        for number, scene in enumerate(scenes):
            take = _recorded(scene, subject, folder / str(number))
            found.setdefault(scene.group, []).extend(self._states(take, drawn))
            if self.kills and scene is FIRST:
                scenes += _kills(take)
        for each in found.values():
            drawn.shuffle(each)
        # By turns: a few runs meet every kind of scene.
        self._cases = [case for turn in zip_longest(*found.values()) for case in turn if case is not None]
        yield

    def _states(self, take: Take, drawn: random.Random) -> Iterator[Case]:
        """Yield every state that is found, each once."""
        start = max(at for at, each in enumerate(take.operations) if isinstance(each, log.Settle))
        disk = Disk(_REMEMBERED)
        seen = set()
        for cut, operation in enumerate(take.operations, 1):
            disk.follow(operation)
            if cut <= start:
                continue
            trees, is_all = disk.states(self.bound, drawn)
            self.cuts += 1
            self.whole += is_all
            for tree in trees:
                acknowledged = _acknowledged(tree, take, cut)
                if (tree, acknowledged) not in seen:
                    seen.add((tree, acknowledged))
                    yield Case(take, cut, tree, acknowledged)

    def run(self, seed: int, subject: Subject, folder: Path) -> Outcome:
        """Build one of the states, and have the subject recover."""
        del folder
        case = self._cases[seed % len(self._cases)]
        take, ground = case.take, case.take.ground
        subject = take.scene.ours or subject
        with take.lock:
            _build(case.tree, take.folder)
            printed = sorted((ground.root / "harness").glob("*.out"))
            runs = [Run(_CUT, path.read_text("utf-8", "replace")) for path in printed]
            port = str(urlsplit(ground.url).port)
            with serving_sandbox(ground.ledger, ground.parents, ("--port", port)):
                done = concluded(ground, subject, runs, faults=1, arrived=case.acknowledged)
        return done.of(f"{take.scene.name}, cut after {case.cut} entries of the log")


def _recorded(scene: Scene, subject: Subject, folder: Path) -> Take:
    """Play a scene on a forgetful disk, which becomes an ordinary folder."""
    top, recording = folder / "disk", folder / "log"
    top.mkdir(parents=True)
    subject = scene.ours or subject
    with mount.mounted(top, recording), new_ground(top / "ground", subject, parents=scene.parents) as ground:
        (ground.root / "harness").mkdir(exist_ok=True)
        stage = Stage(top, recording, ground, subject)
        scene.play(stage)
    return Take(scene, top, ground, stage.played, log.read(recording)[: stage.played[-1].end])


def _kills(take: Take) -> Iterator[Scene]:
    """Yield the scenes in which the run of ``take`` is killed right before it syncs a folder."""
    disk = Disk()
    for operation in take.operations:
        disk.follow(operation)
    start = max(at for at, each in enumerate(take.operations) if isinstance(each, log.Settle))
    for folder in ("ground/run/project", "ground/run/home"):
        done = 0
        for operation in take.operations[start + 1 :]:
            if not disk.paths[log.about(operation)].startswith(f"{folder}/"):
                continue
            if isinstance(operation, log.Sync) and disk.is_folder(operation.inode):
                yield killed(done, folder)
            done += 1


def _acknowledged(tree: Tree, take: Take, cut: int) -> frozenset[str]:
    """Return the logins of which the credentials had been acknowledged as saved when the power was cut."""
    contents = {path: content.decode("utf-8", "replace") for path, _, content in tree if path.startswith(_REMEMBERED)}
    created = checker.ledger_of(contents.get("ground/sandbox/ledger.jsonl", ""), take.ground.parent_of)
    printed = "".join(text for path, text in contents.items() if path.endswith(".out"))
    # With several parents, a line says whose account it is: two can have one of the same name.
    several = len(take.ground.parents) > 1
    found = {
        each.login
        for each in created
        if re.search(
            rf"{f'{re.escape(each.name[0])}: ' if several else ''}\bcreated +{re.escape(each.name[1])}$",
            printed,
            re.MULTILINE,
        )
    }
    begun = 0
    for played in take.played:
        mine = created[begun : played.created]
        for parent in take.ground.parents:
            *sure, _ = [each.login for each in mine if each.name[0] == parent] or [""]
            found.update(sure)
        if cut >= played.end:
            found |= played.held
        begun = played.created
    return frozenset(found)


def _build(tree: Tree, folder: Path) -> None:
    """Make ``folder`` what the tree says."""
    shutil.rmtree(folder)
    for path, mode, content in tree:
        place = folder / path
        if stat.S_ISDIR(mode):
            place.mkdir()
        else:
            place.write_bytes(content)
        place.chmod(stat.S_IMODE(mode))
