"""The paper's conjecture, eq. (6).

steps             from the records of runs to steps from one generation to the next, with their q and u
conjecture        the fit, and what cannot be told apart
judgement         does it predict generations that it was not fitted on?
dynamics          all together, with intervals
conjecture_page   its section of the page, and its numbers
"""
