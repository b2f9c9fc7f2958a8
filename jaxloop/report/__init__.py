"""What a run says: the records it leaves, and the page, tables and figures that are made of them.

This room reads a workdir and never imports the loop (nor jax): `python -m jaxloop.report WORKDIR` rebuilds the report
of a finished, unfinished or foreign run in seconds, and `python -m jaxloop.report RUN RUN ... --out DIR` compares runs.

From the ground up:
records, workdir              the log, and a run as one plain value
measures, statistics          words and ranges of measures; intervals, slopes, Holm, Welch, pairs
results, answer, remarks      curves, trends and verdicts of a run; the answer in words; what is missing or special
steps, conjecture, judgement, dynamics     eq. (6): from records to steps, the fit, the held-out judgement, all together
labels, compare, table1       runs beside each other; the paper's table 1
drops, arms, people           the audit of filtering: whom the filter dropped, a run against its control arm, votes
layout, tables, drawing, figures, paper_figures     tables and figures, and how they look
markup, style, conjecture_page, audit_page, page, compare_page, export     the pages, and their numbers as JSON
"""
