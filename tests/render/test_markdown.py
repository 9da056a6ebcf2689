"""The plan as Markdown: what it says, that no value in it is markup, and that it never outgrows a comment."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from provisioner.model.account import Attributes
from provisioner.model.plan import (
    Change,
    Create,
    FieldChange,
    Gone,
    Plan,
    StillAbandoned,
    StillUnknown,
    Unchanged,
    Unmanaged,
    Update,
)
from provisioner.model.state import Drift, Slots
from provisioner.render import markdown, words
from provisioner.render.lines import printable
from tests.render.samples import HOSTILE, anything, counts, desired, with_texts

ADA: Final = Attributes("Ada", "King", "Engines")
MARKUP: Final = (
    "```\n</details><script>x</script>",
    "`````",
    "@octocat #1 GH-1 https://evil.example",
    "[x](javascript:x) ![y](http://evil.example/y.png)",
    "| a | b |\n|---|---|",
    "*bold* _it_ ~~gone~~ <b>b</b> &lt;",
    "# heading\n- [ ] task\n> quote",
    "$$x$$ :tada:",
)
any_markup: Final = st.one_of(st.sampled_from(MARKUP), anything)


def one(*changes: Change, slots: Slots | None = None, over: tuple[str, ...] = (), parent: str = "default") -> Plan:
    return Plan(parent, "lineage", 7, slots or counts(used=3, planned=1), changes, over)


# ── What it says ─────────────────────────────────────────────────────────────


def test_a_plan_says_its_slots_its_sum_what_is_to_be_done_and_the_details() -> None:
    plan = one(
        Create(desired("berlin", ADA)),
        StillAbandoned("bergen", ADA, "given up"),
        Gone("geneva", ADA),
        Unchanged("lisbon", ADA, Drift(("last_name",))),
        Update(desired("lyon", ADA), (FieldChange("company_name", None, "Labé"),)),
        StillUnknown("oslo", ADA, "no answer"),
        Unchanged("paris", ADA),
        Unmanaged("rome", ADA),
        Unmanaged("siena", ADA, unfinished=True),
    )
    assert """\
## `default`: 3 of 20 slots used, 1 planned, 16 left

**Plan: 1 to create, 1 to update, 2 unchanged, 2 unmanaged, 1 gone, 1 unknown, 1 abandoned.**

| | action | | accounts |
|---|---|--:|---|
| ➕ | **create** | 1 | `berlin` |
| ✏️ | **update** | 1 | `lyon` |
| ❓ | **unknown** | 1 | `oslo` |
| ❌ | **gone** | 1 | `geneva` |
| ⚠️ | **unmanaged** | 2 | `rome`, `siena` |
| 🚫 | **abandoned** | 1 | `bergen` |
| 〰️ | **drift** | 1 | `lisbon` |

<details open><summary>Details</summary>

```diff
+ create     berlin  Ada  King  Engines
# abandoned  bergen  given up; it keeps its slot; to create it again, give it another name
- gone       geneva  Octopush no longer knows its login; `provisioner forget geneva` frees its slot
  drift      lisbon  Octopush altered last_name
! update     lyon    1 field
!     company name  (none) -> "Labé"
- unknown    oslo    no answer
-     first name    Ada
-     last name     King
-     company name  Engines
# unmanaged  rome    exists but is in no manifest; it is not changed
# unmanaged  siena   is in no manifest; an earlier edit is unfinished; the next apply finishes it if a manifest \
names the account
```

</details>


<sub>Plan `sha-1`</sub>
""" == markdown.plans([plan], "sha-1")  # noqa: RUF001  # the signs are meant


def test_a_plan_that_is_refused_says_so_and_what_has_no_slot_is_not_green() -> None:
    plan = one(Create(desired("a", ADA)), Create(desired("b", ADA)), over=("b",))
    said = markdown.plans([plan], "d")
    assert "> **Refused**: there is no slot for `b`. Nothing would be sent." in said
    assert "\n+ create     a  Ada  King  Engines\n- no slot    b  Ada  King  Engines\n" in said


def test_a_plan_with_nothing_to_do_is_short() -> None:
    said = markdown.plans([one(Unchanged("a", ADA))], "d")
    assert "**Nothing to do: 1 unchanged.**" in said
    assert "<details" not in said
    assert "| action |" not in said


def test_many_names_are_counted_and_a_long_one_is_cut() -> None:
    said = markdown.plans([one(*(Gone(f"n{i:02}", ADA) for i in range(14)), parent="p" * 1000)], "d")
    assert "| 14 | `n00`, " in said
    assert "`n11` and 2 more |" in said
    assert f"## `{'p' * 80}...`: " in said


# ── It never outgrows a comment ──────────────────────────────────────────────


@pytest.mark.parametrize("name", [lambda i: f"n{i}", lambda i: f"{i:063}", lambda i: f"{i:0300}"])
@pytest.mark.parametrize(("parents", "accounts"), [(1, 2000), (3, 1000), (40, 50), (400, 13), (1200, 2)])
def test_it_is_never_longer_than_a_comment_may_be_and_the_sums_are_kept(
    parents: int, accounts: int, name: Callable[[int], str]
) -> None:
    loud = Attributes("`" * 100, "ï" * 100)
    makers: tuple[Callable[[str], Change], ...] = (
        lambda n: Create(desired(n, loud)),
        lambda n: Gone(n, ADA),
        lambda n: Unchanged(n, ADA, Drift(("last_name",))),
        lambda n: StillUnknown(n, ADA, "why " * 50),
    )
    changes = tuple(makers[i % 4](name(i)) for i in range(accounts))
    plans = [one(*changes, over=tuple(each.name for each in changes[::4]), parent=name(i)) for i in range(parents)]
    said = markdown.plans(plans, "d" * 64)
    assert len(said) <= markdown.LONGEST
    assert f"**{words.summary([plans[0]])}**" in said
    assert said.endswith(f"<sub>Plan `{'d' * 64}`</sub>\n")
    shown = said.count("\n## ") + 1
    if shown < parents:
        rest = one(*(changes * (parents - shown)))
        assert (
            f"{parents - shown} parents more did not fit here: see `provisioner plan`.** {words.summary([rest])}"
            in said
        )
    if accounts >= 1000:
        assert len(said) > 0.9 * markdown.LONGEST, "what room there is is used"
        assert re.search(r"\d+ accounts more did not fit here", said)


def test_a_parent_that_needs_little_leaves_its_room_to_the_others() -> None:
    small, large = one(Gone("a", ADA)), one(*(Create(desired(f"n{i}", ADA)) for i in range(5000)))
    said = markdown.plans([small, small, small, large], "d")
    assert 0.97 * markdown.LONGEST < len(said) <= markdown.LONGEST


@settings(max_examples=30)
@given(
    st.lists(any_markup, min_size=1, max_size=6),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(1, 40),
    any_markup,
)
def test_whatever_the_plans_it_is_never_too_long(
    texts: list[str], times: int, parents: int, longer: int, digest: str
) -> None:
    texts = [each * longer for each in texts]
    some = with_texts(texts)
    plans = [Plan(p.parent, p.lineage, p.serial, p.slots, p.changes * times, p.over) for p in some] * parents
    said = markdown.plans(plans, digest)
    assert len(said) <= markdown.LONGEST
    assert words.summary([plans[0]]) in said


# ── No value is markup ───────────────────────────────────────────────────────


class Parsed(HTMLParser):
    """The elements of what a renderer made, and the text of those that show text as it is."""

    def __init__(self, made: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: list[tuple[str, ...]] = []
        self.code: list[str] = []
        self._open: list[str] = []
        self.feed(made)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape.append((tag, *(f"{name}={value}" for name, value in attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.shape.append((f"/{tag}",))
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if "code" in self._open:
            self.code.append(data)


def github() -> Callable[[str], str]:
    """GitHub's own parser, with all its extensions and with HTML let through."""
    try:
        cmark = importlib.import_module("cmarkgfm")
        options = importlib.import_module("cmarkgfm.cmark").Options.CMARK_OPT_UNSAFE
    except ImportError:
        pytest.skip("cmarkgfm is not installed: `pip install cmarkgfm`, and GitHub's own parser is asked as well")
    return lambda said: str(cmark.github_flavored_markdown_to_html(said, options))


def common() -> Callable[[str], str]:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return lambda said: str(parser.render(said))


@pytest.mark.parametrize("renderer", [common, github])
def test_whatever_the_texts_the_elements_are_those_of_harmless_ones(
    renderer: Callable[[], Callable[[str], str]],
) -> None:
    render = renderer()

    @settings(max_examples=60)
    @given(st.lists(any_markup, min_size=1, max_size=12), any_markup)
    @example([*MARKUP, *HOSTILE], MARKUP[0])
    @example(["`" * 300], "`")
    def shown(texts: list[str], digest: str) -> None:
        texts = [each or "x" for each in texts]
        harmless = [f"t{texts.index(each)}" for each in texts]
        made = Parsed(render(markdown.plans(with_texts(texts), digest)))
        assert Parsed(render(markdown.plans(with_texts(harmless), "d"))).shape == made.shape
        told = "".join(made.code)
        attributes = with_texts(texts)[0].creates[0].account.attributes
        for said in (attributes.first_name, attributes.last_name, attributes.company_name, attributes.callbacks):
            assert said is None or not isinstance(said, str) or printable(said).rstrip() in told

    shown()


@pytest.mark.parametrize("renderer", [common, github])
def test_it_is_a_heading_a_table_and_a_fold(renderer: Callable[[], Callable[[str], str]]) -> None:
    made = Parsed(renderer()(markdown.plans([one(Create(desired("a", ADA)), Gone("b", ADA))], "d")))
    tags = [each[0] for each in made.shape]
    for tag, times in (("h2", 1), ("table", 1), ("tr", 3), ("details", 1), ("summary", 1), ("pre", 1), ("sub", 1)):
        assert times == tags.count(tag), tag
    assert tags.index("details") < tags.index("pre") < tags.index("/details")
