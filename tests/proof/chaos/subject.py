"""This tool as its users have it: the subject of every layer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyrage

from tests.proof import checker
from tests.proof.chaos.grounds import Ground
from tests.proof.chaos.tracing import Command, Run, run

CREATES: Final = ("apply", "--yes", "--new-state")
_LOCKED: Final = 6
_UNKNOWN: Final = 8
_DAMAGED: Final = r"(\S+\.rescue) [^\n]*\n.* move the damaged line away"
_TRIES: Final = 4
"""Applies of a recovery: one that finds what is unknown, one after that was settled, and one for a lock before each."""


@dataclass(frozen=True, slots=True)
class Provisioner:
    """The command line, with a manifest in a folder, an identity, and the settings in the environment."""

    name: str = "provisioner"
    apply: tuple[str, ...] = CREATES
    """The command that is in trouble."""
    exist: bool = False
    """Whether the accounts exist already, before there is any trouble."""
    edits: bool = False
    """Whether the manifest is edited after that."""

    @classmethod
    def editing(cls) -> Provisioner:
        """Return one that edits its accounts."""
        return cls(exist=True, edits=True)

    @classmethod
    def rotating(cls) -> Provisioner:
        """Return one that sets new passwords."""
        return cls(apply=("rotate-password", "--all", "--yes"), exist=True)

    @classmethod
    def rekeying(cls) -> Provisioner:
        """Return one that seals everything again."""
        return cls(apply=("rekey", "--yes"), exist=True)

    def prepare(self, ground: Ground) -> None:
        """Write a manifest, and an identity if there is none."""
        path = ground.home / "config" / "octopush-provisioner" / "identity.txt"
        if path not in ground.kept:
            path.parent.mkdir(parents=True)
            path.touch(mode=0o600)
            path.write_text(f"{pyrage.x25519.Identity.generate()}\n")
            ground.kept.append(path)
        identity = pyrage.x25519.Identity.from_str(path.read_text().strip())
        self._write_manifests(ground, last_name="Chaos", version=1)
        settings: dict[str, Any] = {"recipients": [str(identity.to_public())]}
        if [*ground.parents] != ["default"]:
            prefixes = {parent: parent.upper().replace("-", "_") for parent in ground.parents}
            settings["parents"] = {
                parent: {"api_login": f"${{env:{prefix}_LOGIN}}", "api_key": f"${{env:{prefix}_KEY}}"}
                for parent, prefix in prefixes.items()
            }
        (ground.folder / "provisioner.yaml").write_text(json.dumps(settings))
        if self.exist:
            done = run(self._command(ground, *CREATES))
            assert done.code == 0, done.printed
        if self.edits:
            self._write_manifests(ground, last_name="Edited", version=2)

    @staticmethod
    def _write_manifests(ground: Ground, *, last_name: str, version: int) -> None:
        hook = {"callback_url_for_deliveries": "https://hooks.example.com/?t=${env:HOOK_TOKEN}"}
        (ground.folder / "manifests").mkdir(exist_ok=True)
        for parent in ground.parents:
            accounts: list[dict[str, Any]] = [
                {"name": name, "first_name": name, "password_version": version} for name in ground.names
            ]
            accounts[0]["password"] = "${env:CHOSEN_PASSWORD}"
            document = {
                "version": 1,
                "parent": parent,
                "defaults": {"last_name": last_name, "callbacks": hook},
                "accounts": accounts,
            }
            (ground.folder / "manifests" / f"{parent}.yaml").write_text(json.dumps(document))

    def command(self, ground: Ground) -> Command:
        """Return an unattended apply."""
        return self._command(ground, *self.apply)

    def settle(self, ground: Ground, runs: Sequence[Run]) -> list[Run]:
        """Do what docs/unknown.md and the messages say until an apply has nothing more to say."""
        done: list[Run] = []
        log = "".join(each.printed for each in runs)
        if "provisioner-rescue" in log:
            (ground.folder / "run.log").write_text(log)
            done.append(run(self._command(ground, "recover", "run.log")))
        for _ in range(_TRIES):
            done.append(run(self._command(ground, *CREATES)))
            match done[-1].code:
                case 0:
                    break
                case 5 if found := re.search(_DAMAGED, done[-1].printed):
                    (ground.folder / found[1]).rename(ground.folder / "damaged")
                case 6 if found := re.search(r"provisioner unlock ([\w-]+)", done[-1].printed):
                    done.append(run(self._command(ground, "unlock", found[1])))
                case 8:
                    done += self._decide(ground)
        return done

    def _decide(self, ground: Ground) -> list[Run]:
        """End every unknown as the dashboard of the sandbox says."""
        listed = run(self._command(ground, "status", "--format", "json"))
        there = {each.name: each.login for each in ground.created()}
        done = []
        for state in json.loads(listed.printed)["states"]:
            for account in state["accounts"]:
                if account["status"] != "unknown":
                    continue
                login = there.get((state["parent"], account["name"]))
                what: tuple[str, ...] = ("resolve", account["name"], "--not-created", "--yes")
                if login is not None:
                    what = ("adopt", account["name"], login)
                which = () if len(ground.parents) == 1 else ("--parent", state["parent"])
                done.append(run(self._command(ground, *what, *which)))
        return done

    def holding(self, ground: Ground, runs: Sequence[Run]) -> checker.Holding:
        """Return what the states hold, and every rescue line in a file or in what was printed."""
        (identity,) = (path.read_text().strip() for path in ground.kept)
        found = checker.Holding()
        for document in ground.store.documents(ground).values():
            found += checker.state(document, identity)
        for place in (*ground.texts(), *(("", each.printed.encode()) for each in runs)):
            if b"provisioner-rescue" in place[1]:
                found += checker.rescued(place[1].decode(errors="replace"), identity)
        return found

    def _command(self, ground: Ground, *arguments: str) -> Command:
        settings = {"PROVISIONER_PLACEHOLDERS": "*", **ground.store.settings(ground)}
        return Command(arguments, ground.folder, ground.environ | settings)
