"""The state: its format, its seals, its stores, and a session that holds it.

Import only the module that you need: ``status`` does not need age, nor ``show`` a lock.
"""
