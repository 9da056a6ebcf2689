"""Building: the exact limits of a document."""

from provisioner.document import MAX_REPORTED, Document, parse_yaml
from provisioner.document.building import MAX_DEPTH, MAX_FIELDS, MAX_REPEATED, MAX_VALUES, REPEATS


def parsed(text: str) -> Document:
    return parse_yaml(text.encode(), "m.yaml", "manifest.v1")


def refused(text: str) -> tuple[str, int | None, int | None]:
    """Return the message and the position of the only problem of an unreadable text."""
    document = parsed(text)
    assert document.value is None
    (problem,) = document.problems
    assert problem.hint
    return problem.message, problem.origin.line, problem.origin.column


def test_depth_is_bounded() -> None:
    assert parsed("[" * MAX_DEPTH + "]" * MAX_DEPTH).problems == ()
    message, line, column = refused("[" * (MAX_DEPTH + 1))
    assert (message, line, column) == ("The nesting here is more than 16 levels deep.", 1, 17)


def test_the_number_of_fields_is_bounded() -> None:
    fields = [f"k{number}: 1\n" for number in range(MAX_FIELDS + 1)]
    assert parsed("".join(fields[:-1])).problems == ()
    assert refused("".join(fields)) == ("There are more than 1,000 fields here.", 1001, 1)


def test_the_number_of_merged_fields_is_bounded() -> None:
    half, more = (", ".join(f"{key}{number}: 1" for number in range(MAX_FIELDS // 2)) for key in "kl")
    text = f"a: &a {{{half}}}\nb: &b {{{more}}}\nc: {{<<: [*a, *b]"
    assert parsed(f"{text}}}").problems == ()
    assert refused(f"{text}, z: 1}}") == ("There are more than 1,000 fields here.", 3, 4)


def test_the_number_of_problems_is_bounded() -> None:
    problems = parsed("a: 1\n" * (MAX_REPORTED + 50)).problems
    assert len(problems) == MAX_REPORTED
    assert problems[-1].message == "There are more problems than are shown."


def test_the_number_of_values_is_bounded() -> None:
    # Texts and lists in turn, each counted: the outer list is the first value, so the last
    # pair begins with the last accepted one.
    message, line, column = refused("[" + "x,[]," * (MAX_VALUES // 2) + "]")
    assert (message, line) == ("The file contains more than 1,000,000 values.", 1)
    assert column == len("[" + "x,[]," * (MAX_VALUES // 2 - 1) + "x,") + 1


def test_what_aliases_repeat_is_bounded_by_what_is_written() -> None:
    ten = "&a [1, 2, 3, 4, 5, 6, 7, 8, 9]"
    written = 1 + 10
    # Each alias is a written value, and repeats ten.
    most = (MAX_REPEATED + REPEATS * written) // (10 - REPEATS)
    assert parsed(f"[{ten}, " + "*a, " * most + "]").problems == ()
    message, line, _ = refused(f"[{ten}, " + "*a, " * (most + 1) + "]")
    assert (message, line) == ("The aliases in this file repeat far more than the file itself contains.", 1)
    # If more is written, more may be repeated.
    assert parsed(f"[{ten}, {'x, ' * 100}" + "*a, " * (most + 1) + "]").problems == ()


def test_an_alias_of_one_value_is_as_good_as_the_value() -> None:
    assert parsed("[&a x, " + "*a, " * (MAX_REPEATED * REPEATS) + "]").problems == ()
    assert refused("[&a x, " + "*a, " * MAX_VALUES + "]")[0].startswith("The file contains more than")


def test_long_texts_weigh_more() -> None:
    text = "x" * 100 * (MAX_REPEATED // 2)
    assert refused(f"[&a {text}, *a, *a, *a]")[0].startswith("The aliases")
    assert parsed(f"[&a {text}, *a]").problems == ()
    # In a key, and counted through the enclosing list.
    assert refused(f"[&a {{'{'x' * 1000}': y}}, " + "*a, " * (MAX_REPEATED // 9) + "]")[0].startswith("The aliases")


def test_aliases_of_aliases_add_up() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in range(8):
        bomb += f"a{level + 1}: &a{level + 1} [{','.join([f'*a{level}'] * 9)}]\n"
    assert refused(bomb)[0].startswith("The aliases")


def test_any_number_of_comments_makes_no_file_unreadable() -> None:
    document = parsed("accounts:\n" + "- a #b\n" * (MAX_REPORTED + 50))
    assert document.value is not None
    assert len(document.problems) == MAX_REPORTED
