"""A state in git: machines with a clone and a home of their own each, and a real remote."""

from __future__ import annotations

import os
import shutil
import threading
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from provisioner.errors import (
    ProvisionerError,
    SettingInvalid,
    StateInvalid,
    StateLocked,
    StateMoved,
    StateNotSaved,
    StateRolledBack,
    StateUnreachable,
)
from provisioner.state import codec
from provisioner.state.lease import Lease
from provisioner.state.stores import ABSENT, Note
from provisioner.state.stores.repository import Repository, first_remote
from tests.ready.forge import READS, Forge
from tests.state import ADA, BOB, LATER, STATE, never
from tests.state.stores.remotes import Machine, git, git_machine, http_machine, new_clone, new_remote, running

OLD, NEW = codec.encode(STATE), codec.encode(LATER)
BRANCH = "provisioner-state"
RACERS: Final = 6


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return new_remote(tmp_path / "remote.git")


@pytest.fixture
def one(tmp_path: Path, remote: Path) -> Machine:
    return git_machine(tmp_path / "one", str(remote))


@pytest.fixture
def two(tmp_path: Path, remote: Path) -> Machine:
    return git_machine(tmp_path / "two", str(remote))


def log(remote: Path) -> list[str]:
    """Return the subjects of the branch's commits, newest first."""
    return git(remote, "log", "--format=%s", BRANCH).splitlines()


# ── What it is ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "place",
    ["origin", "origin/branch", "origin//x.json", "-x/branch/x.json", "origin/-b/x.json", "origin/b/../x.json",
     "origin/b/.git/x", "origin/b/x.lock", "origin/b/x/", "https://h/x.git/b/x.json", "origin/b/a b.json"],
)  # fmt: skip
def test_an_address_that_cannot_be_one_is_refused(tmp_path: Path, place: str) -> None:
    machine = git_machine(tmp_path / "one", "nowhere", place=f"git:{place}")
    with pytest.raises(SettingInvalid, match="is not the address of a state in git"):
        machine.store()


def test_without_the_remote_or_a_repository_the_error_says_what_is_missing(tmp_path: Path) -> None:
    machine = git_machine(tmp_path / "one", "nowhere", place="git:upstream/branch/acme.json")
    with pytest.raises(SettingInvalid, match="with the remote upstream: error: No such remote"):
        machine.store()
    machine = Machine(tmp_path, lambda _: git_machine(tmp_path / "two", "nowhere").open_backend(tmp_path))
    with pytest.raises(SettingInvalid, match=r"needs a git repository with the remote|cannot change"):
        machine.store()


def test_two_clones_of_one_remote_have_one_state(one: Machine, two: Machine) -> None:
    version = one.store().save(OLD, ABSENT)
    assert (OLD, version) == two.store().load()
    assert one.store().key == two.store().key


def test_a_remote_that_is_a_path_is_another_place_in_each_folder(tmp_path: Path) -> None:
    for name in ("a", "b"):
        new_remote(tmp_path / name / "remote.git")
    keys = [git_machine(tmp_path / name / "one", "../../remote.git").store().key for name in ("a", "b")]
    assert [f"git:{tmp_path}/{name}/remote.git#refs/heads/{BRANCH}/acme.json" for name in ("a", "b")] == keys
    scp = git_machine(tmp_path / "c", "git@example.com:team/accounts.git").store()
    assert f"git:git@example.com:team/accounts.git#refs/heads/{BRANCH}/acme.json" == scp.key


def test_no_work_tree_index_or_branch_of_the_user_is_touched(one: Machine) -> None:
    project = one.folder / "project"
    (project / "draft.txt").write_text("mine")
    git(project, "add", "draft.txt")
    for hook in ("pre-push", "reference-transaction"):
        (project / ".git" / "hooks" / hook).write_text("#!/bin/sh\nexit 1\n")
        (project / ".git" / "hooks" / hook).chmod(0o755)
    index = (project / ".git" / "index").read_bytes()
    store = one.store()
    store.save(NEW, store.save(OLD, store.load()[1]))
    assert index == (project / ".git" / "index").read_bytes()
    assert ["draft.txt"] == [each.name for each in project.iterdir() if each.name != ".git"]
    assert "main" == git(project, "for-each-ref", "--format=%(refname:short)", "refs/heads")
    assert not (project / ".git" / "FETCH_HEAD").exists()


def test_other_files_of_the_branch_stay_and_a_save_goes_on_top_of_them(
    one: Machine, remote: Path, tmp_path: Path
) -> None:
    mine = one.store()
    theirs = git_machine(tmp_path / "three", str(remote), place="git:origin/provisioner-state/b/other.json").store()
    version = mine.save(OLD, mine.load()[1])
    other = theirs.save(OLD, theirs.load()[1])
    # Each builds on the commit that it knows, and the other has pushed since.
    version = mine.save(NEW, version)
    theirs.save(NEW, other)
    assert (NEW, version) == one.store().load()
    assert ["acme.json", "b/other.json"] == git(remote, "ls-tree", "-r", "--name-only", BRANCH).splitlines()
    assert 4 == len(log(remote))


def test_a_tag_with_the_name_of_the_branch_is_never_mistaken_for_it(one: Machine, two: Machine) -> None:
    version = one.store().save(OLD, ABSENT)
    project = two.folder / "project"
    (project / "acme.json").write_bytes(NEW)
    git(project, "add", "acme.json")
    git(project, "commit", "--quiet", "--message", "Of somebody's choice")
    git(project, "push", "--quiet", "origin", f"HEAD:refs/tags/{BRANCH}")
    git(project, "fetch", "--quiet", "--tags", "origin")
    store = two.store()
    assert (OLD, version) == store.load()
    store.save(NEW, version)
    assert NEW == one.store().load()[0]


# ── Its history ──────────────────────────────────────────────────────────────


def test_the_log_says_what_was_done_to_which_account_and_in_which_run(one: Machine, remote: Path) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    assert ["acme.json: the run has ended", "acme.json: lima: pending"] == log(remote)[:2]
    newest, oldest = one.store().backend.history()
    assert (LATER.serial, LATER.lineage, "lima: pending", str(ADA)) == (
        newest.serial,
        newest.lineage,
        newest.what,
        newest.by,
    )
    assert "oslo: abandoned, paris: active, rome: unknown" == oldest.what
    assert run.state == codec.decode(one.store().backend.revision(LATER.serial) or b"", "")
    assert STATE == codec.decode(one.store().backend.revision(STATE.serial) or b"", "")
    assert one.store().backend.revision(99) is None


def test_a_name_cannot_add_a_line_to_a_message(one: Machine, remote: Path) -> None:
    store = one.store()
    store.save(OLD, store.load()[1], Note("lineage-1", 3, "x\n\nProvisioner-State: 99 lineage-1 acme.json"))
    assert [3] == [each.serial for each in store.backend.history()]
    assert 1 == len(log(remote))


def test_what_other_runs_do_in_the_same_clone_fails_no_look_at_the_branch(one: Machine, two: Machine) -> None:
    """Two at once moved one reference, and one of them said that the remote cannot be reached."""
    version = one.store().save(OLD, ABSENT)
    git(two.folder / "project", "update-ref", f"refs/provisioner/origin/{BRANCH}/in-the-way", "HEAD")
    store = two.store()
    assert (OLD, version) == store.load()
    store.save(NEW, version)
    assert NEW == one.store().load()[0]


def test_a_clone_that_has_only_the_last_commit_learns_the_whole_history(
    one: Machine, two: Machine, remote: Path
) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    project = two.folder / "project"
    shutil.rmtree(project)
    address = f"file://{remote}"
    git(two.folder, "clone", "--quiet", "--depth=1", "--no-single-branch", f"--branch={BRANCH}", address, project.name)
    store = two.store()
    store.load()
    assert LATER.serial == store.newest(LATER.lineage)


@pytest.mark.parametrize("gone", [False, True], ids=["older", "gone"])
def test_an_older_state_that_somebody_puts_back_is_refused_on_a_machine_without_memory(
    one: Machine, two: Machine, *, gone: bool
) -> None:
    """Yesterday's state, put back by a revert, would have created again what exists."""
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    project = two.folder / "project"
    git(project, "fetch", "--quiet", "origin", BRANCH)
    git(project, "checkout", "--quiet", "-b", "mend", "FETCH_HEAD")
    if gone:
        git(project, "rm", "--quiet", "acme.json")
    else:
        git(project, "checkout", "--quiet", "HEAD~2", "acme.json")
    git(project, "commit", "--quiet", "--message", "Put it back")
    git(project, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    with pytest.raises(StateRolledBack) as caught, running(two, BOB):
        pass
    assert f"its history has serial {LATER.serial}" in caught.value.message
    assert f"--serial {LATER.serial}" in caught.value.hint


def test_a_merge_that_takes_the_older_side_is_refused_too(one: Machine, two: Machine) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    project = two.folder / "project"
    git(project, "fetch", "--quiet", "origin", BRANCH)
    git(project, "checkout", "--quiet", "-b", "old", "FETCH_HEAD~2")
    git(project, "commit", "--quiet", "--allow-empty", "--message", "Meanwhile")
    git(project, "merge", "--quiet", "--no-edit", "--strategy", "ours", "FETCH_HEAD")
    git(project, "push", "--quiet", "origin", f"HEAD:{BRANCH}")
    two.clock.now += timedelta(hours=1)
    with pytest.raises(StateRolledBack, match=f"its history has serial {LATER.serial}"), running(two, BOB):
        pass


def test_a_branch_that_was_pushed_back_by_force_is_noticed_by_the_machine_that_has_seen_it(
    one: Machine, remote: Path
) -> None:
    with running(one) as run:
        run.save(STATE)
        run.save(LATER)
    git(remote, "update-ref", f"refs/heads/{BRANCH}", f"{BRANCH}~2")
    with pytest.raises(StateRolledBack, match="this machine has already seen"), running(one):
        pass


# ── Who is faster ────────────────────────────────────────────────────────────


def test_the_second_of_two_machines_sees_who_is_running(one: Machine, two: Machine) -> None:
    with running(one, ADA) as run:
        run.save(STATE)
        with pytest.raises(StateLocked) as caught, running(two, BOB):
            pass
        assert f"The state is held by {ADA}." == caught.value.message
        assert "`provisioner unlock one-1`" in caught.value.hint
        assert str(ADA) == two.store().holder()
    with running(two, BOB):
        assert two.store().holder() == str(BOB)
    assert two.store().holder() is None


def test_a_run_that_saves_nothing_pushes_nothing(one: Machine, remote: Path) -> None:
    with running(one) as run:
        run.save(STATE)
    before = log(remote)
    with running(one):
        pass
    assert before == log(remote)


def test_a_lease_decides_nothing_the_push_does(one: Machine, two: Machine) -> None:
    """Both start before either has written its lease: the first save wins, and the other has sent nothing."""
    with running(one, ADA) as mine, running(two, BOB) as theirs:
        mine.save(STATE)
        with pytest.raises(StateMoved) as caught:
            theirs.save(STATE)
        assert f"changed by {ADA} while this run held it" in caught.value.message
        mine.save(LATER)
    assert LATER == codec.decode(one.store().load()[0] or b"", "")


def test_a_dead_run_blocks_others_until_its_lease_ends_or_a_person_unlocks_it(one: Machine, two: Machine) -> None:
    dead = one.store()
    with dead.hold(ADA, timeout=0, sleep=never):
        dead.save(OLD, dead.load()[1])
    with pytest.raises(StateLocked), running(two, BOB):
        pass
    # The same machine knows: nobody else here holds it.
    with running(one, ADA):
        pass
    two.store().backend.end("of another run")
    with pytest.raises(StateLocked), running(two, BOB):
        pass
    two.clock.now += timedelta(minutes=11)
    with running(two, BOB):
        pass
    two.clock.now -= timedelta(minutes=11)
    lease = two.store().backend.lease()
    assert isinstance(lease, Lease)
    two.store().backend.end(lease.id)
    with running(two, BOB):
        pass


def test_only_one_of_many_simultaneous_saves_succeeds(remote: Path, tmp_path: Path) -> None:
    machines = [git_machine(tmp_path / f"m{number}", str(remote)) for number in range(RACERS)]
    start, saved, refused = threading.Barrier(RACERS), list[int](), list[ProvisionerError]()

    def race(number: int) -> None:
        store = machines[number].store()
        _, version = store.load()
        start.wait()
        try:
            store.save(OLD + b" " * number, version)
        except StateMoved as error:
            refused.append(error)
        else:
            saved.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (1, RACERS - 1) == (len(saved), len(refused))
    assert OLD + b" " * saved[0] == machines[0].store().load()[0]


# ── A bad day ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("befalls", ["lost", "slow", "silent"])
def test_a_push_whose_answer_was_lost_is_settled_by_fetching(tmp_path: Path, forge: Forge, befalls: str) -> None:
    store = http_machine(tmp_path / "one", forge, patience=3.0).store()
    version = store.save(OLD, store.load()[1])
    forge.befalls = [befalls]
    version = store.save(NEW, version)
    assert [] == forge.befalls
    assert (NEW, version) == http_machine(tmp_path / "two", forge).store().load()
    assert (NEW, version) == store.load()
    store.save(OLD, version)


@pytest.mark.parametrize("befalls", ["refused", "reset"])
def test_a_push_that_never_came_has_saved_nothing(tmp_path: Path, forge: Forge, befalls: str) -> None:
    store = http_machine(tmp_path / "one", forge).store()
    version = store.save(OLD, store.load()[1])
    forge.befalls = [befalls] * 5
    with pytest.raises(StateNotSaved, match="did not accept a commit"):
        store.save(NEW, version)
    forge.befalls = []
    assert (OLD, version) == store.load()


def test_a_token_that_may_only_read_plans_and_saves_nothing(tmp_path: Path, forge: Forge) -> None:
    http_machine(tmp_path / "one", forge).store().save(OLD, ABSENT)
    store = http_machine(tmp_path / "two", forge, READS).store()
    raw, version = store.load()
    assert OLD == raw
    with pytest.raises(StateNotSaved, match="would not accept a commit"):
        store.backend.try_out()
    with pytest.raises(StateNotSaved) as caught:
        store.save(NEW, version)
    assert "may push to that branch" in caught.value.hint
    assert READS not in caught.value.message + caught.value.hint


def test_a_remote_that_is_gone_or_lets_nobody_in_is_named(tmp_path: Path, forge: Forge) -> None:
    with pytest.raises(StateUnreachable) as caught:
        http_machine(tmp_path / "one", forge, "of nobody").store().load()
    assert "git:origin/provisioner-state/acme.json cannot be reached:" in caught.value.message
    assert "git fetch origin" in caught.value.hint
    with pytest.raises(StateUnreachable, match="does not appear to be a git repository"):
        git_machine(tmp_path / "two", str(tmp_path / "gone.git")).store().load()


def test_the_message_of_a_server_rule_is_shown(one: Machine, remote: Path) -> None:
    hook = remote / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH006: the branch is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    store = one.store()
    with pytest.raises(StateNotSaved, match="GH006: the branch is protected"):
        store.save(OLD, store.load()[1])
    assert (None, ABSENT) == store.load()


def test_an_outcome_that_the_remote_does_not_take_is_kept_here_and_in_the_log(one: Machine, remote: Path) -> None:
    said: list[str] = []
    with running(one, ADA, said) as run:
        run.save(LATER)
        remote.rename(remote.with_name("away.git"))
        with pytest.raises(StateNotSaved, match="did not accept a commit, or its answer was lost"):
            run.save(STATE)
        place = run.rescue(LATER, "lima", "op-1", None)
        assert place.endswith(".json.rescue, and in the log")
        remote.with_name("away.git").rename(remote)
    assert 1 == sum("provisioner-rescue" in each for each in said)
    with running(one, ADA, said) as run:
        assert run.state is not None
        assert "lima" not in run.state.accounts


def test_a_branch_that_others_replace_during_a_read_is_reported(one: Machine, remote: Path, tmp_path: Path) -> None:
    one.store().save(OLD, ABSENT)
    git_itself = shutil.which("git")
    where, empty = (
        f"{git_itself} -C {remote} -c user.name=x -c user.email=x",
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    )
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin" / "git"
    replaces = f"{where} update-ref refs/heads/{BRANCH} $(date +%N | {where} commit-tree {empty})"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" ls-remote "* | *" fetch "*) {replaces} ;; esac\nexec {git_itself} "$@"\n'
    )
    wrapper.chmod(0o755)
    path = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    with pytest.raises(StateUnreachable, match="its branch keeps being replaced"):
        git_machine(tmp_path / "three", str(remote), path).store().load()


def test_a_folder_in_the_place_of_the_state_is_named(one: Machine, remote: Path, tmp_path: Path) -> None:
    inside = git_machine(tmp_path / "three", str(remote), place="git:origin/provisioner-state/acme.json/x.json").store()
    inside.save(OLD, inside.load()[1])
    with pytest.raises(StateInvalid, match="is not a file, or is larger than a state can be"):
        one.store().load()


def test_a_password_in_the_address_of_the_remote_is_in_no_message(tmp_path: Path, forge: Forge) -> None:
    remote = forge.remote.replace("://", "://user:hunter2@")
    store = git_machine(tmp_path / "one", remote).store()
    with pytest.raises(StateUnreachable) as caught:
        store.load()
    assert "hunter2" not in caught.value.message + caught.value.hint + store.key


def test_a_hanging_git_is_stopped(tmp_path: Path) -> None:
    project = new_clone(tmp_path / "project", "nowhere")
    hangs = Repository("git:origin/a/b", project, "origin", "refs/heads/a", {"PATH": "/usr/bin:/bin"}, 0)
    with pytest.raises(SettingInvalid, match="git remote did not end within 0 s"):
        _ = hangs.url
    with pytest.raises(StateInvalid, match="git log did not end within 0 s"):
        hangs.log("HEAD", "%H")
    environ = {"PATH": "/usr/bin:/bin"}
    assert ("origin", None) == (first_remote(project, environ), first_remote(project, environ, timeout=0))


def test_without_git_the_error_says_so(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid, match="needs git, which is not installed here"):
        git_machine(tmp_path / "one", "nowhere", {"PATH": str(tmp_path)}).store()
