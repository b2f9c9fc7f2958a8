"""What a run says: the records it leaves, and the page, tables and figures that are made of them.

This room reads a workdir and never imports the loop (nor jax): `python -m jaxloop.report WORKDIR` rebuilds the report
of a finished, unfinished or foreign run in seconds, and `python -m jaxloop.report RUN RUN ... --out DIR` compares runs.

From the ground up:
records, workdir              the log, and a run as one plain value
measures, statistics          words and ranges of measures; intervals, slopes, Holm, Welch, pairs
results, answer, remarks      curves, trends and verdicts of a run; the answer in words; what is missing or special
layout, tables, drawing, figures     tables and figures, and how they look
equation6/, comparison/, audit/      the paper's conjecture; runs beside each other; what the filter did
markup, style, page, export   the page of a run, and its numbers as JSON
"""
