"""Runs beside each other.

labels            what runs are called, and what they do not share
compare           is bias higher in one run than in another?
table1            the paper's table 1
paper_figures     the paper's figures 3 to 9
compare_page      the page, and everything else that is written beside it
"""
