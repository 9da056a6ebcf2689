"""The tables of docs/ that say what the code says: ``python -m tests.docs.tables``, or ``make docs``, writes them.

A page has each between ``<!-- generated: NAME -->`` and ``<!-- end -->``; NAME is a
function of this module. A test fails where a page has another.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import click

from provisioner import schemas
from provisioner.cli.main import COMMANDS, cli
from provisioner.errors import MEANINGS, ExitCode
from provisioner.render.events import COMMON, Event
from provisioner.render.explanations import TERMS as WORDS
from provisioner.render.explanations import errors as all_errors
from provisioner.render.metrics import _METRICS as METRICS
from provisioner.render.metrics import _PREFIX as PREFIX
from provisioner.settings import TUNING
from tests.docs.pages import PAGES, ROOT

_PLACE: Final = re.compile(r"^(<!-- generated: ([\w-]+) -->\n).*?^(<!-- end -->)$", re.MULTILINE | re.DOTALL)
_CONFIG: Final = schemas.load("config.v1")
_MANIFEST: Final = schemas.load("manifest.v1")
_OF_SETTINGS: Final = _CONFIG["properties"].keys() - {"parents"}
"""The options of commands that are settings as well."""
_VARIABLES: Final = {
    "api_url": "OCTOPUSH_API_URL",
    **{name: f"PROVISIONER_{name.upper()}" for name in ("state", "recipients", "identity_file", *TUNING)},
}


def main() -> None:
    """Write every table of every page."""
    for page in PAGES:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


def written(text: str) -> str:
    """Return the text of a page with the tables as they are by now."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n{place[3]}", text)


def named(text: str) -> list[str]:
    """Return the names of the tables of a page."""
    return [place[2] for place in _PLACE.finditer(text)]


# ── Commands ─────────────────────────────────────────────────────────────────


def commands() -> str:
    """Return every command, with the subcommands of groups, and what it is for."""
    rows = (
        (f"[`{path}`](options.md#{path.replace(' ', '-')})", command.get_short_help_str(200))
        for path, command in _commands()
        if not isinstance(command, click.Group)
    )
    return _table(("command", "what it is for"), rows)


def options() -> str:
    """Return the arguments and options of each command, but for those that are settings."""
    return "\n".join(
        f"## `{path}`\n\n{_prose(path, command)}{_options(command)}"
        for path, command in _commands()
        if not isinstance(command, click.Group)
    )


def exit_codes() -> str:
    """Return what each exit code means, and what to do."""
    rows = (
        (f"{int(code)}, {int(ExitCode.TERMINATED)}" if code is ExitCode.INTERRUPTED else str(int(code)), *words)
        for code, words in MEANINGS.items()
        if code is not ExitCode.TERMINATED
    )
    return _table(("exit", "meaning", "what to do"), rows)


def errors() -> str:
    """Return the name of each error in JSON, its exit code, and what it says."""
    kinds = sorted(all_errors(), key=lambda kind: (int(kind.exit_code), kind.__name__))
    rows = (
        (f"`{kind.__name__}`", str(int(kind.exit_code)), (inspect.getdoc(kind) or "").split("\n\n")[0])
        for kind in kinds
    )
    return _table(("name", "exit", "meaning"), rows)


def statuses() -> str:
    """Return what each word of a plan, a status or a report means that asks a person for something."""
    return _table(("word", "meaning"), ((f"`{word}`", _sentence(meaning)) for word, (meaning, *_) in WORDS.items()))


def documents() -> str:
    """Return each JSON Schema, and what it describes."""
    names = sorted(path.name.split(".")[0] for path in (ROOT / "schemas").glob("*.v1.schema.json"))
    return _table(("schema", "of"), ((f"`{name}`", schemas.load(f"{name}.v1")["title"]) for name in names))


# ── What people write ────────────────────────────────────────────────────────


def settings() -> str:
    """Return every setting, with its flag, variable and default."""
    flags = {
        option.name: option.opts[0]
        for _, command in _commands()
        for option in command.params
        if isinstance(option, click.Option) and option.opts[0].startswith("--")
    }
    rows = (
        (
            f"`{name}`",
            schema["description"],
            _default(schema),
            f"`{_VARIABLES[name]}`" + (f", `{flags[name]}`" if name in flags else ""),
        )
        for name, schema in _properties(_CONFIG, _CONFIG["properties"])
        if name != "parents"
    )
    return _table(("key", "meaning", "default", "variable and flag"), rows)


def settings_of_a_parent() -> str:
    """Return every setting of a parent."""
    of_one = _CONFIG["properties"]["parents"]["additionalProperties"]["properties"]
    rows = ((f"`{name}`", schema["description"], _default(schema)) for name, schema in _properties(_CONFIG, of_one))
    return _table(("key", "meaning", "default"), rows)


def fields() -> str:
    """Return every field of an account."""
    account = _MANIFEST["$defs"]["account"]
    needed = {*account["required"], "first_name", "last_name"}
    rows: list[tuple[str, ...]] = []
    for name, schema in _properties(_MANIFEST, account["properties"]):
        if name == "callbacks":
            rows += (
                (f"`callbacks.{each}`", "", f"{one['title']}.")
                for each, one in _properties(_MANIFEST, schema["properties"])
            )
        else:
            rows.append((f"`{name}`", "required" if name in needed else "", schema["description"]))
    return _table(("field", "", "meaning"), rows)


# ── What a run leaves ────────────────────────────────────────────────────────


def log_fields() -> str:
    """Return the fields that all events have in common."""
    return _table(("field", "meaning"), ((f"`{name}`", words) for name, words in COMMON.items()))


def log_events() -> str:
    """Return every event of a log."""
    rows = (
        (f"`{event.label}`", _sentence(event.meaning), ", ".join(f"`{each}`" for each in event.fields))
        for event in Event
    )
    return _table(("event", "written when", "further fields"), rows)


def metrics() -> str:
    """Return every metric."""
    rows = (
        (f"`{PREFIX}{name}`", ", ".join(f"`{label}`" for label in labels), words)
        for name, (words, labels) in METRICS.items()
    )
    return _table(("metric", "labels", "meaning"), rows)


def make_targets() -> str:
    """Return the targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"^([a-z]+):.*## (.+)$", makefile, re.MULTILINE)
    return _table(("target", "what it does"), ((f"`make {name}`", words) for name, words in found))


# ── Parts ────────────────────────────────────────────────────────────────────


def _commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {each}", one) for each, one in command.commands.items())


def _options(command: click.Command) -> str:
    context = click.Context(command)
    mine = (each for each in command.params if each.name not in {*_OF_SETTINGS, "config"})
    records = (each.get_help_record(context) for each in mine if isinstance(each, click.Option))
    rows = [(f"`{record[0]}`", record[1]) for record in records if record is not None]
    known = sorted(param.opts[0] for param in command.params if param.name in _OF_SETTINGS)
    table = f"\n{_table(('option', 'meaning'), rows)}" if rows else ""
    return table + (f"\nSettings: {', '.join(f'`{each}`' for each in known)}.\n" if known else "")


def _prose(path: str, command: click.Command) -> str:
    """Return how a command is called, and what ``--help`` says first."""
    usage = f"provisioner {path} {' '.join(command.collect_usage_pieces(click.Context(command)))}"
    return f"`{usage}`\n\n" + " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split()) + "\n"


def _properties(known: dict[str, Any], properties: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each property; what it refers to says what it does not say itself."""
    for name, schema in properties.items():
        found = schema
        while reference := found.get("$ref"):
            own = {key: value for key, value in found.items() if key != "$ref"}
            found = {**known["$defs"][reference.rpartition("/")[2]], **own}
        yield name, found


def _default(schema: dict[str, Any]) -> str:
    default = schema.get("default")
    return f"`{str(default).lower()}`" if isinstance(default, str | int | float) else ""


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = (head, ("---",) * len(head), *rows)
    cells = ((re.sub(r"\s+", " ", cell).replace("|", r"\|") for cell in line) for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


TABLES: Final = {
    each.__name__.replace("_", "-"): each
    for each in (
        commands, options, exit_codes, errors, statuses, documents, settings, settings_of_a_parent, fields,
        log_fields, log_events, metrics, make_targets,
    )
}  # fmt: skip

if __name__ == "__main__":
    main()
