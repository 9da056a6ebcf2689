"""Stores, tested: one contract for all of them, and what is true of one alone."""
