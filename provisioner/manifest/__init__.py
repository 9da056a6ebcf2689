"""Manifests: files in; the accounts that they ask for, or all their problems, out.

Covers the two formats, YAML and tables, the checks beyond the schema, the merging of several
files, and both ends of taking accounts over: the table of their logins, and the manifest
written for them. Does not know which accounts exist.
"""

from provisioner.manifest.load import Loaded, load

__all__ = ["Loaded", "load"]
