"""What holds for every module: who may touch the process, and what tests may import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import provisioner
from provisioner import Project
from provisioner.cli.main import COMMANDS
from provisioner.errors import MEANINGS
from provisioner.project import identity, starting
from provisioner.schemas import load

ROOT: Final = Path(__file__).parent.parent
PACKAGE: Final = ROOT / "provisioner"
OF_THE_PROCESS: Final = {
    "gc": {"*"},
    "os": {"chdir", "environ", "environb", "getenv", "putenv", "umask"},
    "signal": {"signal", "setitimer", "alarm", "set_wakeup_fd"},
    "sys": {"stdin", "stdout", "stderr", "argv", "exit", "setrecursionlimit"},
}
"""What belongs to the process that uses the library."""
ALLOWED: Final = {
    ("project/worker.py", "os.environ"),  # a worker of a cluster is a process of its own, and this is its entry
    ("state/stores/bucket.py", "os.environ"),  # obstore reads it: a variable that nobody gave is refused
}
FUNCTIONS: Final = {
    "init": starting.start,
    "keygen": identity.keygen,
    "doctor": Project.examine,
    "validate": Project.validate,
    "plan": Project.plan,
    "apply": Project.apply,
    "reconcile": Project.apply,
    "refresh": Project.refresh,
    "verify": Project.verify,
    "status": Project.status,
    "history": Project.history,
    "credentials": Project.open_credentials,
    "exec": Project.inherited,
    "resolve": Project.resolve,
    "adopt": Project.adopt,
    "forget": Project.forget,
    "rotate-password": Project.rotate_passwords,
    "rekey": Project.rekey,
    "recover": Project.recover,
    "state": Project.migrate_states,
    "unlock": Project.unlock,
    "explain": MEANINGS,
    "schema": load,
}
"""What each command does, in the library."""


def trees(folder: Path) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix(), ast.parse(path.read_bytes())


def test_only_the_command_line_touches_the_process() -> None:
    found = set()
    for name, tree in trees(PACKAGE):
        if name.startswith(("cli/", "__main__", "sandbox/", "templates/")):
            continue
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(value=ast.Name(id=module), attr=attribute):
                    if {attribute, "*"} & OF_THE_PROCESS.get(module, set()):
                        found.add((name, f"{module}.{attribute}"))
                case ast.ImportFrom(module=str(module)) if module in OF_THE_PROCESS:
                    found |= {(name, each.name) for each in node.names if each.name in OF_THE_PROCESS[module]}
                case ast.Call(func=ast.Name(id="print" | "input" as function)):
                    found.add((name, function))
    assert ALLOWED == found


def test_the_library_has_everything_that_the_command_line_has() -> None:
    # Completion is about the shell, and the sandbox is a server.
    assert {"completion", "sandbox"} == {*COMMANDS} - FUNCTIONS.keys()
    assert set() == FUNCTIONS.keys() - {*COMMANDS}


def test_every_public_name_has_a_docstring() -> None:
    public = [getattr(provisioner, name) for name in provisioner.__all__ if name != "__version__"]
    members = [
        (f"{kind.__name__}.{name}", getattr(member, "__func__", member))
        for kind in public
        for name, member in vars(kind).items()
        if not name.startswith("_") and (callable(member) or isinstance(member, property | classmethod))
    ]
    assert [] == [name for name, member in members if not member.__doc__]
    assert {"Project.apply", "Project.recover", "Reporter.finished"} <= {name for name, _ in members}


def test_no_test_imports_from_the_module_of_another() -> None:
    imported = {
        (name, node.module)
        for name, tree in trees(ROOT / "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is not None
    }
    assert [] == [(name, module) for name, module in imported if ".test_" in f".{module}"]
