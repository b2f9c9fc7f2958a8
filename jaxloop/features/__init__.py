"""Networks that only embed images, one file each: `load(...)` reads published weights."""
