"""What a run says: the records it leaves, and the page, tables and figures that are made of them.

This room reads a workdir and never imports the loop (nor jax): `python -m jaxloop.report WORKDIR` rebuilds the report
of a finished, unfinished or foreign run in seconds, and `python -m jaxloop.report RUN RUN ... --out DIR` compares runs.
"""
