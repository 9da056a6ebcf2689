"""Turns plans, reports and states into output for people and programs.

Owns every format of a plan or report, and the wording that formats share. Neither decides nor prints anything.
"""
