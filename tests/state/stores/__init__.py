"""Tests of the stores: one contract for all of them, and the specifics of each."""
