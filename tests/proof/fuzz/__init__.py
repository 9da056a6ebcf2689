"""Fuzzing: every kind of input that the program reads, with inputs that nobody would write on purpose.

``targets`` has the kinds of input. ``make fuzz`` searches for new inputs with atheris, which
follows the code that each one reaches; what it found before is in ``corpus/``, and ``make test``
tries all of that again.
"""
