"""The command line: parse, wire, print, exit; nothing else."""
