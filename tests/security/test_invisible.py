"""Invisible characters, with which somebody could hide text from a reviewer."""

from __future__ import annotations

import json
from typing import Final

from provisioner.document import parse_yaml, text_fault
from provisioner.manifest import yaml_manifest
from provisioner.model.account import Attributes
from provisioner.model.plan import Create, Plan
from provisioner.render import documents, html, markdown, text
from provisioner.render.lines import printable
from tests.render.samples import counts, desired

# Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, and other blank glyphs.
UNSEEN: Final = (
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x202A, 0x202F), *range(0x2060, 0x2070), 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFF9), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
    *(0x2800, 0xFFFC, 0x1D159, 0x16FE4, 0x13441, 0x13442),
)
PERSIAN: Final = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"


def test_no_invisible_character_passes_in_a_plain_name() -> None:
    assert [f"{code:X}" for code in UNSEEN if text_fault(f"a{chr(code)}b") is None] == []


def test_no_message_can_hide_behind_a_letter_an_emoji_or_an_ideograph() -> None:
    hidden = "".join(chr(0xE0100 + each) for each in b"key")
    for base in "o\u2764\u845b\u0639":
        assert text_fault(f"{base}{hidden}") is not None


def test_every_format_of_a_plan_shows_the_joiners_that_a_name_needs() -> None:
    manifest = f"version: 1\naccounts:\n- {{name: a, first_name: {PERSIAN}, last_name: B}}\n"
    (entry,) = yaml_manifest.read(manifest.encode(), "m.yaml").entries
    assert entry.fields["first_name"] == PERSIAN
    this = Plan("p", "l", 1, counts(), (Create(desired("a", Attributes(PERSIAN, "B"))),))
    for shown in (
        "\n".join(line.text for line in text.plan(this)),
        markdown.plans([this], "d"),
        html.page([this], "d"),
    ):
        assert r"\u200c" in shown
        assert "\u200c" not in shown


def test_json_contains_no_invisible_character() -> None:
    whole = "".join(map(chr, UNSEEN))
    shown = documents.text({whole: whole})
    assert shown.isascii()
    assert json.loads(shown) == {whole: whole}


def test_no_text_that_is_shown_contains_an_invisible_character() -> None:
    shown = printable("".join(map(chr, UNSEEN)))
    assert shown.isascii()


def test_an_invisible_character_in_or_next_to_a_field_name_is_named() -> None:
    for line, code in (
        ("first_name\u200b: x", "U+200B"),
        ("\u00a0first_name: x", "U+00A0"),
        ("first_name:\u00a0x", "U+00A0"),
        ("first_name:\u2060 x", "U+2060"),
        ("\u3164first_name: x", "U+3164"),
    ):
        document = parse_yaml(
            f"version: 1\naccounts:\n- name: a\n  last_name: b\n  {line}\n".encode(), "m.yaml", "manifest.v1"
        )
        found = document.checked("manifest.v1", {})
        assert any(code in each.message and each.origin.line == 5 for each in found), (line, found)
