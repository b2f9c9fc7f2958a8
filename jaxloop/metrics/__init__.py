"""Measures: how good a model is, and how unequal over the subgroups.

counts.py      one pass over the test set: how many images of each class x group, and how many were right
fairness.py    accuracy, MEO, DI, MD and ranked accuracy, eqs. (1)-(5), from counts or from plain arrays
frame.py       any metric group by group, on plain arrays
bootstrap.py   what a measure owes to the choice of test images
moments.py     mean and covariance of features, batch by batch
frechet.py     the distance of eq. (1) between two sets of features, over all images or by class
kid.py         the kernel distance between two sets of features
neighbours.py  precision, recall, density and coverage, from nearest neighbours in features
embedded.py    a set of images as a network sees it, and all of these distances between two of them
generated.py   what a generated set looks like: label agreement, diversity, subgroup shares, drop rates

Everything that is gathered in parts has `empty` and `merge`, so that batches, devices and hosts reduce the same way.
A value that does not exist (no image of a group, a ratio over 0) is NaN, never 0.
"""
