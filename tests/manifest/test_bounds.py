"""Bounds: files that are made to exhaust the loader are refused within hard limits of memory and time."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.model.account import CALLBACK_NAMES

# Loads the file in a process that may not have more than a gigabyte of address space or
# ten seconds, and reports what it used. libyaml and the interpreter need a part of it.
SCRIPT = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 ** 30, 2 ** 30))
resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
from provisioner.manifest import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
loaded = load([Path(sys.argv[1])])
seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
# Not ru_maxrss, in which a process begins with what its parent had.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "seconds": seconds, "megabytes": int(status["VmHWM"].split()[0]) / 1024,
    "accounts": sum(len(each.accounts) for each in loaded.manifests),
    "messages": [each.message for each in loaded.problems[:3]],
    "told": len(loaded.problems), "last": loaded.problems[-1].message if loaded.problems else "",
}))
"""


def loaded(path: Path, *, script: str = SCRIPT) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, check=True, text=True)
    return dict(json.loads(done.stdout))


def laughs() -> str:
    text = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    return text + "".join(f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 9)}]\n" for n in range(60))


FLAWED = "{" + ", ".join(f"k{number}: z" for number in range(900)) + "}"


def same(account: str, again: str, times: int) -> str:
    """Return a manifest with one account, and then many references to it."""
    return f"version: 1\naccounts:\n  - &b {account}\n" + f"  - {again}\n" * times


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (laughs, "The aliases in this file repeat"),
        (lambda: "a: &a [" + "x," * 1000 + "]\nb: [" + "*a," * 3_000_000 + "]", "The aliases in this file repeat"),
        (lambda: f"a: &a '{'x' * 4_000_000}'\nb: [" + "*a," * 1_000_000 + "]", "The aliases in this file repeat"),
        (lambda: same(FLAWED, "*b", 220), "The aliases in this file repeat"),
        (lambda: same("{name: x, first_name: a, last_name: b}", "*b", 49_000), "The aliases in this file repeat"),
        (lambda: same(FLAWED, "{<<: [*b, *b, *b], name: x}", 66), "The aliases in this file repeat"),
        (
            lambda: same(f"{{first_name: {'A' * 3000}, name: x, last_name: b}}", "{<<: *b, name: y}", 6_000),
            "The aliases in this file repeat",
        ),
        (
            lambda: same(f"{{name: x, first_name: &t {'A' * 200}, last_name: *t}}", "{<<: *b}", 300_000),
            "The aliases in this file repeat",
        ),
        (lambda: "- *a\n" * 2_000_000, "There are more problems than are shown."),
        (lambda: "[" * 5_000_000, "The nesting here"),
        (lambda: "{a: " * 2_000_000, "The nesting here"),
        (lambda: "- " * 4_000_000, "The nesting here"),
        (lambda: "? " * 4_000_000, "The nesting here"),
        (lambda: "x" * 10_000_001, "The file is over 10 MB."),
        (lambda: "".join(f"k{n}: 1\n" for n in range(500_000)), "There are more than 1,000 fields here."),
    ],
    ids=[
        "laughs",
        "quadratic",
        "long",
        "flawed",
        "entries",
        "merged",
        "texts",
        "inside",
        "unknown",
        "brackets",
        "braces",
        "dashes",
        "questions",
        "large",
        "fields",
    ],
)
def test_a_bomb_is_refused_at_once(tmp_path: Path, make: Callable[[], str], message: str) -> None:
    path = tmp_path / "bomb.yaml"
    path.write_text(make())
    found = loaded(path)
    assert message in f"{found['messages']} {found['last']}"
    assert float(str(found["seconds"])) < 1
    assert float(str(found["megabytes"])) < 200


# The same for settings, where a group may have as many fields as there are parents.
SETTINGS = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 ** 30, 2 ** 30))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from provisioner.settings import loading
from provisioner.errors import SettingInvalid
before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
try:
    said = f"{len(loading.load(Path(sys.argv[1]), {}, {}).parents)} parents"
except SettingInvalid as error:
    said = error.message
seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({"seconds": seconds, "megabytes": int(status["VmHWM"].split()[0]) / 1024, "said": said}))
"""


def parents(count: int, body: str = "{}", more: str = "") -> str:
    return "parents:\n" + "".join(f"  p-{number}: {body}\n" for number in range(count)) + more


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: parents(1_001, "{api_login: '${env:L}', api_key: '${env:K}', limit: 50}"), "1001 parents"),
        (lambda: parents(100_000), "100000 parents"),
        (lambda: parents(100_000, "1"), "The file has more problems than are shown. (999 more)"),
        (lambda: parents(100_000, more="  p-99999: {}\n" * 2_000), "appears here for the second time"),
        (lambda: parents(100_000, more="  P: {}\n"), "parents.P does not have the right form."),
        (lambda: parents(100_000).replace(":", ": &p", 1) + "<<: *p\n", "There are more than 1,000 fields here."),
        (lambda: parents(100_000, more="limit: -1\n"), "limit must be at least 0."),
        (
            lambda: f"x: &x {FLAWED}\nparents: {{<<: [{'*x, ' * 10}]}}\n",
            "x is not a known field.",
        ),
    ],
    ids=["many", "more", "wrong", "repeated", "last", "root", "beside", "merged"],
)
def test_as_many_parents_as_there_are_cost_no_more_than_other_values(
    tmp_path: Path, make: Callable[[], str], said: str
) -> None:
    path = tmp_path / "provisioner.yaml"
    path.write_text(make())
    found = loaded(path, script=SETTINGS)
    assert said in str(found["said"])
    assert float(str(found["seconds"])) < 10
    assert float(str(found["megabytes"])) < 300


def test_many_accounts_in_yaml_fit(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    accounts = "".join(
        f"- name: a-{n}\n  first_name: F{n}\n  last_name: L{n}\n  callbacks:\n"
        f"    callback_url_for_visits: https://example.com/{n}\n    email_for_inbounds: a{n}@example.com\n"
        for n in range(5_000)
    )
    path.write_text(f"version: 1\naccounts:\n{accounts}")
    found = loaded(path)
    assert (found["accounts"], found["messages"]) == (5_000, [])
    assert float(str(found["megabytes"])) < 150


def test_many_accounts_may_share_their_fields(tmp_path: Path) -> None:
    path = tmp_path / "many.yaml"
    urls = "".join(f"    {name}: https://example.com{'/x' * 75}\n" for name in CALLBACK_NAMES[:-1])
    accounts = "".join(f"- <<: *d\n  name: a-{n}\n  first_name: F{n}\n  last_name: L\n" for n in range(5_000))
    callbacks = f"  company_name: C\n  callbacks:\n{urls}    email_for_inbounds: a@example.com\n"
    path.write_text(f"version: 1\ndefaults: &d\n{callbacks}accounts:\n{accounts}")
    found = loaded(path)
    assert (found["accounts"], found["messages"]) == (5_000, [])


ROWS = SCRIPT.replace("2 ** 30", "2 ** 33").replace("(10, 10)", "(60, 60)")
"""pandas and its libraries reserve more address space than they ever use."""


@pytest.mark.parametrize(
    ("row", "rows", "more"),
    [
        ("a", 12_000, "11,000"),
        ("a,b,c,d", 12_000, "11,000"),
        ("paris,a,b", 12_000, "10,999"),
        ("paris,a,b,SECRET", 240_000, "239,000"),
    ],
)
def test_of_many_problems_the_first_are_told_and_the_others_counted(
    tmp_path: Path, row: str, rows: int, more: str
) -> None:
    path = tmp_path / "flood.csv"
    path.write_text("name,first_name,last_name\n" + f"{row}\n" * rows)
    found = loaded(path, script=ROWS)
    assert (found["told"], found["last"]) == (1_001, f"{more} more problems are not shown.")
    assert float(str(found["megabytes"])) < 300


def test_a_table_of_a_thousand_parents_fits(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    rows = "".join(f"p-{parent},a-{n},F{n},L\n" for parent in range(1_000) for n in range(20))
    path.write_text(f"parent,name,first_name,last_name\n{rows}")
    found = loaded(path, script=ROWS)
    assert (found["accounts"], found["messages"]) == (20_000, [])
    assert float(str(found["megabytes"])) < 200


def test_many_rows_fit(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("name,first_name,last_name\n" + "".join(f"a-{n},F{n},L{n}\n" for n in range(20_000)))
    found = loaded(path, script=ROWS)
    assert (found["accounts"], found["messages"]) == (20_000, [])
    assert float(str(found["megabytes"])) < 300
