"""Octopush: its sub-account API, how a request travels, what an answer proves; and a sandbox of it.

Import the module that is needed: the sandbox starts without any library.
"""
