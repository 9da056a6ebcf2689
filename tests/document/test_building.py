"""Building: the bounds within which a document is taken, each exactly."""

from provisioner.document import Document, parse_yaml
from provisioner.document.building import MAX_DEPTH, MAX_FIELDS, MAX_PROBLEMS, MAX_REPEATED, MAX_VALUES


def parsed(text: str) -> Document:
    return parse_yaml(text.encode(), "m.yaml", "manifest.v1")


def refused(text: str) -> tuple[str, int | None, int | None]:
    """Return the message of the only problem of a text that cannot be read, and its place."""
    document = parsed(text)
    assert document.value is None
    (problem,) = document.problems
    assert problem.hint
    return problem.message, problem.origin.line, problem.origin.column


def test_depth_is_bounded() -> None:
    assert parsed("[" * MAX_DEPTH + "]" * MAX_DEPTH).problems == ()
    message, line, column = refused("[" * (MAX_DEPTH + 1))
    assert (message, line, column) == ("Something is nested here more than 16 levels deep.", 1, 17)


def test_the_number_of_fields_is_bounded() -> None:
    fields = [f"k{number}: 1\n" for number in range(MAX_FIELDS + 1)]
    assert parsed("".join(fields[:-1])).problems == ()
    assert refused("".join(fields)) == ("There are more than 1,000 fields here.", 1001, 1)


def test_the_number_of_problems_is_bounded() -> None:
    problems = parsed("a: 1\n" * (MAX_PROBLEMS + 50)).problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "There are more problems than are shown."


def test_the_number_of_values_is_bounded() -> None:
    # Texts and lists in turn, each counted: the outer list is the first, so the last pair
    # begins with the last value that is taken.
    message, line, column = refused("[" + "x,[]," * (MAX_VALUES // 2) + "]")
    assert (message, line) == ("The file holds more than 1,000,000 values.", 1)
    assert column == len("[" + "x,[]," * (MAX_VALUES // 2 - 1) + "x,") + 1


def test_what_aliases_repeat_is_bounded() -> None:
    ten = "&a [1, 2, 3, 4, 5, 6, 7, 8, 9]"
    assert parsed(f"[{ten}, " + "*a, " * (MAX_REPEATED // 10) + "]").problems == ()
    message, line, _ = refused(f"[{ten}, " + "*a, " * (MAX_REPEATED // 10 + 1) + "]")
    assert (message, line) == ("By references, this file repeats more than 200,000 values.", 1)


def test_long_texts_weigh_more() -> None:
    text = "x" * 100 * (MAX_REPEATED // 2)
    assert refused(f"[&a {text}, *a, *a]")[0].startswith("By references")
    assert parsed(f"[&a {text}, *a]").problems == ()
    # In a key, and counted through what holds it.
    assert refused(f"[&a {{'{'x' * 1000}': y}}, " + "*a, " * (MAX_REPEATED // 12 + 1) + "]")[0].startswith("By")


def test_aliases_of_aliases_add_up() -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
    for level in range(8):
        bomb += f"a{level + 1}: &a{level + 1} [{','.join([f'*a{level}'] * 9)}]\n"
    assert refused(bomb)[0].startswith("By references")
