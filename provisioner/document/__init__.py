"""Documents: turns a YAML text into plain values with positions, and checks them against a schema.

Reads YAML without changing a text, and puts violations of a JSON Schema into sentences.
Does not know what a document is about: names, formats and defaults belong to its reader.
"""

from provisioner.document.violations import (
    MAX_REPORTED,
    Check,
    Part,
    Step,
    Value,
    Violation,
    inlined,
    nearest,
    spelled,
    violations,
)
from provisioner.document.yaml_text import Document, parse_yaml
from provisioner.model.characters import (
    UNSEEN,
    character,
    decoded,
    disguise,
    encoding_fault,
    is_utf32,
    merge_mark,
    shown,
    text_fault,
)

__all__ = [
    "MAX_REPORTED",
    "UNSEEN",
    "Check",
    "Document",
    "Part",
    "Step",
    "Value",
    "Violation",
    "character",
    "decoded",
    "disguise",
    "encoding_fault",
    "inlined",
    "is_utf32",
    "merge_mark",
    "nearest",
    "parse_yaml",
    "shown",
    "spelled",
    "text_fault",
    "violations",
]
