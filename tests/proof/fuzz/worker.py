"""One search, in a process of its own: ``python -m tests.proof.fuzz.worker TARGET FINDINGS [libFuzzer's options]``.

Writes each new kind of finding into the folder FINDINGS, as the input and the traceback, and goes
on. libFuzzer itself ends the process for an input that takes too long or too much memory.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import sys
import tempfile
import traceback
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["provisioner"]):
    import provisioner

    # What a function imports when it is called would otherwise not be followed.
    for module in pkgutil.walk_packages(provisioner.__path__, "provisioner."):
        if not module.name.startswith(("provisioner.cli", "provisioner.sandbox", "provisioner.__main__")):
            importlib.import_module(module.name)
    from tests.proof.fuzz.targets import TARGETS, attempt


def main() -> None:
    """Search until libFuzzer ends the process."""
    name, findings, *options = sys.argv[1:]
    target, folder = TARGETS[name], Path(tempfile.mkdtemp(dir=findings))
    known: set[str] = set()

    def once(data: bytes) -> None:
        error = attempt(target, data, folder)
        if error is None:
            return
        places = [f"{each.filename}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        kind = f"{type(error).__name__} {places[-3:]} {error if isinstance(error, AssertionError) else ''}"
        if kind not in known:
            known.add(kind)
            stem = hashlib.sha256(data).hexdigest()[:16]
            Path(findings, f"finding-{stem}").write_bytes(data)
            Path(findings, f"{stem}.txt").write_text("".join(traceback.format_exception(error)), errors="replace")

    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


main()
