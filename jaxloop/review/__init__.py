"""The human study: a local page on which people look at what a run generated, and vote on it.

This room reads a workdir, adds to its votes.jsonl and choices.jsonl, and never imports the loop (nor jax):
`python -m jaxloop.review WORKDIR` serves one generation of a run to the browsers of this machine, and to nobody else.

From the ground up:
deck, material     which pictures a rater sees, in which order; what of a workdir is read, once
audit              a generation in bins by an expert's score, and the drop rates that people choose there
guard              which requests are answered
context            what every route answers from
voting, auditing   the routes of the study and of the audit
app, server        the application around them; the socket, the start and the end of the server
templates, static  the pages, their style and their scripts, which load nothing from elsewhere

Raters vote blind: real images are mixed in, and nothing that a browser is sent tells which; others' votes, and what the
votes amount to, are shown to a rater who has done the study proper. What a rater says after that, or after opening the
audit, is marked as not blind, and counts for the filter alone.
"""
