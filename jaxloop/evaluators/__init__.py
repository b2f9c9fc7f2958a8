"""What is measured of a generation: (experiment, state) -> records."""
