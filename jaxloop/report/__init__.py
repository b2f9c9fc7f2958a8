"""What a reader sees of a run: its page, its numbers as JSON, and its summary in the terminal.

This room reads a workdir and never imports the loop (nor jax): `python -m jaxloop.report WORKDIR`
rebuilds the report of a finished or unfinished run in seconds, and `python -m jaxloop.report RUN
RUN ... --out DIR` compares runs. What the records amount to is worked out in `analysis`; the words
are in templates/, which `rendering` fills in. `page` is the report of a run, `compare_page` that of
several. `layout` and `drawing` say how tables and figures look.
"""
