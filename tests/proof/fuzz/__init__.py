"""Fuzzing: every kind of input that the program reads, with inputs that nobody would write on purpose."""
