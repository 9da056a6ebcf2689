"""Loading: several files, several parents, and names that are used once."""

import csv
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import ManifestInvalid
from provisioner.manifest import Loaded, load
from provisioner.model.account import Attributes, Callbacks, DesiredAccount, Origin, Secret, Severity

ROOT = Path(__file__).parents[2]


def table(path: Path, *names: str) -> Path:
    path.write_text("name,first_name,last_name\n" + "".join(f"{name},a,b\n" for name in names))
    return path


def manifest(path: Path, *names: str, parent: str | None = None) -> Path:
    accounts = "".join(f"- {{name: {name}, first_name: a, last_name: b}}\n" for name in names)
    path.write_text(f"version: 1\n{f'parent: {parent}{chr(10)}' if parent else ''}accounts:\n{accounts}")
    return path


def names(loaded: Loaded) -> dict[str, list[str]]:
    return {each.parent: [account.name for account in each.accounts] for each in loaded.require()}


def test_an_account_arrives_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(
        "version: 1\naccounts:\n- name: paris\n"
        "  first_name: Leonardo\n  last_name: Da Vinci\n  company_name: Italy\n"
        "  password: ${env:P}\n  callbacks: {email_for_inbounds: a@b.co}\n"
        "- {name: nice, first_name: no, last_name: 01}\n"
    )
    (found,) = load([path]).require()
    assert found.parent == "default"
    assert found.accounts == (
        DesiredAccount("nice", Attributes("no", "01"), None, Origin(str(path), 9, 3)),
        DesiredAccount(
            "paris",
            Attributes("Leonardo", "Da Vinci", "Italy", Callbacks(email_for_inbounds="a@b.co")),
            Secret("${env:P}"),
            Origin(str(path), 3, 3),
        ),
    )


def test_an_account_may_have_another_name_and_another_password(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    rest = "first_name: a, last_name: b"
    path.write_text(
        f"version: 1\naccounts:\n- {{name: x, {rest}, previously: y, password_version: 7}}\n- {{name: z, {rest}}}\n"
    )
    other = tmp_path / "m.csv"
    other.write_text("name,first_name,last_name,previously,password_version\nx,a,b,y,7\nz,a,b,,\n")
    for each in (path, other):
        ((x, z),) = (found.accounts for found in load([each]).require())
        assert (x.previously, x.password_version) == ("y", 7)
        assert (z.previously, z.password_version) == (None, 1)


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    (one,) = load([manifest(tmp_path / "a.yaml", "x", "y")]).require()
    (two,) = load([table(tmp_path / "a.csv", "y", "x")]).require()
    assert [(each.name, each.attributes) for each in one.accounts] == [
        (each.name, each.attributes) for each in two.accounts
    ]
    assert two.accounts[0].origin == Origin(str(tmp_path / "a.csv"), 3, row=2)


def test_files_are_merged_by_parent(tmp_path: Path) -> None:
    paths = [
        manifest(tmp_path / "a.yaml", "x", parent="zeta"),
        manifest(tmp_path / "b.yaml", "z", "a"),
        table(tmp_path / "c.csv", "m"),
        manifest(tmp_path / "d.yml", "y", parent="zeta"),
        table(tmp_path / "e.tsv", "n"),
    ]
    assert names(load(paths)) == {"default": ["a", "m", "n", "z"], "zeta": ["x", "y"]}
    assert names(load(paths, owner="zeta")) == {"zeta": ["a", "m", "n", "x", "y", "z"]}
    assert names(load([tmp_path])) == names(load(list(reversed(paths))))


@given(st.permutations(["a", "b", "c-1", "d"]), st.integers(0, 4))
def test_the_order_of_rows_and_files_means_nothing(order: list[str], at: int) -> None:
    with TemporaryDirectory() as name:
        split = [table(Path(name, "x.csv"), *order[:at]), table(Path(name, "y.csv"), *order[at:])]
        full = [path for path, some in zip(split, (order[:at], order[at:]), strict=True) if some]
        assert names(load(full)) == names(load(full[::-1])) == {"default": ["a", "b", "c-1", "d"]}


def test_a_name_is_used_once_in_a_file(tmp_path: Path) -> None:
    path = manifest(tmp_path / "a.yaml", "x", "y", "x")
    (problem,) = load([path]).errors
    assert problem.message == 'The name "x" is already used: line 3.'
    assert (problem.origin, problem.path) == (Origin(str(path), 5, 10), "accounts[2].name")


def test_a_name_is_used_once_across_files(tmp_path: Path) -> None:
    one, two = table(tmp_path / "a.csv", "w", "x"), manifest(tmp_path / "b.yaml", "x")
    (problem,) = load([one, two]).errors
    assert problem.message == f'The name "x" is already used: {one}, line 3, row 2.'
    assert problem.origin == Origin(str(two), 3, 10)
    (problem,) = load([two, one]).errors
    assert problem.message == f'The name "x" is already used: {two}, line 3.'
    assert (problem.origin, problem.path) == (Origin(str(one), 3, row=2), "name")


def test_a_name_may_be_used_by_each_parent(tmp_path: Path) -> None:
    paths = [manifest(tmp_path / "a.yaml", "x"), manifest(tmp_path / "b.yaml", "x", parent="acme")]
    assert names(load(paths)) == {"default": ["x"], "acme": ["x"]}
    (problem,) = load(paths, owner="acme").errors
    assert "is already used" in problem.message


# ── Many parents in one file ─────────────────────────────────────────────────

OWNED = """\
version: 1
parent: acme
defaults: {first_name: a, last_name: b}
accounts:
- {name: x}
- {name: x, parent: zeta}
- {name: y, parent: default}
"""


X_AND_X = 'The name "X" differs only in capitals from one that is already used: line 2, row 1.'


def rows(path: Path, *each: str) -> Path:
    path.write_text("parent,name,first_name,last_name,previously\n" + "".join(f"{row}\n" for row in each))
    return path


def test_the_parent_nearest_to_an_account_owns_it(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(OWNED)
    assert names(load([path])) == {"acme": ["x"], "default": ["y"], "zeta": ["x"]}
    path.write_text(OWNED.replace("defaults: {", "defaults: {parent: other, "))
    assert names(load([path])) == {"default": ["y"], "other": ["x"], "zeta": ["x"]}
    path.write_text(OWNED.replace("parent: acme\n", ""))
    assert names(load([path], owner="mine")) == {"default": ["y"], "mine": ["x"], "zeta": ["x"]}


def test_a_table_holds_many_parents(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.csv", "acme,paris,a,b,", ",paris,a,b,", "zeta,paris,a,b,", "acme,lyon,a,b,")
    assert names(load([path])) == {"acme": ["lyon", "paris"], "default": ["paris"], "zeta": ["paris"]}
    assert names(load([path], owner="zeta-2")) == {"acme": ["lyon", "paris"], "zeta": ["paris"], "zeta-2": ["paris"]}
    (problem,) = load([path], owner="zeta").errors
    assert (problem.message, problem.origin.row) == ('The name "paris" is already used: line 3, row 2.', 3)


def test_a_name_is_used_once_by_each_parent_of_a_table(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.csv", "acme,x,a,b,", "zeta,x,a,b,", "acme,X,a,b,", "zeta,x,a,b,")
    assert [(each.message, each.origin) for each in load([path]).errors if "used" in each.message] == [
        (X_AND_X, Origin(str(path), 4, row=3)),
        ('The name "x" is already used: line 3, row 2.', Origin(str(path), 5, row=4)),
    ]


def test_a_table_and_a_document_share_a_parent(tmp_path: Path) -> None:
    one, two = manifest(tmp_path / "a.yaml", "x", parent="acme"), rows(tmp_path / "b.csv", "acme,x,a,b,", "zeta,x,a,b,")
    (problem,) = load([one, two]).errors
    assert problem.message == f'The name "x" is already used: {one}, line 4.'
    assert (problem.origin, problem.path) == (Origin(str(two), 2, row=1), "name")


def test_previous_names_of_a_table_are_compared_within_each_parent(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.csv", "acme,x,a,b,y", "zeta,y,a,b,w", "zeta,v,a,b,y", "acme,u,a,b,w", "zeta,t,a,b,w")
    assert [(each.message, each.origin) for each in load([path]).errors] == [
        ('"y" is still in the manifest (line 3, row 2): its record cannot move.', Origin(str(path), 4, row=3)),
        ('"w" is already the old name of another account: line 3, row 2.', Origin(str(path), 6, row=5)),
    ]


def test_a_wrong_parent_is_told_at_its_place(tmp_path: Path) -> None:
    table = rows(tmp_path / "a.csv", "acme,x,a,b,", "Acme,y,a,b,")
    (problem,) = load([table]).errors
    assert (problem.origin, problem.path) == (Origin(str(table), 3, row=2), "parent")
    assert problem.message.startswith("The parent of row 2 must be lower-case letters")
    assert problem.hint == "For example: acme"
    path = tmp_path / "a.yaml"
    path.write_text(OWNED.replace("zeta}", "[SECRET]}").replace("parent: default", "parrent: SECRET"))
    wrong, unknown = load([path]).errors
    assert (wrong.origin, wrong.path) == (Origin(str(path), 6, 21), "accounts[1].parent")
    assert (unknown.origin, unknown.hint) == (Origin(str(path), 7, 13), "Did you mean parent?")


@pytest.mark.parametrize("header", ["Parent", "parents"])
def test_names_are_not_compared_while_the_column_of_their_parents_is_misspelled(tmp_path: Path, header: str) -> None:
    path = rows(tmp_path / "a.csv", "acme,x,a,b,w", "zeta,x,a,b,w", "zeta,y,a,,")
    path.write_text(path.read_text().replace("parent", header))
    column, cell = load([path]).errors
    assert (column.hint, cell.message) == ("Did you mean parent?", "The last_name of row 3 is empty.")


def test_an_account_that_is_placed_shares_its_names_with_no_other(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.csv", "acme,x,a,b,", "auto,x,c,d,", "auto,y,e,f,old", "zeta,old,g,h,", "zeta,z,i,j,x")
    assert [
        'The name "x" is already used: line 2, row 1.',
        '"old" is still in the manifest (line 5, row 4): its record cannot move.',
        '"x" is still in the manifest (line 3, row 2): its record cannot move.',
    ] == [each.message for each in load([path], parents=("acme", "other")).errors]
    path = rows(tmp_path / "b.csv", "auto,x,a,b,old", "acme,y,c,d,old")
    (found,) = load([path], parents=("acme", "other")).errors
    assert '"old" is already the old name of another account: line 2, row 1.' == found.message
    path = rows(tmp_path / "c.csv", "auto,x,a,b,", "acme,y,c,d,")
    assert {"auto": ["x"], "acme": ["y"]} == names(load([path], parents=("acme", "other")))


def test_where_there_is_one_parent_nothing_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    rows = "".join(f"- {{name: {name}, first_name: A, last_name: B}}\n" for name in "xy")
    path.write_text(f"version: 1\ndefaults: {{parent: auto}}\naccounts:\n{rows}")
    (found,) = load([path], parents=("default",)).errors
    assert (
        "`parent: auto` places an account on one of several parents, but the settings have only one." == found.message
    )
    assert (str(path), 4) == (found.origin.file, found.origin.line)


def test_capitals_do_not_make_another_name(tmp_path: Path) -> None:
    found = load([table(tmp_path / "a.csv", "paris", "Paris", "paris", "PARIS")]).errors
    assert [(each.message, each.origin.row) for each in found if "capitals" in each.message] == [
        ('The name "Paris" differs only in capitals from one that is already used: line 2, row 1.', 2),
        ('The name "PARIS" differs only in capitals from one that is already used: line 2, row 1.', 4),
    ]
    assert [each.message for each in found if each.origin.row == 3] == [
        'The name "paris" is already used: line 2, row 1.'
    ]


def test_a_repeated_name_that_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    found = load([table(tmp_path / "a.csv", "https://x/?t=SECRET", "https://x/?t=SECRET")]).errors
    assert all("SECRET" not in each.message for each in found)
    assert found[-1].message == "The name here is already used: line 2, row 1."


# ── Previous names ───────────────────────────────────────────────────────────


def renamed(path: Path, *pairs: tuple[str, str | None], parent: str = "") -> Path:
    """Write a manifest of accounts, each with its previous name, or none."""
    if path.suffix == ".csv":
        rows = "".join(f"{name},a,b,{previously or ''}\n" for name, previously in pairs)
        path.write_text(f"name,first_name,last_name,previously\n{rows}")
        return path
    accounts = "".join(
        f"- {{name: {name}, first_name: a, last_name: b{f', previously: {previously}' if previously else ''}}}\n"
        for name, previously in pairs
    )
    path.write_text(f"version: 1\n{f'parent: {parent}{chr(10)}' if parent else ''}accounts:\n{accounts}")
    return path


def test_a_previous_name_that_nobody_has_is_good(tmp_path: Path) -> None:
    paths = [renamed(tmp_path / "a.yaml", ("x", "y"), ("z", None)), renamed(tmp_path / "b.csv", ("v", "w"))]
    loaded = load(paths)
    assert loaded.errors == ()
    (found,) = loaded.require()
    assert {each.name: each.previously for each in found.accounts} == {"v": "w", "x": "y", "z": None}


def test_a_previous_name_is_not_the_account_s_own(tmp_path: Path) -> None:
    path = renamed(tmp_path / "a.yaml", ("y", None), ("x", "x"))
    (problem,) = load([path]).errors
    assert problem.message == '"x" is the current name of the account.'
    assert (problem.origin, problem.path) == (Origin(str(path), 4, 54), "accounts[1].previously")
    assert problem.hint == "Delete `previously`, or write the old name."
    table = renamed(tmp_path / "a.csv", ("y", None), ("x", "x"))
    (problem,) = load([table]).errors
    assert (problem.origin, problem.path) == (Origin(str(table), 3, row=2), "previously")


def test_a_previous_name_is_not_still_in_use(tmp_path: Path) -> None:
    path = renamed(tmp_path / "a.yaml", ("rome", "paris"), ("paris", None))
    (problem,) = load([path]).errors
    assert problem.message == '"paris" is still in the manifest (line 4): its record cannot move.'
    assert (problem.origin, problem.path) == (Origin(str(path), 3, 57), "accounts[0].previously")
    assert problem.hint == "Delete `previously` here, or that account."


@pytest.mark.parametrize("order", [1, -1])
def test_it_may_still_be_in_another_file(tmp_path: Path, order: int) -> None:
    moved, still = (
        renamed(tmp_path / "a.yaml", ("rome", "paris")),
        renamed(tmp_path / "b.csv", ("x", None), ("paris", None)),
    )
    (problem,) = load([moved, still][::order]).errors
    assert problem.message == f'"paris" is still in the manifest ({still}, line 3, row 2): its record cannot move.'
    assert problem.origin == Origin(str(moved), 3, 57)


def test_names_are_not_swapped(tmp_path: Path) -> None:
    found = load([renamed(tmp_path / "a.csv", ("x", "y"), ("y", "x"))]).errors
    assert [(each.message.split(":")[0], each.origin.row) for each in found] == [
        ('"y" is still in the manifest (line 3, row 2)', 1),
        ('"x" is still in the manifest (line 2, row 1)', 2),
    ]


def test_only_one_account_has_a_previous_name(tmp_path: Path) -> None:
    one = renamed(tmp_path / "a.yaml", ("x", "old"), ("y", "other"), ("z", "old"))
    two = renamed(tmp_path / "b.csv", ("v", "old"))
    first, second = load([one, two]).errors
    assert first.message == '"old" is already the old name of another account: line 3.'
    assert (first.origin, first.path) == (Origin(str(one), 5, 54), "accounts[2].previously")
    assert first.hint == "Delete `previously` in one of the two: a record can move to only one account."
    assert second.message == f'"old" is already the old name of another account: {one}, line 3.'
    assert (second.origin, second.path) == (Origin(str(two), 2, row=1), "previously")


def test_everything_wrong_with_a_previous_name_is_reported_at_once(tmp_path: Path) -> None:
    found = load([renamed(tmp_path / "a.csv", ("x", "y"), ("y", "y"), ("z", "y"))]).errors
    assert [(each.message, each.origin.row) for each in found] == [
        ('"y" is still in the manifest (line 3, row 2): its record cannot move.', 1),
        # This one claims no name, so the next problem does not mention it.
        ('"y" is the current name of the account.', 2),
        ('"y" is still in the manifest (line 3, row 2): its record cannot move.', 3),
        ('"y" is already the old name of another account: line 2, row 1.', 3),
    ]


def test_capitals_do_not_make_another_previous_name(tmp_path: Path) -> None:
    found = load([renamed(tmp_path / "a.csv", ("x", "X"), ("y", "Paris"), ("paris", None), ("z", "PARIS"))]).errors
    said = [(each.message, each.origin.row) for each in found if "lower-case" not in each.message]
    assert said == [
        ('"X" is the current name of the account.', 1),
        ('"Paris" is still in the manifest (line 4, row 3): its record cannot move.', 2),
        ('"PARIS" is still in the manifest (line 4, row 3): its record cannot move.', 4),
        ('"PARIS" is already the old name of another account: line 3, row 2.', 4),
    ]
    found = load([renamed(tmp_path / "b.csv", ("x", "paris"), ("Paris", None))]).errors
    assert found[0].message == '"paris" is still in the manifest (line 3, row 2): its record cannot move.'


def test_previous_names_are_compared_within_a_parent(tmp_path: Path) -> None:
    paths = [
        renamed(tmp_path / "a.yaml", ("x", "y")),
        renamed(tmp_path / "b.yaml", ("y", None), ("z", "w"), parent="acme"),
        renamed(tmp_path / "c.csv", ("u", "w")),
    ]
    assert load(paths).errors == ()
    assert [each.origin.file for each in load(paths, owner="acme").errors] == [str(paths[0]), str(paths[2])]


def test_an_account_without_a_good_name_has_a_previous_one_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "version: 1\naccounts:\n- {name: [x], first_name: a, last_name: b, previously: y}\n"
        "- {name: y, first_name: a, last_name: b, previously: [y]}\n"
        "- {name: z, first_name: a, last_name: b, previously: ''}\n"
    )
    assert [(each.path, each.origin.line) for each in load([path]).errors] == [
        ("accounts[0].name", 3),
        ("accounts[0].previously", 3),
        ("accounts[1].previously", 4),
        ("accounts[2].previously", 5),
    ]


def test_a_previous_name_that_may_be_a_secret_is_not_shown(tmp_path: Path) -> None:
    secret = "https://x/?t=SECRET"
    found = load([renamed(tmp_path / "a.csv", ("x", secret), ("y", secret), (secret, None))]).errors
    assert "SECRET" not in repr(found)
    assert [each.message for each in found if each.message.startswith("The name here")] == [
        "The name here is still in the manifest (line 4, row 3): its record cannot move.",
        "The name here is still in the manifest (line 4, row 3): its record cannot move.",
        "The name here is already the old name of another account: line 2, row 1.",
    ]


def test_problems_of_previous_names_stand_with_those_of_their_file(tmp_path: Path) -> None:
    one = renamed(tmp_path / "a.csv", ("x", "p"), ("Bad", None))
    two = renamed(tmp_path / "b.csv", ("p", None), ("Bad2", None))
    found = load([one, tmp_path / "none.csv", two]).errors
    assert [(Path(each.origin.file).name, each.origin.line) for each in found] == [
        ("a.csv", 2),
        ("a.csv", 3),
        ("none.csv", None),
        ("b.csv", 3),
    ]


def test_accounts_that_differ_in_nothing_but_their_names_are_warned_of_once(tmp_path: Path) -> None:
    one, two = tmp_path / "a.yaml", tmp_path / "b.csv"
    one.write_text(
        "version: 1\naccounts:\n- {name: paris, first_name: a, last_name: b}\n"
        "- {name: nice, first_name: a, last_name: c}\n"
    )
    two.write_text(
        "name,first_name,last_name,parent,email_for_inbounds\nlyon,a,b,,\nmetz,a,b,,\nlens,a,b,acme,\nbrest,a,b,,a@b.co\n"
    )
    loaded = load([one, two])
    (problem,) = loaded.problems
    assert problem.severity is Severity.WARNING
    assert problem.message == f"paris, lyon and 1 more differ only in their names: {one}, line 3."
    assert (problem.origin, len(loaded.manifests)) == (Origin(str(two), 2, row=1), 2)


# ── Reporting ─────────────────────────────────────────────────────────────────


def test_accounts_without_a_good_name_are_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\naccounts:\n" + "- {name: [x], first_name: a, last_name: b}\n" * 2)
    assert [each.path for each in load([path]).errors] == ["accounts[0].name", "accounts[1].name"]
    path.write_text("version: 1\naccounts:\n" + "- {name: '', first_name: a, last_name: b}\n" * 2)
    assert [each.message for each in load([path]).errors] == [
        "accounts[0].name is empty.",
        "accounts[1].name is empty.",
    ]


def test_every_file_is_told_of_in_the_order_given(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("x: 1\n")
    good = manifest(tmp_path / "good.yaml", "x")
    loaded = load([tmp_path / "none.csv", bad, good, table(tmp_path / "b.csv", "Y")])
    files = [Path(each.origin.file).name for each in loaded.problems]
    assert files == ["none.csv", "bad.yaml", "bad.yaml", "bad.yaml", "b.csv"]
    assert loaded.manifests == ()
    with pytest.raises(ManifestInvalid, match="5 problems in the manifest"):
        loaded.require()


def test_no_warning_takes_the_place_of_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"a-{number},a,b,c\n" for number in range(1_500))
    path.write_text(f"name,first_name,last_name,password\n{rows}a-0,a,b,\n")
    loaded = load([path])
    (error,) = loaded.errors
    assert (error.origin.line, loaded.manifests) == (1_502, ())
    assert (len(loaded.problems), loaded.problems[-1].message) == (1_001, "501 more problems are not shown.")
    path.write_text(f"name,first_name,last_name,password\n{rows}")
    loaded = load([path])
    assert (len(loaded.manifests[0].accounts), len(loaded.warnings), loaded.errors) == (1_500, 1_001, ())


def test_the_problems_of_all_files_are_counted_together(tmp_path: Path) -> None:
    for number in range(3):
        rows = "short\n" * (400 + number)
        (tmp_path / f"{number}.csv").write_text(f"name,first_name,last_name\n{rows}")
    loaded = load([tmp_path])
    assert (len(loaded.problems), loaded.problems[-1].message) == (1_001, "203 more problems are not shown.")
    assert loaded.problems[-1].origin == Origin(str(tmp_path / "2.csv"))


def test_problems_of_a_file_stand_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,first_name,last_name,password\nx,a,b,c\nx,a,b,\nshort\n,a,b,\n")
    loaded = load([path])
    assert [each.origin.line for each in loaded.problems] == [2, 3, 4, 5]
    assert [each.origin.line for each in loaded.errors] == [3, 4, 5]
    assert [each.origin.line for each in loaded.warnings] == [2]


def test_warnings_and_notes_do_not_refuse(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("name,first_name,last_name,password\nx,Zoé,b,c\n".encode("cp1252"))
    loaded = load([path])
    assert [each.severity for each in loaded.warnings] == [Severity.NOTE, Severity.WARNING]
    assert loaded.errors == ()
    assert names(loaded) == {"default": ["x"]}
    assert loaded.manifests[0].accounts[0].password == Secret("c")


def test_one_problem_is_singular(tmp_path: Path) -> None:
    with pytest.raises(ManifestInvalid, match="1 problem in the manifest"):
        load([tmp_path / "none.yaml"]).require()


def test_no_path_means_nothing_asked() -> None:
    assert load([]) == Loaded((), ())


def test_no_secret_is_in_any_problem_or_its_repr(tmp_path: Path) -> None:
    header = ["name", "first_name", "last_name", "password", "callback_url_for_visits", "extra?SECRET"]
    path = tmp_path / "a.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, ["x", "a", "b", "SECRET\u200b", "http://u:SECRET@h/?SECRET ", "SECRET"]])
    yaml = tmp_path / "a.yaml"
    yaml.write_text(
        "version: 1\naccounts:\n- name: x\n  password: !SECRET {SECRET: SECRET}\n  '?SECRET': SECRET\n"
        "  callbacks: {callback_url_for_visits: 'http://h?SECRET ', email_for_inbounds: SECRET}\n"
        "  first_name: *SECRET\n"
    )
    assert "SECRET" not in repr(load([path, yaml]))


def test_the_examples_are_valid_and_fit_a_parent() -> None:
    loaded = load([ROOT / "manifests"])
    assert loaded.problems == ()
    (found,) = loaded.manifests
    assert 5 <= len(found.accounts) <= 20
    assert names(load([ROOT / "manifests" / "example.yaml", ROOT / "manifests" / "example.csv"])) == names(loaded)
    first = (ROOT / "manifests" / "example.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/manifest.v1.schema.json"


def test_pandas_is_imported_for_a_table_alone() -> None:
    script = (
        "import sys; from pathlib import Path; from provisioner.manifest import load\n"
        "load([Path('manifests/example.yaml')]).require(); assert 'pandas' not in sys.modules\n"
        "load([Path('manifests/example.csv')]).require(); assert 'pandas' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_a_parent_that_the_settings_do_not_know_gets_a_warning_with_its_place(tmp_path: Path) -> None:
    path = rows(tmp_path / "a.csv", "acme,x,a,b,", "nosuch,y,c,d,", "nosuch,z,e,f,", "auto,u,g,h,")
    (found,) = load([path], parents=("acme", "other")).warnings
    assert (Severity.WARNING, path.name, 3) == (found.severity, Path(found.origin.file).name, found.origin.line)
    assert '"y" and 1 more have the parent "nosuch", which is not in the settings.' == found.message
    # Other problems do not hide it.
    path = rows(tmp_path / "b.csv", "nosuch,y,c,d,", "acme,x,a,,")
    assert ['"y" has the parent "nosuch", which is not in the settings.', "The last_name of row 2 is empty."] == [
        each.message for each in load([path], parents=("acme",)).problems
    ]
