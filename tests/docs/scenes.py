"""What has happened before a block of a page: in the project of the reader, or at Octopush."""

from __future__ import annotations

import fcntl
import json
import re
from pathlib import Path
from typing import Final

import requests

from provisioner.errors import ExitCode
from provisioner.state.sealing import new_identity
from tests.conftest import PATIENCE, eventually
from tests.docs.reader import Reader
from tests.state.stores.remotes import git, new_remote


def project(reader: Reader) -> None:
    """Give the reader the project that the README's first run leaves: two accounts, in the sandbox."""
    for command in (
        "provisioner sandbox --port 8080 --ledger sandbox.jsonl &",
        "provisioner init my-accounts",
        "cd my-accounts",
        "export OCTOPUSH_API_URL=http://127.0.0.1:8080/v1/public",
        "export OCTOPUSH_API_LOGIN=parent@example.com",
        "export OCTOPUSH_API_KEY=sandbox",
        "provisioner apply",
    ):
        _succeeds(reader, command)


def one_of_each(reader: Reader) -> None:
    """Have the next plan show something of every kind: it begins with paris and rome, which exist."""
    _write(reader, _PARIS, _ROME, _account("lyon", "Louise", "Labé", "Labé"))
    _succeeds(reader, "provisioner apply")
    lost(reader, "oslo", "Harriet", "Backer")
    lyon = _account("lyon", "Louise", "Labé", "Labé & Fils")
    _write(reader, _PARIS, lyon, _account("berlin", "Käthe", "Kollwitz"), _account("oslo", "Harriet", "Backer"))


def settled(reader: Reader) -> None:
    """Leave nothing open of what :func:`one_of_each` made."""
    _succeeds(reader, "provisioner resolve oslo --abandon")
    _write(reader, _PARIS, _ROME, _account("lyon", "Louise", "Labé"), _account("berlin", "Käthe", "Kollwitz"))
    _succeeds(reader, "provisioner apply")


def lost(reader: Reader, name: str, first_name: str, last_name: str) -> None:
    """Lose the answer to the create of one more account; its outcome is unknown."""
    address = f"http://127.0.0.1:{reader.port}"
    if reader.environ.get("OCTOPUSH_API_URL", "").startswith(address):
        _sandbox(reader, "--fault lost@1")
    path = reader.folder / "manifests" / f"{name}.yaml"
    path.write_text(f"version: 1\naccounts:\n{_account(name, first_name, last_name)}", encoding="utf-8")
    code, said = reader.runs(f"provisioner apply manifests/{name}.yaml --yes")
    assert code == ExitCode.OUTCOME_UNKNOWN, said
    path.unlink()


def one_more(reader: Reader, name: str) -> None:
    """Create one more account."""
    path = reader.folder / "manifests" / f"{name}.yaml"
    path.write_text(f"version: 1\naccounts:\n{_account(name, name.capitalize(), 'Example')}", encoding="utf-8")
    _succeeds(reader, "provisioner apply")


def remote(reader: Reader, name: str) -> None:
    """Let the project be in git, with a remote of that name."""
    new_remote(reader.folder.parent / "remote.git")
    git(reader.folder, "init", "--quiet")
    git(reader.folder, "remote", "add", name, "../remote.git")


def by_hand(reader: Reader, name: str, login: str) -> None:
    """Make an account in the dashboard; the page has ``login`` for that which it gets."""
    reader.stands_for[login] = reader.make_by_hand(name.capitalize(), "Elsewhere")


def known(reader: Reader, first_name: str, login: str) -> None:
    """Let the page have ``login`` for that of the latest account of that first name."""
    reader.stands_for[login] = reader.login_of(first_name)


def rescued(reader: Reader, file: str) -> None:
    """Let the log of a run hold an outcome that it could save nowhere."""
    state = json.loads((reader.folder / "state" / "default.json").read_text(encoding="utf-8"))
    name, record = next((name, each) for name, each in state["accounts"].items() if each["status"] == "active")
    entry = {"lineage": state["lineage"], "parent": state["parent"], "name": name}
    line = json.dumps({**entry, "operation": record["operation"]["id"], "record": record})
    (reader.folder / file).write_text(f"2026-01-01T00:00:00Z provisioner-rescue {line}\n", encoding="utf-8")


def restored_an_old_state(reader: Reader) -> None:
    """Commit the state, change it, commit it again, and put the first back."""
    path = reader.folder / "state" / "default.json"
    if not (reader.folder / ".git").exists():
        git(reader.folder, "init", "--quiet")
    old = path.read_bytes()
    _succeeds(reader, "provisioner rotate-password paris --yes")
    git(reader.folder, "add", ".")
    git(reader.folder, "commit", "--quiet", "--message", "The newest state")
    path.write_bytes(old)


def locked(reader: Reader) -> None:
    """Let another run hold the state."""
    lock = (reader.folder / "state" / "default.json.lock").open("r+b")
    reader.held.enter_context(lock)
    fcntl.flock(lock, fcntl.LOCK_EX)


def unlocked(reader: Reader) -> None:
    """Let the run end that holds the state."""
    reader.held.pop_all().close()


def died(reader: Reader, name: str, first_name: str, last_name: str) -> None:
    """Kill a run while the create of one more account is under way, which Octopush never hears of."""
    _sandbox(reader, "--fault reset-before@1 --latency 60")
    path = reader.folder / "manifests" / f"{name}.yaml"
    path.write_text(f"version: 1\naccounts:\n{_account(name, first_name, last_name)}", encoding="utf-8")
    state = reader.folder / "state" / "default.json"
    with reader.starts(f"apply manifests/{name}.yaml --yes") as run:
        eventually(lambda: "pending" in state.read_text(encoding="utf-8"))
        run.kill()
    path.unlink()
    _sandbox(reader)


def identity_gone(reader: Reader) -> None:
    """Lose the identity."""
    _identity(reader).unlink()


def recipient_of_the_new_identity(reader: Reader) -> None:
    """Name the recipient of the new identity in the settings."""
    (recipient,) = re.findall(r"age1\w+", _identity(reader).read_text(encoding="utf-8"))
    path = reader.folder / "provisioner.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"- age1\w+", f"- {recipient}", text), encoding="utf-8")


def new_key_by_hand(reader: Reader, first_name: str) -> None:
    """Change the key of an account in the dashboard."""
    _dashboard(reader, "PATCH", first_name, {"api_key": "f" * 32})


def deleted_by_hand(reader: Reader, first_name: str) -> None:
    """Delete an account in the dashboard."""
    _dashboard(reader, "DELETE", first_name)


def second_parent(reader: Reader, login: str) -> None:
    """Let the sandbox serve one more parent."""
    _sandbox(reader, f"--parent-account parent@example.com:sandbox --parent-account {login}:sandbox")


def without(reader: Reader, name: str) -> None:
    """Take an account out of the manifest."""
    path = reader.folder / "manifests" / "accounts.yaml"
    kept = [each for each in path.read_text(encoding="utf-8").splitlines(keepends=True) if f"name: {name}," not in each]
    path.write_text("".join(kept), encoding="utf-8")


def changed_by_hand(reader: Reader) -> None:
    """Change paris and delete rome in the dashboard."""
    _dashboard(reader, "PATCH", "Leonardo", {"company_name": "Example & Sons"})
    _dashboard(reader, "DELETE", "Artemisia")


def gone_again(reader: Reader) -> None:
    """Forget rome, which was put back though it is deleted."""
    without(reader, "rome")
    _succeeds(reader, "provisioner forget rome")


def colleague(reader: Reader) -> None:
    """Let the page's recipient be that of a colleague."""
    reader.stands_for["age1…"] = new_identity()[1]


_PARIS: Final = "  - {name: paris, first_name: Leonardo, last_name: Da Vinci, company_name: Example Ltd}\n"
_ROME: Final = """\
  - {name: rome, first_name: Artemisia, last_name: Gentileschi, company_name: Example Ltd, \
callbacks: {callback_url_for_deliveries: "https://hooks.example.com/octopush/deliveries"}}
"""


def _account(name: str, first_name: str, last_name: str, company_name: str = "Example Ltd") -> str:
    return f"  - {{name: {name}, first_name: {first_name}, last_name: {last_name}, company_name: {company_name}}}\n"


def _write(reader: Reader, *accounts: str) -> None:
    path = reader.folder / "manifests" / "accounts.yaml"
    path.write_text(f"version: 1\naccounts:\n{''.join(accounts)}", encoding="utf-8")


def _dashboard(reader: Reader, method: str, first_name: str, body: object = None) -> None:
    address = f"http://127.0.0.1:{reader.port}/sandbox/accounts/{reader.login_of(first_name)}"
    assert requests.request(method, address, json=body, timeout=PATIENCE).ok


def _identity(reader: Reader) -> Path:
    return Path(reader.environ["XDG_CONFIG_HOME"]) / "octopush-provisioner" / "identity.txt"


def _sandbox(reader: Reader, options: str = "") -> None:
    reader.runs(f"provisioner sandbox --port 8080 --ledger ../sandbox.jsonl {options} &")


def _succeeds(reader: Reader, command: str) -> None:
    code, said = reader.runs(command)
    assert (command, code, said) == (command, 0, said)
