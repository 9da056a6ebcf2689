"""Turns plans, reports and states into what people and programs read.

Owns every format of a plan or report, and the words that formats share. Refuses to decide anything, and to print.
"""
