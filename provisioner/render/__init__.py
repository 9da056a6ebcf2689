"""Turns plans, reports and states into what people and programs read.

Owns every face of a plan or report. Refuses to decide anything, and to print.
"""
