"""The domain: frozen types that every layer shares.

Owns the words (account, record, plan, verdict, report) and the arithmetic of
slots. Refuses I/O, clocks, parsing and printing. Import the module that is
needed: a plan has no use for a verdict, and types take their time to be made.
"""
