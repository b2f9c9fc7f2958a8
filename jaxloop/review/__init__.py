"""The human study: a local page on which people look at what a run generated, and vote on it.

This room reads a workdir, appends to its votes.jsonl and choices.jsonl, and never imports the loop
(nor JAX). `python -m jaxloop.review WORKDIR` serves one generation to this machine alone.

material, deck     one generation of a workdir; which pictures a rater sees, in which order
score_bins         a generation in bins by an expert's score
choices            choices.jsonl: the drop rates that people choose, and when blind votes end
context, routes    what every route answers from; the pages, and what they send
app                the application around the routes: which requests are answered, the server
templates, static  the pages, their style and scripts, which load nothing from elsewhere

Raters vote blind: real images are mixed in, and nothing that a browser is sent tells which. Others'
votes and all results are shown to a rater who has finished the study. Votes after that, or after
the audit is opened, are marked as not blind, and count for the filter alone.
"""
