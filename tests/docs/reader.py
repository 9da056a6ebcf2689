"""Somebody who does what a page says: at a terminal, in order, word for word.

What a page cannot know is put in its place: the port of the sandbox, the logins that it
made, and Octopush's own address, at which a second sandbox listens that knows
``you@example.com`` alone and not the key of the first.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from provisioner.model.account import Credentials, Secret
from tests import forks
from tests.conftest import PATIENCE, headers
from tests.docs.pages import ROOT, Block

HERE: Final = "127.0.0.1:8080"
"""Where the sandbox is in every page."""
YOU: Final = Credentials("you@example.com", Secret("the-real-key-of-you"))
_SANDBOX: Final = Credentials("parent@example.com", Secret("sandbox"))
_INSTALLS: Final = re.compile(r"python3 -m venv |\S*pip install ")
"""What would be installed is what these tests run from."""
_BY_A_SHELL: Final = re.compile(r"[|;$<*]|&&|\$\(")


@dataclass
class Reader:
    """Somebody at a terminal."""

    folder: Path
    environ: dict[str, str]
    port: int
    octopush: str
    started: ExitStack
    """The sandbox that was started last."""
    held: ExitStack
    """What scenes keep until the end."""
    stands_for: dict[str, str] = field(default_factory=dict)
    """What the page has, and what is there instead."""
    commands: int = 0

    def writes(self, block: Block) -> None:
        """Put a block into the file that it is, or its keys into the file of settings that it changes."""
        if block.file is not None:
            path = self.folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._as_it_is(block.text), encoding="utf-8")
        if block.setting is not None:
            path = self.folder / block.setting
            keys = "|".join(re.findall(r"^(\w+):", block.text, re.MULTILINE))
            kept = re.sub(rf"^({keys}):.*\n([ -].*\n)*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
            path.write_text(kept + block.text, encoding="utf-8")

    def runs(self, command: str) -> tuple[int, str]:
        """Run a command as it is written; returns its exit code and what the terminal shows."""
        self.commands += 1
        command = self._as_it_is(command)
        words = [re.sub(r"^~(?=/|$)", self.environ["HOME"], each) for each in shlex.split(command)]
        if words[0] == "make":
            return self._by_a_shell(f"{command} -n", ROOT)
        if words[:4] == [".venv/bin/python", "-m", "pytest", "-q"]:
            # The tests of these tests: that they exist is enough.
            return int(not all((ROOT / each).exists() for each in words[4:])), ""
        if words[:2] == ["provisioner", "sandbox"] and words[-1] == "&":
            self._starts_the_sandbox(words[1:-1])
        elif words[0] == "provisioner" and not _BY_A_SHELL.search(command):
            return self._by_ourselves(words[1:])
        elif not _INSTALLS.match(command) and not self._builtin(words, command):
            return self._by_a_shell(command, self.folder)
        return 0, ""

    def _starts_the_sandbox(self, arguments: list[str]) -> None:
        self.started.pop_all().close()
        url = self.started.enter_context(forks.serving(arguments, self.folder, self._environ()))
        assert url == f"http://127.0.0.1:{self.port}/v1/public"

    def _builtin(self, words: list[str], command: str) -> bool:
        """Do what changes the reader's own shell; tells whether ``command`` is of that kind."""
        match words:
            case ["cd", folder]:
                self.folder = (self.folder / folder).resolve()
                assert self.folder.is_dir(), command
            case ["export", assigned] if "$" not in command:
                name, _, value = assigned.partition("=")
                self.environ[name] = value
            case ["export", path]:
                assert path.startswith("PATH="), command
            case ["unset", *names]:
                for name in names:
                    self.environ.pop(name, None)
            case ["read", "-rs", "OCTOPUSH_API_KEY", "&&", "export", "OCTOPUSH_API_KEY"]:
                self.environ["OCTOPUSH_API_KEY"] = YOU.api_key.reveal()
            case ["kill", "%1"]:
                self.started.pop_all().close()
            case _:
                return False
        return True

    def _by_ourselves(self, arguments: list[str]) -> tuple[int, str]:
        into = arguments[-1] if arguments[-2:-1] == [">"] else None
        if into is None:
            code, said = forks.at_terminal(arguments, self.folder, self._environ(), "y\n")
            return code, self._as_it_is_written(said)
        done = forks.command(arguments[:-2], self.folder, self._environ())
        (self.folder / into).write_text(done.stdout, encoding="utf-8")
        return done.returncode, self._as_it_is_written(done.stderr)

    def starts(self, arguments: str) -> subprocess.Popen[bytes]:
        """Start the command, at no terminal and with nothing shown."""
        return subprocess.Popen(
            [*forks.COMMAND, *arguments.split()], cwd=self.folder, env=self._environ(),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def _by_a_shell(self, command: str, folder: Path) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=self._environ(), check=False, text=True, timeout=PATIENCE,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, self._as_it_is_written(done.stdout)

    def _environ(self) -> dict[str, str]:
        """Return the environment of a process: where the reader names no address, Octopush's stand-in is meant."""
        return {"OCTOPUSH_API_URL": self.octopush, **self.environ}

    def _as_it_is(self, text: str) -> str:
        text = text.replace(HERE, f"127.0.0.1:{self.port}").replace("--port 8080", f"--port {self.port}")
        for written, there in self.stands_for.items():
            text = text.replace(written, there)
        return text

    def _as_it_is_written(self, text: str) -> str:
        text = text.replace(f"127.0.0.1:{self.port}", HERE).replace(self.octopush, "https://api.octopush.com/v1/public")
        for written, there in self.stands_for.items():
            text = text.replace(there, written)
        return text

    # ── What is done at Octopush ──

    def accounts(self) -> list[dict[str, Any]]:
        """Return what the dashboard lists."""
        answer = requests.get(f"http://127.0.0.1:{self.port}/sandbox/accounts", timeout=PATIENCE)
        found: list[dict[str, Any]] = answer.json()
        return found

    def login_of(self, first_name: str) -> str:
        """Return the login of the latest account of that first name."""
        return str([each["api_login"] for each in self.accounts() if each["first_name"] == first_name][-1])

    def make_by_hand(self, first_name: str, last_name: str) -> str:
        """Make an account in the dashboard, and return its login."""
        body = {"first_name": first_name, "last_name": last_name, "password": "By-hand-1-secret"}
        address = f"http://127.0.0.1:{self.port}/v1/public/subaccount/create"
        return str(requests.post(address, json=body, headers=headers(_SANDBOX), timeout=PATIENCE).json()["api_login"])


@contextmanager
def reading(folder: Path) -> Iterator[Reader]:
    """Let somebody read in ``folder``, with nothing but a home and the command, for the length of a ``with``."""
    home = folder / "home"
    home.mkdir()
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "LANG": "C.UTF-8",
        "COLUMNS": "160",
        "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.com",
    }  # fmt: skip
    with (
        ExitStack() as octopush,
        ExitStack() as started,
        ExitStack() as held,
        socket.create_server(("127.0.0.1", 0)) as free,
    ):
        port = free.getsockname()[1]
        free.close()
        options = ("sandbox", f"--parent-account={YOU.api_login}:{YOU.api_key.reveal()}", "--fault=lost@4")
        url = octopush.enter_context(forks.serving(options, folder, environ))
        yield Reader(folder, environ, port, url, started, held)
