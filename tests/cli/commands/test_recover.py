"""``recover``: what a run rescued is put back, and what is accepted as the state."""

from __future__ import annotations

import json

from tests.cli.steps import answering
from tests.conftest import Project

# ── A state that is not the one ──────────────────────────────────────────────


def test_a_state_that_is_older_or_gone_is_noticed(applied: Project) -> None:
    kept = applied.state_path.read_bytes()
    older = json.loads(kept)
    older["serial"] -= 1
    del older["accounts"]["rome"]
    applied.state_path.write_text(json.dumps(older))
    for command in (["plan"], ["apply", "--yes"], ["status"]):
        done = applied.run(*command)
        assert (5, True) == (done.returncode, "has already seen" in done.stderr)
    applied.state_path.unlink()
    assert 5 == applied.run("plan").returncode
    assert 64 == applied.run("recover", "--accept-state").returncode
    assert 0 == applied.run("recover", "--accept-state", "--yes").returncode
    assert 0 == applied.run("plan").returncode
    applied.state_path.write_bytes(kept)
    assert 0 == applied.run("plan").returncode


# ── What was rescued ─────────────────────────────────────────────────────────


def test_what_a_log_holds_is_put_back(applied: Project) -> None:
    whole = json.loads(applied.state_path.read_text())
    record = whole["accounts"].pop("paris")
    whole["serial"] += 1
    applied.state_path.write_text(json.dumps(whole))
    entry = {"lineage": whole["lineage"], "parent": "default", "name": "paris", "operation": record["operation"]["id"]}
    log = applied.folder / "run.log"
    log.write_text(f"2026-01-01T00:00:00Z noise\nprefix provisioner-rescue {json.dumps({**entry, 'record': record})}\n")
    done = applied.run("recover", "run.log")
    assert (0, {"paris": "active", "rome": "active"}) == (done.returncode, applied.statuses())
    assert "paris is back in the state.\n" == done.stderr
    assert 0 == applied.run("credentials", "show", "paris").returncode
    log.write_text("nothing here\n")
    assert 64 == applied.run("recover", "run.log").returncode
    log.write_text('provisioner-rescue {"lineage": "x"}\n')
    assert 5 == applied.run("recover", "run.log").returncode


def rescued(project: Project, name: str) -> str:
    """Return the line that a run prints of an account whose record it could not save."""
    state = json.loads(project.state_path.read_text())
    record = state["accounts"][name]
    entry = {"lineage": state["lineage"], "parent": "default", "name": name, "operation": record["operation"]["id"]}
    return f"2026-01-01T00:00:00Z provisioner-rescue {json.dumps({**entry, 'record': record})}\n"


def test_a_recovered_account_that_was_renamed_and_changed_is_not_put_back_again(applied: Project) -> None:
    log = applied.folder / "run.log"
    log.write_text(rescued(applied, "paris"))
    manifest = applied.folder / "manifests" / "accounts.yaml"
    renamed = "name: lutetia, previously: paris, first_name: Lutetia"
    manifest.write_text(manifest.read_text().replace("name: paris, first_name: paris", renamed))
    assert 0 == applied.run("apply", "--yes").returncode
    # An identity is not needed to see it: the record says from which operation it comes.
    identity = applied.identity_path.read_text()
    applied.identity_path.unlink()
    before = applied.state_path.read_bytes()
    done = applied.run("recover", "run.log")
    assert (0, {"lutetia": "active", "rome": "active"}) == (done.returncode, applied.statuses())
    assert "There was nothing to restore for paris" in done.stderr
    assert before == applied.state_path.read_bytes()
    applied.identity_path.touch(mode=0o600)
    applied.identity_path.write_text(identity)
    assert "Verified (keys, not passwords): 2 good." in applied.run("verify").stdout
    # The same if it kept its name.
    log.write_text(rescued(applied, "rome"))
    manifest.write_text(manifest.read_text().replace("first_name: rome", "first_name: Roma"))
    assert 0 == applied.run("apply", "--yes").returncode
    before = applied.state_path.read_bytes()
    assert (0, before) == (applied.run("recover", "run.log").returncode, applied.state_path.read_bytes())


def test_an_account_that_was_adopted_under_another_name_is_not_put_back_a_second_time(applied: Project) -> None:
    log = applied.folder / "run.log"
    log.write_text(rescued(applied, "paris"))
    credentials = applied.opened("paris").credentials
    assert credentials is not None
    assert 0 == applied.run("forget", "paris", "--force", "--yes").returncode
    assert 0 == applied.run("adopt", "lutetia", credentials.api_login).returncode
    before = applied.state_path.read_bytes()
    done = applied.run("recover", "run.log")
    assert (5, before) == (done.returncode, applied.state_path.read_bytes())
    assert "paris is not put back: it has the same login as lutetia." in done.stderr
    # Only the seal contains the login: without an identity, the output says that it was not checked.
    applied.identity_path.unlink()
    done = applied.run("recover", "run.log")
    assert (0, True) == (done.returncode, "it was not compared with other accounts" in done.stderr)


# ── What is asked ────────────────────────────────────────────────────────────


def test_recover_says_which_state_it_accepts(applied: Project) -> None:
    code, said = answering(applied, "n\n", "recover", "--accept-state")
    state = applied.state()
    assert state is not None
    assert (130, True) == (code, f"Accept state/default.json with serial {state.serial} and 2 accounts," in said)
    applied.state_path.rename(f"{applied.state_path}.backup")
    done = applied.run("plan")
    assert (5, True) == (done.returncode, "default.json.backup is the state from before an earlier run" in done.stderr)
    code, said = answering(applied, "n\n", "recover", "--accept-state")
    assert (130, True) == (code, "Accept that there is no state at state/default.json," in said)
    done = applied.run("recover", "--accept-state", "--yes")
    accepted = "Accepted: there is no state at state/default.json. The next apply may begin a state here.\n"
    assert (0, "", accepted) == (done.returncode, done.stdout, done.stderr)
