"""Manifests: files in, the accounts that they ask for out, or everything that is wrong with them.

Owns the two formats, YAML and CSV, the checks beyond the schema, the merging of several
files, and both ends of taking accounts over: the table of their logins, and the manifest
that is written of them. Refuses to know what exists already.
"""

from provisioner.manifest.load import Loaded, load

__all__ = ["Loaded", "load"]
