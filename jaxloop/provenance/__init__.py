"""What became of every generated image: the lines and pictures that a run leaves, and what people voted on them.

This room reads and writes files of a workdir and never imports the loop (nor jax).
`python -m jaxloop.provenance WORKDIR --out DIR` writes one table of all generated images, and their pictures.

sheets    pictures in PNGs, losslessly, and the hash that names a picture
store     provenance/ and images/ of a workdir
votes     votes.jsonl: appended vote by vote, and what stands of it
study     what votes amount to: agreement of raters, whether they tell generated from real, bins by score
export    the table
"""
