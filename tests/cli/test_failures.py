"""The message for whatever ended a command."""

from __future__ import annotations

import click
import pytest

from provisioner.cli.failures import Terminated, reported


def ended_at_a_question(by: type[BaseException]) -> click.Abort:
    """Return what click makes of ``by``, that came while its question waited: it hides the first."""
    abort = click.Abort()
    abort.__context__ = by()
    abort.__suppress_context__ = True
    return abort


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (click.Abort(), 130, "Not confirmed; nothing was changed."),
        (ended_at_a_question(EOFError), 130, "Not confirmed; nothing was changed."),
        (ended_at_a_question(KeyboardInterrupt), 130, "Interrupted; nothing was being changed at Octopush."),
        (ended_at_a_question(Terminated), 143, "Asked to end; nothing was being changed at Octopush."),
        (KeyboardInterrupt(), 130, "Interrupted; nothing was being changed at Octopush."),
        (Terminated(), 143, "Asked to end; nothing was being changed at Octopush."),
    ],
)
def test_the_answer_no_is_not_an_interrupt(error: BaseException, code: int, words: str) -> None:
    failure = reported(error)
    assert (code, words) == (failure.exit_code, failure.message)
