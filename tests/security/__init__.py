"""The promises of docs/security.md, one test each: what nobody can do, whatever they write."""
