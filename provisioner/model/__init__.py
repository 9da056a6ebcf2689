"""The domain: frozen types that every layer shares.

Owns the vocabulary (account, record, plan, verdict, report) and the arithmetic of
slots. Does no I/O, reads no clock, and neither parses nor prints. Import only the
module that you need: each takes time to load.
"""
