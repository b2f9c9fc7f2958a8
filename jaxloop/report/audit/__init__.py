"""What the filter did.

drops             whom it dropped: by subgroup, by class and by both
arms              the run against its control arm, the same run with a random choice
people            what people voted
audit_page        their sections of the page
"""
