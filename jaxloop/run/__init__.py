"""All that is impure: building, driving, saving and writing a run."""
