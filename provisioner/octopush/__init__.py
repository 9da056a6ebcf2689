"""Octopush's sub-account API from the client's side: how a request travels, and what an answer proves.

Import the module that you need.
"""
