"""Measures: how good a model is, and how unequal over the subgroups. Arrays in, arrays out.

What is gathered in parts has `empty` and `merge`, so that batches, devices and hosts reduce alike.
A value that does not exist (no image of a group, a ratio over 0) is NaN, never 0.
"""
