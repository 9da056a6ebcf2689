"""The state: its format, its seals, its stores, and one run's hold on it.

Import the module that is needed: ``status`` has no use for age, nor ``show`` for a lock.
"""
