"""The demonstration behind ``make demo``: the whole main job, against a sandbox on this machine.

Everything happens in a scratch folder that is removed at the end; the real API is
never called, and no identity or state of the user's is touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "provisioner"]
YAML, CSV = "manifests/example.yaml", "manifests/example.csv"

LOST = """\
version: 1
accounts:
  - {name: oslo, first_name: Harriet, last_name: Backer}
"""


def main() -> None:
    """Play every scene; exit with 1 as soon as one does not end as it should."""
    with tempfile.TemporaryDirectory(prefix="provisioner-demo-") as scratch:
        folder = Path(scratch)
        lost = folder / "one-more.yaml"
        lost.write_text(LOST, encoding="utf-8")
        sandbox, environment = start(folder)
        try:
            title("A manifest says which sub-accounts should exist; a plan says what is missing.")
            run(environment, "plan", YAML)
            title("An apply creates it, and seals the credentials that the API returns only once.")
            run(environment, "apply", "--yes", "--new-state", YAML)
            title("The same from a spreadsheet. What exists already is left alone.")
            run(environment, "apply", "--yes", YAML, CSV)
            title("Twice is once: nothing is left to do.")
            run(environment, "plan", YAML, CSV)
            run(environment, "credentials", "list")
            title("The worst case: the answer to a create is lost on its way. Nothing is guessed or sent again.")
            run(environment, "apply", "--yes", YAML, CSV, str(lost), expected=8)
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=10)
    title("The scratch folder is gone. Yours begins with `provisioner init`.")


def start(folder: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Make an identity and start the sandbox; return it and the environment that leads to it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OCTOPUSH_", "PROVISIONER_"))},
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "seen"),
        "PROVISIONER_STATE": str(folder / "state" / "{parent}.json"),
        "OCTOPUSH_API_LOGIN": "parent@example.com",
        "OCTOPUSH_API_KEY": "only-for-the-sandbox",
    }
    # Eight requests are sent in all; the answer to the last one is lost.
    sandbox = subprocess.Popen(
        [*COMMAND, "sandbox", "--latency", "0.05", "--fault", "lost@8"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    keygen = subprocess.run(
        [*COMMAND, "keygen"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    environment["PROVISIONER_RECIPIENTS"] = keygen.stdout.strip()
    assert sandbox.stdout is not None
    environment["OCTOPUSH_API_URL"] = sandbox.stdout.readline().strip()
    return sandbox, environment


def title(words: str) -> None:
    """Say what comes next."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    print(f"\n{bold}# {words}{plain}", flush=True)


def run(environment: dict[str, str], *arguments: str, expected: int = 0) -> None:
    """Show a command and run it as a person would."""
    shown = ["one-more.yaml" if argument.endswith("one-more.yaml") else argument for argument in arguments]
    print(f"$ provisioner {' '.join(shown)}", flush=True)
    code = subprocess.run([*COMMAND, *arguments], env=environment, cwd=ROOT, check=False).returncode
    if expected:
        print(f"(exit code {code})", flush=True)
    if code != expected:
        sys.exit(f"The demonstration failed: exit code {code}, {expected} was expected.")


if __name__ == "__main__":
    main()
