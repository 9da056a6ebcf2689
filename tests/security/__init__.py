"""Promises: what nobody can do, whatever they write, each test one of them."""
