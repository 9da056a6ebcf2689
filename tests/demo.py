"""The demonstration behind ``make demo``: plan, apply and an unknown, against a sandbox on this machine.

Everything happens in a temporary folder that is removed at the end. It never calls
the real API and does not touch the user's identity or states.
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
    """Run every step; exit with 1 as soon as one ends with an unexpected exit code."""
    with tempfile.TemporaryDirectory(prefix="provisioner-demo-") as scratch:
        folder = Path(scratch)
        lost = folder / "one-more.yaml"
        lost.write_text(LOST, encoding="utf-8")
        sandbox, environment = start(folder)
        try:
            title("A manifest lists the sub-accounts that should exist. A plan shows what an apply would do.")
            run(environment, "plan", YAML)
            title("An apply creates them, and encrypts the credentials, which Octopush returns only once.")
            run(environment, "apply", "--yes", "--new-state", "--compact", YAML)
            title("Manifests can be spreadsheets too. An apply skips the accounts that exist.")
            run(environment, "apply", "--yes", "--compact", YAML, CSV)
            title("Everything exists now, so a second run would do nothing.")
            run(environment, "plan", YAML, CSV)
            run(environment, "credentials", "list")
            title("The worst case: the answer to a create is lost. The tool neither guesses nor sends it again.")
            run(environment, "apply", "--yes", "--compact", YAML, CSV, str(lost), expected=8)
        finally:
            sandbox.terminate()
            sandbox.wait(timeout=10)
    title("That was a sandbox, and its temporary folder is removed. Start your own project with `provisioner init`.")


def start(folder: Path) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """Create an identity and start the sandbox; return the process and the environment to use it."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OCTOPUSH_", "PROVISIONER_"))},
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_STATE_HOME": str(folder / "seen"),
        "PROVISIONER_STATE": str(folder / "state" / "{parent}.json"),
        "OCTOPUSH_API_LOGIN": "parent@example.com",
        "OCTOPUSH_API_KEY": "only-for-the-sandbox",
    }
    # The eighth create is the last one, and its answer is lost.
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
    """Print what the next command shows."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    print(f"\n{bold}# {words}{plain}", flush=True)


def run(environment: dict[str, str], *arguments: str, expected: int = 0) -> None:
    """Print a command and run it as a person would."""
    shown = ["one-more.yaml" if argument.endswith("one-more.yaml") else argument for argument in arguments]
    print(f"$ provisioner {' '.join(shown)}", flush=True)
    code = subprocess.run([*COMMAND, *arguments], env=environment, cwd=ROOT, check=False).returncode
    if expected:
        print(f"(exit code {code})", flush=True)
    if code != expected:
        sys.exit(f"The demonstration failed: exit code {code}, {expected} was expected.")


if __name__ == "__main__":
    main()
