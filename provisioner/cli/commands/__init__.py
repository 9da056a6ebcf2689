"""The commands, one module each: its options, and what it does with a project."""
