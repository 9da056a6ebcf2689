"""Run mutants of modules that share their tests, in a copy of the tree.

Prints a line of JSON for every mutant, and one for every module; whatever the tests print goes to ``engine.log``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from tests.proof.mutants import mutations, warm


def main(request: dict[str, Any]) -> None:
    """Run ``sample`` mutants of each of ``modules``, chosen by ``seed``, against ``tests``."""
    output = os.dup(1)
    log = os.open("engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)

    def say(**answer: object) -> None:
        os.write(output, f"{json.dumps(answer)}\n".encode())

    warm.preload()
    try:
        with warm.Runner(request["modules"], request["tests"]) as runner:
            for module in request["modules"]:
                chosen, total = _chosen(module, request)
                for mutant in chosen:
                    by = runner.outcome(module, mutant)
                    what = {each: getattr(mutant, each) for each in ("scope", "operator", "before", "after")}
                    say(module=module, by=by, **what)
                say(module=module, total=total)
    except Exception:  # noqa: BLE001  # whatever it is, a person must see it
        tail = Path("engine.log").read_text(encoding="utf-8", errors="replace")[-5000:]
        say(error=f"{tail}\n{traceback.format_exc()}")
        sys.exit(1)


def _chosen(module: str, request: dict[str, Any]) -> tuple[list[mutations.Mutant], int]:
    """Return the mutants to run, and how many there are; most of a sample stays when the module changes."""
    found = mutations.mutants(mutations.path_of(module).read_text(encoding="utf-8"))

    def drawn(mutant: mutations.Mutant) -> bytes:
        what = (request["seed"], module, mutant.scope, mutant.operator, mutant.before, mutant.after)
        return hashlib.sha256(json.dumps(what).encode()).digest()

    sample = {id(each) for each in sorted(found, key=drawn)[: request["sample"]]}
    return [each for each in found if id(each) in sample], len(found)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
