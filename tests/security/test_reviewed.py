"""What was reviewed is what happens: every format of a plan shows whatever steers the run, and an apply compares it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import pytest

import provisioner
from provisioner.errors import CommandInvalid, PlanStale, Refused, SettingInvalid
from provisioner.project.bounds import Bounds
from provisioner.render import documents, html, markdown, text
from provisioner.render.words import View
from provisioner.settings import ParentSettings, Settings, loading, secrets, steering
from provisioner.state.sealing import new_identity
from tests.cli.steps import made
from tests.conftest import PARENT, NewProject, Project, SandboxProcess, StartSandbox
from tests.project.opened import opened

LINES: Final = {
    "proxy": ("proxy: http://ada:SECRET@127.0.0.1:9", "Sends through the proxy http://***@127.0.0.1:9."),
    "ca_file": ("ca_file: ci/roots.pem", "Trusts only the certificate authorities in ci/roots.pem (SHA-256 "),
    "heartbeat_url": (
        "heartbeat_url: https://evil.example/SECRET/${env:OTHER}",
        "Calls https://evil.example/***/${env:OTHER} when a run ends.",
    ),
    "identity_file": ("identity_file: ci/id.txt", "Opens sealed credentials with the identity in ci/id.txt."),
    "retry_on_503": ("retry_on_503: true", "Retries a create after HTTP 503: if the first was created, that makes a"),
    "timeout": ("timeout: 0.3", "Sets timeout to 0.3, not 30."),
    "attempts": ("attempts: 99", "Sets attempts to 99, not 5."),
    "retry_budget": ("retry_budget: 0", "Sets retry_budget to 0, not 60."),
    "retry_after_cap": ("retry_after_cap: 1", "Sets retry_after_cap to 1, not 120."),
    "keep_going": ("keep_going: true", "Continues after an unknown outcome."),
    "max_creates": ("max_creates: 7", "Sets max_creates to 7."),
    "max_updates": ("max_updates: 7", "Sets max_updates to 7."),
    "metrics_file": ("metrics_file: here.prom", "Writes metrics to here.prom."),
}
"""A line that a pull request adds to the settings, and what a reviewer reads at the head of the plan."""


@pytest.fixture
def mine(project: NewProject) -> Iterator[Project]:
    """A project without a state; no server listens at its address, and none is needed."""
    fresh = project(SandboxProcess("http://127.0.0.1:9/v1/public", Path("none")), ("paris",))
    (fresh.folder / "ci").mkdir()
    (fresh.folder / "ci" / "roots.pem").write_text("roots")
    with chdir(fresh.folder):
        yield fresh


@pytest.fixture
def applied(sandbox: StartSandbox, project: NewProject) -> Project:
    """A project with two accounts that exist."""
    return made(sandbox(), project)


def at(mine: Project, **options: Any) -> provisioner.Project:  # noqa: ANN401  # those of Project.open
    """Open the project as a command that runs in its folder does."""
    return opened(replace(mine), **{"folder": Path(), **options})


def configured(mine: Project, *lines: str) -> None:
    (mine.folder / "provisioner.yaml").write_text("".join(f"{line}\n" for line in lines))


def formats(this: provisioner.Project) -> dict[str, str]:
    """Return the plan of a project in every format."""
    plans = this.plan()
    digest = this.digest(plans)
    return {
        "text": "\n".join(line.text for line in text.plans(plans.plans, digest)),
        "markdown": markdown.plans(plans.plans, digest),
        "html": html.page(plans.plans, digest),
        "json": json.dumps(documents.plans(plans.plans)),
    }


def stale(mine: Project, saved: Path, words: str, **options: object) -> None:
    with pytest.raises(PlanStale) as raised:
        at(mine, **options).reviewed(saved)
    assert words in raised.value.message
    assert "SECRET" not in raised.value.message


# ── Settings ─────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("mine")
def test_every_setting_is_in_the_plan_or_known_not_to_matter() -> None:
    usual = loading.load(None, {}, {}, folder=Path("nowhere"))
    assert () == steering.steering(usual)
    for each in fields(Settings):
        other = replace(usual, **{each.name: "ci/roots.pem"})
        assert (each.name in [found.name for found in steering.steering(other)]) == (
            # Each parent has its own state, login, key and slots, which its plan shows.
            each.name not in {"state", "parents", "file", "stronger", "lock_timeout"}
        ), each.name
    assert {each.name for each in fields(ParentSettings)} == {
        "name", "api_login", "api_key", "limit", "reserved", "frozen",
    }  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_no_setting_can_change_between_review_and_apply(mine: Project, name: str) -> None:
    line, words = LINES[name]
    usual, saved = at(mine), mine.root / "plan.json"
    digest = usual.save_plan(usual.plan(), saved)
    configured(mine, line)
    shown = formats(at(mine))
    for form in ("text", "markdown"):
        assert words in shown[form]
    assert words.partition(" ")[2].replace("&", "&amp;").rstrip(".") in shown["html"]
    assert name in [each["name"] for each in json.loads(shown["json"])["settings"]]
    assert at(mine).digest(at(mine).plan()) != digest
    stale(mine, saved, f"the setting {name} is ")
    assert not any("SECRET" in form for form in shown.values())
    # And the other way: what was reviewed with the line is not applied without it.
    at(mine).save_plan(at(mine).plan(), saved)
    at(mine).reviewed(saved)
    configured(mine)
    stale(mine, saved, f"the setting {name} is not set, and was ")


def test_certificate_authorities_are_compared_by_content(mine: Project) -> None:
    saved = mine.root / "plan.json"
    configured(mine, "ca_file: ci/roots.pem")
    at(mine).save_plan(at(mine).plan(), saved)
    (mine.folder / "ci" / "roots.pem").rename(mine.folder / "ci" / "moved.pem")
    configured(mine, "ca_file: ci/moved.pem")
    at(mine).reviewed(saved)
    (mine.folder / "ci" / "moved.pem").write_text("others")
    stale(mine, saved, "the setting ca_file is ci/moved.pem with the SHA-256 ")


@pytest.mark.parametrize(
    ("name", "was", "now"),
    [
        ("heartbeat_url", "https://m.example/SECRET-a", "https://m.example/SECRET-b"),
        ("proxy", "http://SECRET:a@127.0.0.1:9", "http://SECRET:b@127.0.0.1:9"),
    ],
)
def test_a_masked_value_cannot_change_either(mine: Project, name: str, was: str, now: str) -> None:
    saved = mine.root / "plan.json"
    configured(mine, f"{name}: {was}")
    digest = at(mine).save_plan(at(mine).plan(), saved)
    at(mine).reviewed(saved)
    configured(mine, f"{name}: {now}")
    stale(mine, saved, ", and was different: the value is masked")
    assert at(mine).digest(at(mine).plan()) != digest
    assert "SECRET" not in saved.read_text()


def test_only_the_environment_may_change_the_heartbeat_after_the_review(mine: Project) -> None:
    saved = mine.root / "plan.json"
    at(mine).save_plan(at(mine).plan(), saved)
    configured(mine, "heartbeat_url: https://evil.example/${env:OTHER}")
    own = {**mine.environ, "PROVISIONER_HEARTBEAT_URL": "https://own.example/token"}
    at(mine, environ=own).reviewed(saved)
    stale(mine, saved, "the setting heartbeat_url is https://evil.example/***/${env:OTHER}, and was not set")


def test_a_stale_plan_is_reported_only_where_the_apply_itself_says(mine: Project) -> None:
    assert 0 == mine.run("plan", "--out", "plan.json").returncode
    configured(mine, "heartbeat_url: http://127.0.0.1:1/token", "metrics_file: metrics.prom")
    done = mine.run("apply", "--plan", "plan.json", "--yes")
    assert (9, False, False) == (
        done.returncode, "heartbeat was" in done.stderr, (mine.folder / "metrics.prom").exists(),
    )  # fmt: skip
    done = mine.run("apply", "--plan", "plan.json", "--yes", "--heartbeat-url", "http://127.0.0.1:2/own")
    assert (9, True) == (
        done.returncode,
        "heartbeat was not received: the connection was refused (127.0.0.1:2)" in done.stderr,
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "parents: {default: {api_key: '${env:OTHER_KEY}'}}",
            ("key      from OTHER_KEY", "<dt>key</dt> <dd>from OTHER_KEY<"),
        ),
        (
            "parents: {default: {api_login: '${file:ci/login}'}}",
            ("login    from the file ci/login", "<dt>login</dt> <dd>from the file ci/login<"),
        ),
        ("state: elsewhere/{parent}.json", ("none yet at elsewhere/default.json: apply starts one",)),
        ("limit: 99", ("of 99 slots",)),
        ("reserved: 9", ("9 reserved",)),
    ],
)
def test_a_parent_keeps_the_credentials_slots_and_state_that_were_reviewed(
    mine: Project, line: str, words: tuple[str, ...]
) -> None:
    saved = mine.root / "plan.json"
    at(mine).save_plan(at(mine).plan(), saved)
    configured(mine, line)
    said = [form for form, shown in formats(at(mine)).items() if any(each in shown for each in words)]
    assert ["text", "markdown", "html"] == said
    stale(mine, saved, " parent default ")


def test_every_format_shows_the_address_and_that_the_state_is_new(mine: Project) -> None:
    shown = formats(at(mine))
    places = {
        "address": "http://127.0.0.1:9/v1/public",
        "login": f"{PARENT.api_login[:3]}*** (from OCTOPUSH_API_LOGIN)",
        "state": "none yet at state/default.json: apply starts one",
    }
    for label, said in places.items():
        assert f"\n  {label:<7}  {said}\n" in shown["text"]
        assert f"\n{label:<7}  {said}\n" in shown["markdown"]
        assert f"<dt>{label}</dt> <dd>{said}</dd>" in shown["html"]
    document = json.loads(shown["json"])
    (plan,) = document["plans"]
    assert ("http://127.0.0.1:9/v1/public", "${env:OCTOPUSH_API_LOGIN}", "state/default.json", True) == (
        document["endpoint"], plan["login"], plan["state"], plan["begins"],
    )  # fmt: skip


def test_published_plans_show_three_letters_of_a_login_and_no_digest_depends_on_it(mine: Project) -> None:
    elsewhere = at(mine, environ={name: each for name, each in mine.environ.items() if name != "OCTOPUSH_API_LOGIN"})
    here, plans = at(mine), at(mine).plan()
    assert elsewhere.save_plan(elsewhere.plan(), mine.root / "there.json") == here.save_plan(
        plans, mine.root / "here.json"
    )
    assert (mine.root / "there.json").read_bytes() == (mine.root / "here.json").read_bytes()
    assert "\n  login    from OCTOPUSH_API_LOGIN\n" in formats(elsewhere)["text"]
    assert not any(PARENT.api_login in form for form in formats(here).values())
    assert {"logins": {"default": "par***"}} == documents.logins(plans.plans)
    shown = "\n".join(line.text for line in text.plans(plans.plans, "d", View(private=True)))
    assert f"\n  login    {PARENT.api_login} (from OCTOPUSH_API_LOGIN)\n" in shown


def test_a_login_in_the_settings_is_masked_and_compared_whole(mine: Project) -> None:
    saved = mine.root / "plan.json"
    configured(mine, "parents: {default: {api_login: parents@example.com}}")
    at(mine).save_plan(at(mine).plan(), saved)
    assert not any("parents@" in each for each in (*formats(at(mine)).values(), saved.read_text()))
    at(mine).reviewed(saved)
    configured(mine, "parents: {default: {api_login: pardon@example.com}}")
    stale(mine, saved, "the plan of the parent default now differs")


def test_every_format_says_what_is_read_and_which_host_gets_it(mine: Project) -> None:
    shown = formats(at(mine))
    for form in ("text", "markdown", "html"):
        assert shown[form].count("reads HOOK_TOKEN for hooks.example.com") == 1, "at its head"
        assert shown[form].count("https://hooks.example.com/") == 1, "and with the account, as it is written"
        assert shown[form].count("${env:HOOK_TOKEN}") == 1
    (plan,) = json.loads(shown["json"])["plans"]
    read = {"kind": "env", "name": "HOOK_TOKEN", "to": "hooks.example.com"}
    assert [read | {"accounts": ["paris"]}] == plan["placeholders"]
    path = "callbacks.callback_url_for_deliveries"
    assert [read | {"path": path}] == plan["changes"][0]["placeholders"]


def test_the_head_of_a_plan_stays_short_however_much_is_read(mine: Project) -> None:
    accounts = "".join(
        f"  - name: a{n:02}\n    first_name: A\n    last_name: B\n    password: ${{env:HOOK_P{n:02}}}\n    callbacks:\n"
        f"      callback_url_for_deliveries: https://h.example/?a=${{env:HOOK_A}}&b=${{env:HOOK_B}}\n"
        for n in range(15)
    )
    (mine.folder / "manifests" / "accounts.yaml").write_text(f"version: 1\naccounts:\n{accounts}")
    shown = formats(opened(mine, folder=Path(), environ={**mine.environ, "PROVISIONER_PLACEHOLDERS": "HOOK_*"}))
    passwords = ", ".join(f"HOOK_P{n:02}" for n in range(12))
    for form in ("text", "markdown", "html"):
        assert "reads HOOK_A, HOOK_B for h.example (15 accounts)" in shown[form]
        assert f"reads {passwords} and 3 more for the password (15 accounts)" in shown[form]
        assert shown[form].count("${env:HOOK_A}") == 15, "with each account"
        assert "${env:HOOK_P14}" in shown[form]
    (plan,) = json.loads(shown["json"])["plans"]
    assert 17 == len(plan["placeholders"]), "all of them, for programs"
    many = "".join(
        f"  - name: a{n:02}\n    first_name: A\n    last_name: B\n    callbacks:\n"
        f"      callback_url_for_deliveries: https://h{n}.example/?a=${{env:HOOK_A}}\n"
        for n in range(42)
    )
    (mine.folder / "manifests" / "accounts.yaml").write_text(f"version: 1\naccounts:\n{many}")
    shown = formats(opened(mine, folder=Path(), environ={**mine.environ, "PROVISIONER_PLACEHOLDERS": "HOOK_*"}))
    for form in ("text", "markdown", "html"):
        assert "reads more for 2 other hosts: each account names its own" in shown[form]
        with_account = "https://h41.example/?a=${env:HOOK_A}" if form == "html" else "reads HOOK_A for h41.example"
        assert with_account in shown[form]


# ── The digest ───────────────────────────────────────────────────────────────


def swapped(mine: Project, saved: Path) -> None:
    other = mine.root / "other.yaml"
    other.write_text("version: 1\naccounts: [{name: mallory, first_name: Never, last_name: Reviewed}]\n")
    at(mine).save_plan(at(mine).plan([other]), saved)


def edited(mine: Project, saved: Path) -> None:
    del mine
    document = json.loads(saved.read_text())
    document["plans"][0]["slots"]["limit"] = 21
    del document["digest"]
    saved.write_text(json.dumps({**document, "digest": documents.digest(document)}))


@pytest.mark.parametrize("replaced", [swapped, edited])
def test_a_swapped_plan_is_not_applied(mine: Project, replaced: Callable[[Project, Path], None]) -> None:
    saved = mine.root / "plan.json"
    digest = at(mine).save_plan(at(mine).plan(), saved)
    at(mine).reviewed(saved, digest=digest)
    at(mine).reviewed(saved, digest=digest.upper())
    replaced(mine, saved)
    with pytest.raises(PlanStale, match="not the reviewed one"):
        at(mine).reviewed(saved, digest=digest)


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 16, "g" * 64, "0" * 65, f"{'0' * 64}\n"])
def test_an_incomplete_digest_is_refused(mine: Project, digest: str) -> None:
    saved = mine.root / "plan.json"
    at(mine).save_plan(at(mine).plan(), saved)
    with pytest.raises(CommandInvalid, match="not the digest of a plan"):
        at(mine).reviewed(saved, digest=digest)


def test_a_plan_saved_by_an_earlier_version_is_stale(mine: Project) -> None:
    saved = mine.root / "plan.json"
    at(mine).save_plan(at(mine).plan(), saved)
    document = json.loads(saved.read_text())
    for name in ("digest", "settings"):
        del document[name]
    saved.write_text(json.dumps({**document, "digest": documents.digest(document)}))
    stale(mine, saved, "was saved by an earlier version")


# ── Recipients ───────────────────────────────────────────────────────────────


def for_others(mine: Project, recipients: str) -> dict[str, Any]:
    return {"environ": {**mine.environ, "PROVISIONER_RECIPIENTS": recipients}}


def more(mine: Project) -> None:
    path = mine.folder / "manifests" / "accounts.yaml"
    path.write_text(f"{path.read_text()}  - {{name: oslo, first_name: Edvard, last_name: Munch}}\n")


def test_nobody_replaces_the_owner_among_the_recipients_unseen(applied: Project) -> None:
    owner, stranger = applied.environ["PROVISIONER_RECIPIENTS"], new_identity()[1]
    more(applied)
    before = applied.state_path.read_bytes()
    this = opened(applied, **for_others(applied, stranger))
    shown = formats(this)
    for form in ("text", "markdown", "html"):
        assert f"seals to {stranger}, which the state does not list" in shown[form]
        assert f"does not seal to {owner}, which only the state lists" in shown[form]
        assert "seals to none of those that the state lists" in shown[form]
    signs: Mapping[str, str] = {
        each["recipient"]: each["change"] for each in json.loads(shown["json"])["plans"][0]["recipients"]
    }
    assert {stranger: "added", owner: "removed"} == signs
    with pytest.raises(Refused, match="none of the recipients of the state"):
        this.apply(this.plan())
    assert before == applied.state_path.read_bytes()
    # It is allowed explicitly, or if one recipient remains.
    both = opened(applied, **for_others(applied, f"{owner} {stranger}"))
    assert 0 == both.apply(both.plan()).exit_code
    path = applied.folder / "manifests" / "accounts.yaml"
    path.write_text(path.read_text().replace("name: oslo", "name: bergen"))
    assert 0 == this.apply(this.plan(), bounds=Bounds(new_recipients=True, lookalikes=True)).exit_code


def test_a_state_without_recipients_lets_no_stranger_in(applied: Project) -> None:
    stranger = new_identity()[1]
    more(applied)
    document = json.loads(applied.state_path.read_text())
    applied.state_path.write_text(json.dumps({**document, "recipients": []}))
    this = opened(applied, **for_others(applied, stranger))
    assert f"seals to {stranger}, which the state does not list" in formats(this)["markdown"]
    with pytest.raises(Refused, match="none of the recipients of the state"):
        this.apply(this.plan())


def test_an_adopted_account_is_not_sealed_only_to_strangers(applied: Project) -> None:
    before = applied.state_path.read_bytes()
    this = opened(applied, **for_others(applied, new_identity()[1]))
    with pytest.raises(Refused, match="none of the recipients of the state"):
        this.adopt([("oslo", "x1@sub-accounts.com")], alone=True)
    assert before == applied.state_path.read_bytes()


def test_a_recipient_that_only_the_state_names_is_unknown_to_a_rekey(applied: Project) -> None:
    stranger, colleague = new_identity()[1], new_identity()[1]
    document = json.loads(applied.state_path.read_text())
    document["recipients"].append(stranger)
    applied.state_path.write_text(json.dumps(document))
    opened(applied).rekey(add=[colleague], approve=lambda these: ("?", stranger) in these[0].changes)
    state = applied.state()
    assert state is not None
    assert {applied.environ["PROVISIONER_RECIPIENTS"], colleague} == {*state.recipients}


AGE: Final = f"AGE-SECRET-KEY-1{'QPZRY9X8' * 7}"
OPENSSH: Final = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PROVISIONER_RECIPIENTS", AGE),
        ("PROVISIONER_RECIPIENTS", OPENSSH),
        ("PROVISIONER_RECIPIENTS", "hunter2-hunter2"),
        ("PROVISIONER_IDENTITY_FILE", AGE),
        ("PROVISIONER_IDENTITY_FILE", OPENSSH),
        ("PROVISIONER_IDENTITY_COMMAND", AGE),
        ("PROVISIONER_IDENTITY_COMMAND", OPENSSH),
    ],
)
def test_no_plan_and_no_error_shows_a_key_given_as_a_setting(tmp_path: Path, variable: str, text: str) -> None:
    environ = {variable: text, "HOME": str(tmp_path)}

    def read() -> None:
        project = provisioner.Project.open(tmp_path, environ=environ)
        secrets.identity(project.settings, environ, tmp_path / "nowhere", print)

    with pytest.raises(SettingInvalid) as caught:
        read()
    said = caught.value.message + caught.value.hint
    assert not any(secret in said for secret in ("QPZRY", "b3Bl", "hunter2"))
