"""A project: its settings, its parents, and one method for each operation on them.

Owns the public Python API. Each operation has its own module, loaded on the first call. Never
prints or asks. Reads no environment except the one that it is given, and does not touch
what belongs to the process: signals, streams, the garbage collector.
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
    """An open project; safe to share between threads, and to open several times.

    Methods with ``parents`` work on these, or on all parents if you name none; with a
    ``shard``, only on those in the shard, which may be none. ``jobs`` is the number of
    parents to work on at once, or an executor of threads. ``reporter`` gets the progress,
    and ``cancel`` ends the work between two requests.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    @property
    def settings(self) -> Settings:
        """The settings that were read when the project was opened."""
        return self._workspace.settings

    @property
    def readers(self) -> Readers:
        """The readers of the project's placeholders."""
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
        """Return the project at ``path``, its folder or its ``provisioner.yaml``; None: the current folder.

        ``environ`` is the environment, usually ``os.environ``: for settings, credentials,
        placeholders and commands. ``flags`` are settings by name, which override the file and
        the environment. ``folders`` are the user's own; None: those of the user who runs the
        process. With ``interactive``, a person is at a terminal: a command that prints the
        identity may ask them on standard error. Then, unless PROVISIONER_PLACEHOLDERS is set,
        placeholders may read any variable and any file of the project, except the program's
        own secrets; without ``interactive``, they may read nothing. ``folder`` is the default
        place of manifests and states; None: the project folder. ``parts`` replaces stores,
        transport and the like.

        Raises:
            SettingInvalid: a file, variable or flag has an invalid value, or the heartbeat
                would receive one of the program's own secrets.

        """
        from provisioner.project.folders import Folders  # above, only the type is imported

        named = None if path is None else Path(path)
        is_folder = named is not None and named.is_dir()
        found = Path() if named is None else named if is_folder else named.parent
        base = found if folder is None else folder
        # A folder from the caller overrides a file from the environment.
        known = {name: text for name, text in environ.items() if not is_folder or name != loading.CONFIG}
        settings = loading.load(None if is_folder else named, known, flags or {}, folder=base)
        own = folders or Folders.of_user()
        return cls(Workspace(settings, base, environ, own, parts, interactive=interactive))

    # ── Its parents ──────────────────────────────────────────────────────────

    def parents(self, names: Sequence[str] = (), *, shard: Shard | None = None) -> tuple[Parent, ...]:
        """Return the parents with these names, or all parents in the settings, sorted by name.

        With ``shard``, only those in the shard, which may be none. Raises SettingInvalid.
        """
        return self._workspace.parents(names, shard)

    @property
    def has_identity(self) -> bool:
        """Whether there is an identity; it may still be the wrong one."""
        return self._workspace.keys.has_identity()

    def owner_of(self, name: str, parents: Sequence[str] = (), reporter: Reporter = SILENT) -> Parent:
        """Return the parent whose state has the account ``name``; raises CommandInvalid if none or several have it."""
        from provisioner.project.accounts import owner_of

        return owner_of(name, self.parents(parents), reporter)

    def files(self, manifests: Sequence[Path] = ()) -> dict[Path, str]:
        """Return the files of this project that no output may replace, with a description of each."""
        from provisioner.project.outputs import project_files

        return project_files(self._workspace, manifests)

    def require_place(self, out: Path, kind: OutputKind, taken: Mapping[Path, str] | None = None) -> None:
        """Check that a file of ``kind`` can be written to ``out``; ``taken`` defaults to :meth:`files`.

        Raises:
            CommandInvalid: something else is there, or the file cannot be written.

        """
        from provisioner.project.outputs import require_place

        require_place(out, kind, self.files() if taken is None else taken, self._workspace.folder)

    def account_names(
        self, statuses: Collection[str], *, planned: bool = False, parents: Sequence[str] = ()
    ) -> tuple[str, ...]:
        """Return the names of accounts in one of ``statuses``; with ``planned``, also of those only in a manifest.

        For completion in a shell: sends no request. For a parent with a remote state, the names come
        from the manifests. A file that cannot be read contributes no names. Raises SettingInvalid.
        """
        from provisioner.project import naming

        return naming.accounts(self._workspace, parents, statuses, planned=planned)

    # ── Manifests and plans ──────────────────────────────────────────────────

    def validate(self, paths: Sequence[Path] = ()) -> Loaded:
        """Return the manifests and all their problems; raises CommandInvalid if there are no manifests."""
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
        """Return what an apply would do, for every parent in the manifests at ``paths``.

        Without ``paths``, reads the folder ``manifests/``, and also shows the accounts of parents that
        have none there any more; an apply does nothing for those. Holds, saves and sends nothing, and
        needs no secret. Only ``refresh``, which reads the accounts at Octopush, needs the
        credentials and an identity. With ``wait``, for plans to apply at once, waits for
        another run as long as the setting ``lock_timeout`` says. A parent that cannot be
        planned is in ``failures``. With ``only``, plans just the accounts with these names;
        each plan counts what it leaves out.

        Raises:
            ManifestInvalid: a manifest has an error; all problems were reported.
            CommandInvalid: there is no manifest, or an account in ``only`` is in none.
            SettingInvalid: the proxy or the certificate authorities in the settings cannot be used.

        """
        from provisioner.project import plans

        run = self._run(reporter, cancel, rate or READS_PER_SECOND, sends=refresh)
        return plans.plan(
            self._workspace, paths, parents, run, shard=shard, only=only, refresh=refresh, wait=wait, jobs=jobs
        )

    def require_sealer(self, plans: Plans) -> None:
        """Raise SettingInvalid if ``plans`` have changes and the settings have no recipients to seal to."""
        if any(plan.pending for plan in plans.plans):
            require_recipients(self.settings.recipients)

    def save_plan(self, plans: Plans, out: Path) -> str:
        """Save ``plans`` to ``out``, for :meth:`reviewed`, and return their digest.

        Raises:
            CommandInvalid: the file cannot be written, or a parent could not be planned.

        """
        from provisioner.project import outputs, saved

        if plans.failures:
            raise CommandInvalid(f"Nothing was saved to {out}: {', '.join(plans.failures)} could not be planned.")
        document = saved.document(plans, self.settings)
        self.require_place(out, outputs.PLAN, self.files(plans.manifests))
        outputs.write_json(out, document, outputs.PLAN)
        return str(document["digest"])

    def digest(self, plans: Plans) -> str:
        """Return the digest of ``plans``, the same as in :meth:`save_plan` and in every format of the plan."""
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
        """Plan again, and return the plans if they are the same as those saved to ``path``.

        ``digest`` is that of the plan that was reviewed; None: accept any. A parent whose plan
        is now different is in ``failures``.

        Raises:
            PlanStale: the manifests or settings have changed, the plans of all parents differ,
                the file is not a saved plan, or has another digest.
            CommandInvalid: there is no such file, or ``digest`` is not a digest.

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
        """Apply ``plans``, and return the outcome of every account.

        With a ``cluster``, its workers apply them, one parent at a time each, with credentials
        from their own environment.

        ``approve`` gets the plans after all checks, before anything is held or sent; None: nobody
        is asked. If a parent's state has changed since the plan, the parent is planned again, and
        refused if the new plan is different. Only if ``bounds`` allow it, a new state is created,
        or an account that looks like a renamed one. ``rate`` limits the requests per second, over
        all parents; None: no limit.

        The error of a parent is in its report; nothing is raised after the first request.

        Raises:
            OverThreshold: the plans exceed ``bounds``.
            InterruptedRunError: ``approve`` returned False.
            ProvisionerError: there is only one parent, and nothing can be done for it.

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
        """Check that settings, manifests, keys, states and credentials work, before they are needed.

        Changes nothing. ``offline`` leaves out whether Octopush accepts the credentials.
        """
        from provisioner.project import examining

        run = self._run(reporter, cancel, rate, sends=not offline)
        return examining.examine(self._workspace, parents, run, jobs, offline=offline)

    # ── The state, compared with Octopush ────────────────────────────────────

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
        """Return every parent's state and, with ``balances``, the credit of each account."""
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
        """Read every active account at Octopush, compare it with what was sent, and save the drift.

        Changes nothing at Octopush. Raises StateConflict if no parent has a state.
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
            CommandInvalid: an account in ``names`` does not exist, or exists under several parents.
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

        With ``verified``, Octopush must confirm all of them first.

        Raises:
            SettingInvalid, IdentityRejected: there is no identity here that opens them.
            Unverified: Octopush did not confirm an account.
            CommandInvalid, StateConflict: an account in ``names`` does not exist, or has no sealed content.

        """
        from provisioner.project import credentials

        run = self._run(reporter, cancel, READS_PER_SECOND, sends=verified)
        return credentials.chosen(self._workspace, parents, names, run, since=since, verified=verified)

    def list_credentials(self, *, parents: Sequence[str] = (), reporter: Reporter = SILENT) -> Listed:
        """Open the credentials of all active accounts; a damaged one does not stop the others.

        Raises:
            SettingInvalid, IdentityRejected: there is only one parent, and no identity here that opens its accounts.
            StateError: there is no state, or that of the only parent cannot be used.

        """
        from provisioner.project import credentials

        return credentials.listed(self._workspace, parents, self._run(reporter, None, READS_PER_SECOND, sends=False))

    def inherited(self, given: Sequence[str] = ()) -> dict[str, str]:
        """Return the environment for a command that works as one account, without secrets of anything else."""
        from provisioner.project.credentials import inherited

        return inherited(self._workspace, given)

    # ── The history ──────────────────────────────────────────────────────────

    def history(
        self,
        name: str | None = None,
        *,
        parents: Sequence[str] = (),
        shard: Shard | None = None,
        since: datetime | None = None,
        reporter: Reporter = SILENT,
    ) -> tuple[ParentHistory, ...]:
        """Return all operations of each parent, or on the account ``name``, ``since`` a time in UTC; newest first.

        Needs no secret. A parent whose history cannot be read has a ``failure``. Raises
        CommandInvalid if neither a history nor a state has the account.
        """
        from provisioner.project import history

        return history.history(self._chosen(parents, shard, reporter), name, since, reporter)

    # ── Decisions of a person ────────────────────────────────────────────────

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
        """Settle an unknown outcome: ``abandon`` keeps its slot; otherwise it was not created, and its slot is free.

        Returns the new state. Raises CommandInvalid if the account does not exist, or its outcome is not unknown.
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
        """Remove an account that Octopush no longer knows from the state; with ``force``, without asking Octopush.

        Returns the report, and where a sealed copy of its record is. Raises StateConflict if
        Octopush still knows the account, or does not answer.
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

        The password comes from the manifests at ``paths`` if they have one; otherwise it is generated.
        ``approve`` gets the planned changes before anything is held or sent; None: nobody is asked.
        If an account cannot get a password now, because it has drifted or an earlier change is
        unfinished, the report says so. It also contains the error of a parent.

        Raises:
            CommandInvalid: an account in ``names`` does not exist, or exists under several parents.
            StateConflict: the login of one of them is not known, or no parent has a state.
            InterruptedRunError: ``approve`` returned False.
            ProvisionerError: there is only one account or parent, and nothing can be sent for it.

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

        The recipients are those in the settings, with the changes ``add`` and ``remove``; never
        one that is only in the state. Returns the report, and the changes to each parent.

        Raises:
            Refused: the identity in use could no longer open it.

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
        """Put back outcomes rescued when a state could not be saved: next to the state, or in the text ``log``.

        ``source`` is the log's name in messages; ``only`` is the one account to put back from it.
        With ``accept_state``, accepts a state as it is, although this machine has seen another.
        Of several parents, one with an error has a ``failure``.

        Raises:
            StateConflict, StateForeign: an outcome belongs to another state, or its account has changed since.

        """
        from provisioner.project import recovering

        entries = () if log is None else recovering.entries_in(log, source, only)
        run = self._run(reporter, cancel, None, sends=False)
        return recovering.recover(self.parents(parents), entries, run, accept_state=accept_state, approve=approve)

    # ── The state as a whole ─────────────────────────────────────────────────

    def pull_state(self, *, parents: Sequence[str] = ()) -> bytes:
        """Return the document of one parent's state from its store; raises StateConflict if there is none."""
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
        """Replace one parent's state with the document ``raw``; ``source`` is its name in messages.

        With ``undo_move``, it may also replace the note that a move left, if the new place is lost.

        Raises:
            StateRolledBack: it is older than the current state, its history, or what this machine has seen.
            StateForeign: it is the state of another parent or of another lineage, or the state has moved.

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
        """Move the states from ``origin``, an address with ``{parent}`` in it, to the address in the settings.

        A note at the old address then says where they are. Of several parents, one whose state
        cannot be moved has a ``failure``. Raises StateForeign if another state is at the new address.
        """
        from provisioner.project import states

        run = self._run(reporter, cancel, None, sends=False)
        chosen = (*self.parents(parents), *(() if parents else self._workspace.records()))
        moved = states.migrate_each(chosen, origin, run)
        own = self.settings.parents
        return tuple(each for each in moved if each.state or each.failure or each.parent in own)

    def prepare_states(self, *, parents: Sequence[str] = ()) -> tuple[Prepared, ...]:
        """Create what the stores need before the first save, such as tables. Safe to repeat.

        Of several parents, one that cannot be prepared has a ``failure``. Raises StateUnreachable.
        """
        from provisioner.project import states

        return states.prepare_each(self.parents(parents))

    def state_history(self, *, parents: Sequence[str] = ()) -> tuple[Revision, ...]:
        """Return the saves of one parent's state, newest first; raises CommandInvalid if its store has no history."""
        from provisioner.project import states

        return states.history(states.one(self._workspace, parents))

    def state_revision(self, serial: int, *, parents: Sequence[str] = ()) -> bytes:
        """Return one parent's state at ``serial``, as a document; raises CommandInvalid if there is none."""
        from provisioner.project import states

        return states.revision(states.one(self._workspace, parents), serial)

    def unlock(self, lease: str, *, parents: Sequence[str] = ()) -> Lease:
        """End the lease of a dead run, and return it; raises CommandInvalid if no run has this lease."""
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
        """Adopt accounts that exist at Octopush, each given as your name for it and its login there.

        The next apply changes what differs from the manifests at ``paths``. Accounts in no
        manifest are written to a new one at ``write``, by default ``manifests/adopted.yaml``, which
        never replaces a file. With ``alone``, for a single account, its error is raised. An account
        whose first, last or company name differs from what was sent or from the manifest is refused,
        unless ``different``.

        Raises:
            Refused, StateConflict, IdentityRejected: only with ``alone``; otherwise the report has them.
            CommandInvalid: the parent of an account is not certain, or the manifest cannot be written.

        """
        from provisioner.project import adopting

        run = self._run(reporter, cancel, None, sends=True)
        return adopting.adopt(
            self._workspace, accounts, paths, run, write=write, alone=alone, different=different, parents=parents
        )

    # ── Shared by all methods ────────────────────────────────────────────────

    def _chosen(self, parents: Sequence[str], shard: Shard | None, reporter: Reporter) -> tuple[Parent, ...]:
        """Return the parents to work on; warn if none is in the shard."""
        chosen = self.parents(parents, shard=shard)
        if not chosen:
            reporter.warning(f"no parent is in shard {shard}: there is nothing to do.")
        return chosen

    def _run(self, reporter: Reporter, cancel: Cancel | None, rate: float | None, *, sends: bool) -> RunContext:
        """Return the context of one operation; raises SettingInvalid if it ``sends`` requests and cannot."""
        token = cancel or CancelToken()
        return RunContext(reporter, token, self._workspace.carrier(rate, token) if sends else None)
