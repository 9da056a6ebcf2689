"""A project: its settings, its parents, and one method for each thing that can be done with them.

Owns the public Python API; each method's work is a module of its own, loaded when it is
called. Refuses to print, to ask, to read any environment but the one that it is given,
and to touch what belongs to the process: signals, streams, the garbage collector.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from provisioner.errors import CommandInvalid
from provisioner.model.state import require_recipients
from provisioner.project.cancel import Cancel, CancelToken
from provisioner.project.parent import Parent
from provisioner.project.parts import USUAL, Parts
from provisioner.project.reporter import SILENT, Reporter
from provisioner.project.running import JOBS, READS_PER_SECOND, Jobs, RunContext
from provisioner.project.workspace import Workspace
from provisioner.settings import Settings, loading

if TYPE_CHECKING:
    from datetime import datetime

    from provisioner.manifest.load import Loaded
    from provisioner.model.revision import Revision
    from provisioner.model.shard import Shard
    from provisioner.model.state import State
    from provisioner.model.status import ParentStatus
    from provisioner.project.adopting import Adoption
    from provisioner.project.applying import Approve
    from provisioner.project.bounds import Bounds
    from provisioner.project.credentials import Listed, Opened
    from provisioner.project.deciding import Confirm
    from provisioner.project.examining import Check
    from provisioner.project.folders import Folders
    from provisioner.project.history import ParentHistory
    from provisioner.project.outputs import OutputKind
    from provisioner.project.plans import Plans
    from provisioner.project.recovering import Accept, Recovered
    from provisioner.project.rekeying import Approve as ApproveRekey
    from provisioner.project.rekeying import Rekey
    from provisioner.project.reports import Reports
    from provisioner.project.rotating import Approve as ApproveRotation
    from provisioner.project.spreading import Cluster
    from provisioner.project.states import Moved, Prepared
    from provisioner.settings.readers import Readers
    from provisioner.state.lease import Lease


class Project:
    """A project, open for use; safe to share between threads, and to open as often as you like.

    Every method that takes ``parents`` works on those, or on all where none is named. One
    that takes a ``shard`` works on those of them that fall to it; there may be none. One that
    takes ``jobs`` works on as many parents at once; an executor of threads may be given
    instead. What happens meanwhile is reported to ``reporter``, and ``cancel`` ends the work
    between two requests.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def settings(self) -> Settings:
        """The settings, as they were read when the project was opened."""
        return self._workspace.settings

    @property
    def readers(self) -> Readers:
        """Who reads the project's placeholders, and which of them."""
        return self._workspace.readers

    @classmethod
    def open(
        cls,
        path: Path | str | None = None,
        *,
        environ: Mapping[str, str],
        flags: Mapping[str, object] | None = None,
        folders: Folders | None = None,
        folder: Path | None = None,
        interactive: bool = False,
        parts: Parts = USUAL,
    ) -> Project:
        """Return the project at ``path``, its folder or its ``provisioner.yaml``; None: that of the current folder.

        ``environ`` is the environment, usually ``os.environ``: settings, credentials and
        placeholders are read from it, and commands are run with it. ``flags`` holds
        settings that are stronger than both, by their name. ``folders`` are the user's own;
        None: those of the user who runs the process. With ``interactive``, a person is at a
        terminal: a command that prints the identity may ask them on standard error, and where
        PROVISIONER_PLACEHOLDERS is not set, placeholders may read any variable and file of the
        project but our own secrets; otherwise none. Manifests and states that
        nobody names are looked for in ``folder``; None: that of the project. ``parts``
        replaces what the project is made of.

        Raises:
            SettingInvalid: a file, variable or flag is not what its setting may be, or the
                heartbeat would be sent one of our own secrets.

        """
        from provisioner.project.folders import Folders  # imported above for its type alone

        named = None if path is None else Path(path)
        is_folder = named is not None and named.is_dir()
        found = Path() if named is None else named if is_folder else named.parent
        base = found if folder is None else folder
        # A folder that the caller names is stronger than a file that the environment names.
        known = {name: text for name, text in environ.items() if not is_folder or name != loading.CONFIG}
        settings = loading.load(None if is_folder else named, known, flags or {}, folder=base)
        own = folders or Folders.of_user()
        return cls(Workspace(settings, base, environ, own, parts, interactive=interactive))

    # ── Its parents ──────────────────────────────────────────────────────────

    def parents(self, names: Sequence[str] = (), *, shard: Shard | None = None) -> tuple[Parent, ...]:
        """Return the parents of these names, or all of the settings, sorted by name; raises SettingInvalid.

        With ``shard``, those of them that fall to it; there may be none.
        """
        return self._workspace.parents(names, shard)

    @property
    def has_identity(self) -> bool:
        """Whether an identity was given anywhere; whether it is the right one is another matter."""
        return self._workspace.keys.has_identity()

    def owner_of(self, name: str, parents: Sequence[str] = (), reporter: Reporter = SILENT) -> Parent:
        """Return the parent whose state has the account ``name``; raises CommandInvalid where that is not certain."""
        from provisioner.project.accounts import owner_of

        return owner_of(name, self.parents(parents), reporter)

    def files(self, manifests: Sequence[Path] = ()) -> dict[Path, str]:
        """Return the files of this project that no other file may replace, and what each of them is."""
        from provisioner.project.outputs import project_files

        return project_files(self._workspace, manifests)

    def require_place(self, out: Path, kind: OutputKind, taken: Mapping[Path, str] | None = None) -> None:
        """Return if a file of ``kind`` may be written to ``out``; ``taken`` are :meth:`files`, and others.

        Raises:
            CommandInvalid: something else is there, or nothing can be written there.

        """
        from provisioner.project.outputs import require_place

        require_place(out, kind, self.files() if taken is None else taken, self._workspace.folder)

    def account_names(
        self, statuses: Collection[str], *, planned: bool = False, parents: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the names of accounts in one of ``statuses``; with ``planned``, of those that only a manifest has too.

        For whoever offers them to a person: nothing is asked of a server. Of a parent whose state is kept on one,
        the names are those of the manifests. What cannot be read has none. Raises SettingInvalid.
        """
        from provisioner.project import naming

        return naming.accounts(self._workspace, parents, statuses, planned=planned)

    # ── Manifests and plans ──────────────────────────────────────────────────

    def validate(self, paths: Sequence[Path] = ()) -> Loaded:
        """Return what the manifests hold, and every problem of them; raises CommandInvalid where there is none."""
        from provisioner.project.plans import loaded, manifest_paths

        return loaded(self._workspace, manifest_paths(self._workspace, paths), SILENT)

    def plan(
        self,
        paths: Sequence[Path] = (),
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        only: Sequence[str] = (),
        refresh: bool = False,
        wait: bool = False,
        jobs: Jobs = JOBS,
        rate: float | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Plans:
        """Return what an apply would do, for every parent that the manifests at ``paths`` name.

        Without ``paths``, the folder ``manifests/`` is read. Nothing is held, saved or sent,
        and no secret is needed, unless ``refresh`` asks what stands at Octopush now: then
        the credentials and an identity are. With ``wait``, for plans that will be applied at
        once, a run that is at work is waited for as long as the setting ``lock_timeout`` says.
        A parent that cannot be planned is in ``failures``. With ``only``, just the accounts of
        these names are planned, and each plan counts what it leaves out.

        Raises:
            ManifestInvalid: a manifest has an error; every problem has been reported.
            CommandInvalid: there is no manifest, or none has an account of ``only``.
            SettingInvalid: the proxy or the authorities of the settings cannot be used.

        """
        from provisioner.project import plans

        run = self._run(reporter, cancel, rate or READS_PER_SECOND, sends=refresh)
        return plans.plan(
            self._workspace, paths, parents, run, shard=shard, only=only, refresh=refresh, wait=wait, jobs=jobs
        )

    def require_sealer(self, plans: Plans) -> None:
        """Refuse ``plans`` of which an apply could seal nothing; raises SettingInvalid."""
        if any(plan.pending for plan in plans.plans):
            require_recipients(self.settings.recipients)

    def save_plan(self, plans: Plans, out: Path) -> str:
        """Save ``plans`` to ``out``, for :meth:`reviewed`, and return their digest.

        Raises:
            CommandInvalid: it cannot be written there, or a parent could not be planned.

        """
        from provisioner.project import outputs, saved

        if plans.failures:
            raise CommandInvalid(f"Nothing is saved to {out}: {', '.join(plans.failures)} could not be planned.")
        document = saved.document(plans, self.settings)
        self.require_place(out, outputs.PLAN, self.files(plans.manifests))
        outputs.write_json(out, document, outputs.PLAN)
        return str(document["digest"])

    def digest(self, plans: Plans) -> str:
        """Return the digest of ``plans``, as :meth:`save_plan` writes it and every format for a reviewer shows it."""
        from provisioner.project import saved

        return str(saved.document(plans, self.settings)["digest"])

    def reviewed(
        self,
        path: Path,
        *,
        digest: str | None = None,
        jobs: Jobs = JOBS,
        rate: float | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Plans:
        """Return the plans that were saved to ``path``, made again and found to be the same.

        ``digest`` is that of the plan that was reviewed; None: whatever is there is meant.
        A parent whose plan comes out differently is in ``failures``.

        Raises:
            PlanStale: the manifests or settings have changed, no parent's plan is the same, it is
                not a saved plan, or not that of ``digest``.
            CommandInvalid: there is no such file, or ``digest`` is none.

        """
        from provisioner.project import saved

        this = saved.read(path, digest)
        run = self._run(reporter, cancel, rate or READS_PER_SECOND, sends=this.refreshed)
        return saved.again(this, self._workspace, run, jobs)

    def apply(
        self,
        plans: Plans,
        *,
        approve: Approve | None = None,
        bounds: Bounds | None = None,
        jobs: Jobs = JOBS,
        cluster: Cluster | None = None,
        rate: float | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Reports:
        """Carry ``plans`` out, and return what became of every account.

        With a ``cluster``, its workers do, each one parent at a time, with credentials of
        their own environment.

        ``approve`` is shown the plans, once all that can be checked was checked, and before
        anything is held or sent; None: nobody is asked. A parent whose state has moved since
        is planned again, and refused if that comes out differently. Unless ``bounds`` allow it,
        no state is begun, and nothing is created that looks like a renamed account. ``rate``
        bounds the requests that begin in a second, over all parents; None: no bound.

        A parent's trouble is in its report; nothing is raised once the first request was sent.

        Raises:
            OverThreshold: the plans exceed ``bounds``.
            InterruptedRunError: ``approve`` returned False.
            ProvisionerError: there is one parent, and nothing can be done for it.

        """
        from provisioner.project import applying
        from provisioner.project import bounds as bounding

        run = self._run(reporter, cancel, rate, sends=True)
        return applying.apply(
            self._workspace,
            plans,
            run,
            approve=approve,
            bounds=bounds or bounding.Bounds(),
            jobs=jobs,
            cluster=cluster,
        )

    def examine(
        self,
        *,
        parents: Sequence[str] = (),
        offline: bool = False,
        jobs: Jobs = JOBS,
        rate: float = READS_PER_SECOND,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Check, ...]:
        """Look whether settings, manifests, keys, states and credentials work, before they are needed.

        Nothing is changed. ``offline``: Octopush is not asked whether it accepts the credentials.
        """
        from provisioner.project import examining

        run = self._run(reporter, cancel, rate, sends=not offline)
        return examining.examine(self._workspace, parents, run, jobs, offline=offline)

    # ── What is known, and what is there ─────────────────────────────────────

    def status(
        self,
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        balances: bool = False,
        jobs: Jobs = JOBS,
        rate: float = READS_PER_SECOND,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[ParentStatus, ...]:
        """Return every parent's state and, where ``balances`` are asked for, what each account has left."""
        from provisioner.project import status

        run = self._run(reporter, cancel, rate, sends=balances)
        return status.status(self._chosen(parents, shard, reporter), run, balances=balances, jobs=jobs)

    def refresh(
        self,
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        jobs: Jobs = JOBS,
        rate: float = READS_PER_SECOND,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Reports:
        """Read every active account at Octopush, compare it with what was sent, and save what differs.

        Nothing is changed at Octopush. Raises StateConflict where no parent has a state.
        """
        from provisioner.project import refresh

        run = self._run(reporter, cancel, rate, sends=True)
        return refresh.refresh(self._chosen(parents, shard, reporter), run, jobs)

    def verify(
        self,
        names: Sequence[str] = (),
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        jobs: Jobs = JOBS,
        rate: float = READS_PER_SECOND,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Reports:
        """Compare the credentials of all active accounts, or of ``names``, with their records and with Octopush.

        Raises:
            CommandInvalid: an account of ``names`` is not known, or is that of several parents.
            StateConflict: the login of one of them is not known, or no parent has a state.

        """
        from provisioner.project import verify

        run = self._run(reporter, cancel, rate, sends=True)
        return verify.verify(verify.chosen(self._chosen(parents, shard, reporter), names, reporter), run, jobs)

    # ── Credentials ──────────────────────────────────────────────────────────

    def open_credentials(
        self,
        names: Sequence[str] = (),
        *,
        parents: Sequence[str] = (),
        since: datetime | None = None,
        verified: bool = False,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Opened, ...]:
        """Open the credentials of ``names``, of all active accounts, or of those created ``since`` a time in UTC.

        With ``verified``, only once Octopush itself has confirmed that all of them are right.

        Raises:
            SettingInvalid, IdentityRejected: nobody here can open them.
            Unverified: one of them is not known to be right.
            CommandInvalid, StateConflict: one of ``names`` is not known, or nothing is kept of it.

        """
        from provisioner.project import credentials

        run = self._run(reporter, cancel, READS_PER_SECOND, sends=verified)
        return credentials.chosen(self._workspace, parents, names, run, since=since, verified=verified)

    def list_credentials(self, *, parents: Sequence[str] = (), reporter: Reporter = SILENT) -> Listed:
        """Open the credentials of all active accounts, as many as there are: one that is damaged stops no other.

        Raises:
            SettingInvalid, IdentityRejected: nobody here can open those of the only parent.
            StateError: there is no state, or that of the only parent cannot be used.

        """
        from provisioner.project import credentials

        return credentials.listed(self._workspace, parents, self._run(reporter, None, READS_PER_SECOND, sends=False))

    def inherited(self, given: Sequence[str] = ()) -> dict[str, str]:
        """Return what a command that works as one account may know of the environment: no key to another account."""
        from provisioner.project.credentials import inherited

        return inherited(self._workspace, given)

    # ── What was done ────────────────────────────────────────────────────────

    def history(
        self,
        name: str | None = None,
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        since: datetime | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[ParentHistory, ...]:
        """Return every operation of each parent, or of the account ``name``, ``since`` a time in UTC; newest first.

        Needs no secret. A parent whose history cannot be read has a ``failure``. Raises
        CommandInvalid where neither a history nor a state has the account.
        """
        from provisioner.project import history

        return history.history(self._chosen(parents, shard, reporter), name, since, reporter)

    # ── What a person decides ────────────────────────────────────────────────

    def resolve(
        self,
        name: str,
        *,
        abandon: bool,
        parents: Sequence[str] = (),
        confirm: Confirm | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> State:
        """End an unknown outcome: ``abandon`` keeps its slot; else it does not exist, and its slot is free.

        Returns the state that follows. Raises CommandInvalid where there is no such account, or its outcome is known.
        """
        from provisioner.project import deciding

        run = self._run(reporter, cancel, None, sends=False)
        return deciding.resolve(self.owner_of(name, parents, reporter), name, run, abandon=abandon, confirm=confirm)

    def forget(
        self,
        name: str,
        *,
        force: bool = False,
        parents: Sequence[str] = (),
        confirm: Confirm | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Reports, str]:
        """Take an account that Octopush no longer knows out of the state; with ``force``, without asking Octopush.

        Returns the report, and where what was known of it is kept, sealed. Raises
        StateConflict where Octopush still knows it, or could not be asked.
        """
        from provisioner.project import deciding

        run = self._run(reporter, cancel, None, sends=not force)
        return deciding.forget(self.owner_of(name, parents, reporter), name, run, force=force, confirm=confirm)

    def rotate_passwords(
        self,
        names: Sequence[str] | None,
        paths: Sequence[Path] = (),
        *,
        parents: Sequence[str] = (),
        approve: ApproveRotation | None = None,
        jobs: Jobs = JOBS,
        rate: float | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Reports:
        """Give the accounts ``names`` new passwords; None: all active accounts of ``parents``.

        Where the manifests at ``paths`` give a password, it is that one, or else a generated one.
        ``approve`` is shown what is about to happen, before anything is held or sent; None: nobody
        is asked. An account that cannot get a password now, because it is not at Octopush as it should
        be or an earlier change is not finished, is in the report, and so is a parent's trouble.

        Raises:
            CommandInvalid: an account of ``names`` is not known, or is that of several parents.
            StateConflict: the login of one of them is not known, or no parent has a state.
            InterruptedRunError: ``approve`` returned False.
            ProvisionerError: there is one account, or one parent, and nothing can be sent for it.

        """
        from provisioner.project import rotating

        run = self._run(reporter, cancel, rate, sends=True)
        return rotating.rotate(self._workspace, self.parents(parents), names, paths, run, jobs, approve=approve)

    def rekey(
        self,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        parents: Sequence[str] = (),
        approve: ApproveRekey | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Reports, tuple[Rekey, ...]]:
        """Open everything and seal it again, each parent in one save.

        To the recipients of the settings, with ``add`` and ``remove`` to those with these
        changes; never to one that only the state names. Returns the report, and what was done
        to each parent.

        Raises:
            Refused: whoever runs it could not open it any more.

        """
        from provisioner.project import rekeying

        run = self._run(reporter, cancel, None, sends=False)
        return rekeying.rekey(self.parents(parents), run, add=add, remove=remove, approve=approve)

    def recover(
        self,
        log: str | None = None,
        source: str = "the log",
        *,
        only: str | None = None,
        accept_state: bool = False,
        parents: Sequence[str] = (),
        approve: Accept | None = None,
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Recovered, ...]:
        """Put back what was rescued when a state could not be saved: next to the state, or in the text ``log``.

        ``source`` names the log in messages; ``only`` is the one account to put back from it.
        With ``accept_state``, a state is taken as it stands, though this machine has seen another.

        Raises:
            StateConflict, StateForeign: an outcome belongs to another state, or the account is another by now.

        """
        from provisioner.project import recovering

        entries = () if log is None else recovering.entries_in(log, source, only)
        run = self._run(reporter, cancel, None, sends=False)
        return recovering.recover(self.parents(parents), entries, run, accept_state=accept_state, approve=approve)

    # ── The state as a whole ─────────────────────────────────────────────────

    def pull_state(self, *, parents: Sequence[str] = ()) -> bytes:
        """Return the document of the one parent's state as its store has it; raises StateConflict: there is none."""
        from provisioner.project import states

        return states.pull(states.one(self._workspace, parents))

    def push_state(
        self,
        raw: bytes,
        source: str,
        *,
        undo_move: bool = False,
        parents: Sequence[str] = (),
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Moved:
        """Put the document ``raw``, which ``source`` names in messages, in the place of the one parent's state.

        With ``undo_move``, also in that of the note that a move left: the new place is lost.

        Raises:
            StateRolledBack: it is older than what is there, was there, or was seen on this machine.
            StateForeign: it is the state of another parent, or of another lineage; or the state has moved.

        """
        from provisioner.project import states

        run = self._run(reporter, cancel, None, sends=False)
        return states.push(states.one(self._workspace, parents), raw, source, run, undo_move=undo_move)

    def migrate_states(
        self,
        origin: str,
        *,
        parents: Sequence[str] = (),
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> tuple[Moved, ...]:
        """Take the states at ``origin``, an address with ``{parent}`` in it, to the place that the settings name.

        The old place then says where they are. Raises StateForeign where another state is at the new one.
        """
        from provisioner.project import states

        run = self._run(reporter, cancel, None, sends=False)
        chosen = (*self.parents(parents), *(() if parents else self._workspace.beside()))
        moved = states.migrate_each(chosen, origin, run)
        return tuple(each for each in moved if each.state is not None or each.parent in self.settings.parents)

    def prepare_states(self, *, parents: Sequence[str] = ()) -> tuple[Prepared, ...]:
        """Make what the stores of the states need before a first save, such as tables. Twice is once."""
        from provisioner.project import states

        return tuple(states.prepare(parent) for parent in self.parents(parents))

    def state_history(self, *, parents: Sequence[str] = ()) -> tuple[Revision, ...]:
        """Return the saves of the one parent's state, newest first; raises CommandInvalid: there is no history."""
        from provisioner.project import states

        return states.history(states.one(self._workspace, parents))

    def state_revision(self, serial: int, *, parents: Sequence[str] = ()) -> bytes:
        """Return the document of the one parent's state that had ``serial``; raises CommandInvalid: there is none."""
        from provisioner.project import states

        return states.revision(states.one(self._workspace, parents), serial)

    def unlock(self, lease: str, *, parents: Sequence[str] = ()) -> Lease:
        """End the lease of a run that has died, and return it; raises CommandInvalid where no run has it."""
        from provisioner.project import states

        return states.unlock(states.one(self._workspace, parents), lease)

    def adopt(
        self,
        accounts: Sequence[tuple[str, str]],
        paths: Sequence[Path] = (),
        *,
        write: Path | None = None,
        alone: bool = False,
        different: bool = False,
        parents: Sequence[str] = (),
        reporter: Reporter = SILENT,
        cancel: Cancel | None = None,
    ) -> Adoption:
        """Take over accounts that exist at Octopush, each given as a name of yours and its login there.

        What differs from the manifests at ``paths`` is changed by the next apply. Those that
        no manifest names are written to a new one at ``write``, or ``manifests/adopted.yaml``,
        never over a file. With ``alone``, what stands against the one account is raised. One
        that has other names than were sent, or than the manifest has, is refused unless
        ``different``.

        Raises:
            Refused, StateConflict, IdentityRejected: only ``alone``; else it is in the report.
            CommandInvalid: the accounts cannot all belong to one parent, or the manifest cannot be written.

        """
        from provisioner.project import adopting

        run = self._run(reporter, cancel, None, sends=True)
        return adopting.adopt(
            self._workspace, accounts, paths, run, write=write, alone=alone, different=different, parents=parents
        )

    # ── What all of them share ───────────────────────────────────────────────

    def _chosen(self, parents: Sequence[str], shard: Shard | None, reporter: Reporter) -> tuple[Parent, ...]:
        """Return the parents to work on, and say so where none falls to the shard."""
        chosen = self.parents(parents, shard=shard)
        if not chosen:
            reporter.warning(f"no parent falls to shard {shard}: there is nothing to do.")
        return chosen

    def _run(self, reporter: Reporter, cancel: Cancel | None, rate: float | None, *, sends: bool) -> RunContext:
        """Return what one operation shares; raises SettingInvalid where it ``sends`` and could not."""
        token = cancel or CancelToken()
        return RunContext(reporter, token, self._workspace.carrier(rate, token) if sends else None)
