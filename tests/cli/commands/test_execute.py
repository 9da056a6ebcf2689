"""``exec``: a command that runs with an account's credentials and with none of ours."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import ExitCode
from provisioner.model.account import Credentials, Secret
from tests.cli.steps import TWO, edit_manifest, having, keep, made_by, run
from tests.conftest import NewProject, Project, SandboxProcess, StartSandbox, finished, secrets_of

ENVIRON = (sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))")
ARGUMENTS = (sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))")


def without_ours(mine: Project) -> dict[str, str]:
    """Return the project's environment without what opens more than one account."""
    ours = {"HOOK_TOKEN", "PROVISIONER_RECIPIENTS", "PROVISIONER_PLACEHOLDERS"}
    return {name: value for name, value in mine.environ.items() if name not in ours}


def test_a_command_finds_the_account_and_none_of_our_own_secrets(applied: Project, server: SandboxProcess) -> None:
    (applied.folder / "provisioner.yaml").write_text(
        "heartbeat_url: https://monitor.example.com/${env:PING_ID}\n"
        'parents:\n  default: {}\n  acme: {api_login: "${env:ACME_LOGIN}", api_key: "${env:ACME_KEY}${file:key}"}\n'
    )
    edit_manifest(applied, "first_name: rome", "first_name: rome, password: '${env:ROME_PASSWORD}'")
    theirs = {"OCTOPUSH_OTHER": "stays", "CIRCLE": "stays", "ACME": "stays"}
    ours = {
        "ACME_LOGIN": "acme@example.com",
        "ACME_KEY": "acme-key",
        "ROME_PASSWORD": "of somebody else",
        "PING_ID": "that of the heartbeat",
        "PROVISIONER_PUSH_TOKEN": "that of the state",
        "GITHUB_TOKEN": "that of the repository",
        "CI_JOB_TOKEN": "the same",
        "OCTOPUSH_PASSWORD": "of somebody else",
        "PROVISIONER_IDENTITY": applied.identity_path.read_text(),
        "PROVISIONER_IDENTITY_FILE": "identity.txt",
        "PROVISIONER_IDENTITY_COMMAND": "cat identity.txt",
        "PROVISIONER_PROXY": "http://me:secret@proxy.example.com",
        "HOOK_TOKEN": "listed for the placeholders of any manifest",
        "PROVISIONER_PLACEHOLDERS": "HOOK_* *",
        "SOPS_AGE_KEY": applied.identity_path.read_text(),
        "MY_COPY": applied.environ["OCTOPUSH_API_KEY"],
    }
    done = having(applied, **theirs, **ours).run("exec", "paris", "--", *ENVIRON)
    made = made_by(server)["paris"]
    expected = {
        **without_ours(applied),
        **theirs,
        "OCTOPUSH_API_LOGIN": made["api_login"],
        "OCTOPUSH_API_KEY": made["api_key"],
        "OCTOPUSH_PASSWORD": made["password"],
    }
    assert (0, "", expected) == (done.returncode, done.stderr, json.loads(done.stdout))
    assert server.url == expected["OCTOPUSH_API_URL"]
    assert server.accepts(Credentials(expected["OCTOPUSH_API_LOGIN"], Secret(expected["OCTOPUSH_API_KEY"])))


def test_without_a_stored_password_a_command_finds_none(applied: Project, server: SandboxProcess) -> None:
    keep(applied, "paris", replace(applied.opened("paris"), password=None))
    done = having(applied, OCTOPUSH_PASSWORD="of somebody else").run("exec", "paris", *ENVIRON)
    expected = {key: made_by(server)["paris"][key.removeprefix("OCTOPUSH_").lower()] for key in
                ("OCTOPUSH_API_LOGIN", "OCTOPUSH_API_KEY")}  # fmt: skip
    assert {**without_ours(applied), **expected} == json.loads(done.stdout)


def test_arguments_reach_the_command_as_they_are(applied: Project) -> None:
    words = [
        "-H",
        "x: y",
        "--help",
        "-h",
        "--parent",
        "acme",
        "--format",
        "json",
        "--",
        "",
        "--config=x",
        "é\n*$HOME",
        "--",
    ]
    for separator in ([], ["--"]):
        done = applied.run("exec", "--parent", "default", "paris", *separator, *ARGUMENTS, *words)
        assert (0, words) == (done.returncode, json.loads(done.stdout))
    raw = subprocess.run(
        [sys.executable, "-m", "provisioner", "exec", "--", "paris", "printf", "%s", b"\xff\xfe"],
        cwd=applied.folder, env=applied.environ, capture_output=True, check=True,
    )  # fmt: skip
    assert b"\xff\xfe" == raw.stdout


def test_no_secret_is_among_the_arguments(applied: Project, server: SandboxProcess) -> None:
    done = applied.run("exec", "paris", "--", "cat", "/proc/self/cmdline")
    assert (0, "cat\0/proc/self/cmdline\0") == (done.returncode, done.stdout)
    assert set() == {secret for secret in secrets_of(server, applied) if secret in done.stdout + done.stderr}


def test_the_command_takes_the_place_of_the_process(applied: Project) -> None:
    with applied.start("exec", "paris", "--", "sh", "-c", "cat; echo $$; exit 42", stdin=subprocess.PIPE) as process:
        said, _ = process.communicate("heard\n")
    assert (42, f"heard\n{process.pid}\n") == (process.returncode, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ])
def test_a_signal_ends_the_command_as_it_would_without_us(applied: Project, number: signal.Signals) -> None:
    with applied.start("exec", "paris", "--", "sh", "-c", "echo ready; exec sleep 60") as process:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
        process.send_signal(number)
        assert -number == finished(process).returncode


def test_what_cannot_be_run(applied: Project, server: SandboxProcess) -> None:
    (applied.folder / "data").write_text("no program")
    for word, problem in {
        "no-such-command": "No such file or directory",
        "./no-such-command": "No such file or directory",
        "./data": "Permission denied",
        "./manifests": "Permission denied",
    }.items():
        done = applied.run("exec", "paris", "--", word, "--format", "json")
        assert (64, "") == (done.returncode, done.stdout)
        assert f"error: {word} cannot be run: {problem}.\n" in done.stderr
        assert set() == {secret for secret in secrets_of(server, applied) if secret in done.stderr}


def test_a_command_must_be_given(tmp_path: Path) -> None:
    for words in ([], ["--"], ["--", ""], [""]):
        done = run(tmp_path, "exec", "paris", *words)
        assert (64, "", True) == (done.returncode, done.stdout, "No command was given." in done.stderr)
    for words in (["--parent", "acme", "--", "env"], ["--help"]):
        done = run(tmp_path, "exec", "paris", *words)
        assert (64, "") == (done.returncode, done.stdout)
        assert "Options of exec go before the account's name" in done.stderr
    for words in ([], ["--nonsense", "paris", "env"]):
        done = run(tmp_path, "exec", *words)
        assert (64, "", True) == (done.returncode, done.stdout, "provisioner exec --help" in done.stderr)


def test_nothing_is_run_without_credentials(sandbox: StartSandbox, project: NewProject, tmp_path: Path) -> None:
    mine = project(sandbox("--fault", "not-json@1"), TWO)
    assert ExitCode.OUTCOME_UNKNOWN == mine.run("apply", "--yes").returncode
    for name, code, words in (("paris", 5, "no credentials for paris"), ("oslo", 64, "no account oslo")):
        done = mine.run("exec", name, "--", "echo", "ran")
        assert (code, "", True) == (done.returncode, done.stdout, words in done.stderr)
    assert 0 == mine.run("resolve", "paris", "--not-created", "--yes").returncode
    assert 0 == mine.run("apply", "--yes").returncode
    assert "ran\n" == mine.run("exec", "paris", "--", "echo", "ran").stdout
    content = mine.opened("paris")
    keep(mine, "paris", replace(content, password=Secret("a\ud800b")))
    done = mine.run("exec", "paris", "--", "echo", "ran")
    assert (5, "", True) == (done.returncode, done.stdout, "contain a character that no environment" in done.stderr)
    mine.identity_path.unlink()
    done = mine.run("exec", "rome", "--", "echo", "ran")
    assert (10, "", True) == (done.returncode, done.stdout, "no identity" in done.stderr)
    done = run(tmp_path, "exec", "paris", "--", "echo", "ran")
    assert (5, "", True) == (
        done.returncode,
        done.stdout,
        "no state of the parent default at state/default.json" in done.stderr,
    )


def test_exec_is_in_the_help(tmp_path: Path) -> None:
    top = run(tmp_path, "--help").stdout
    assert top.index("\n  credentials ") < top.index("\n  exec ") < top.index("\n  resolve ")
    done = run(tmp_path, "exec", "--help")
    assert "Usage: provisioner exec [OPTIONS] NAME -- COMMAND [ARG]...\n" in done.stdout
