"""What became of every generated image: lines and pictures of a workdir, and votes on them.

This room never imports the loop, nor JAX. `python -m jaxloop.provenance WORKDIR --out DIR` writes
one table of all generated images, and their pictures.

sheets        pictures in PNGs, losslessly, and the hash that names a picture
store         config.json, provenance/ and images/ of a workdir
votes         votes.jsonl: appended vote by vote, and which votes stand
study         agreement of raters, detection of generated images
image_table   the table
"""
