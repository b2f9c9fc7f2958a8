"""What a reader sees of a run: its page, its numbers as JSON, and its summary in the terminal.

This room reads a workdir and never imports the loop (nor jax): `python -m jaxloop.report WORKDIR`
rebuilds the report of a finished or unfinished run in seconds, and `python -m jaxloop.report RUN
RUN ... --out DIR` compares runs. What the records amount to is worked out in `analysis`.

From the ground up:
layout, drawing            how tables and figures look
remarks                    the words of reasons and caveats; what is missing or special
tables, figures            the tables and the figures of a run
paper_figures, table1_files  those of the paper, of several runs
contents, json_export      what is said of a run; its numbers
rendering, templates/      the text of the pages (page: of a run; compare_page: of several)
"""
