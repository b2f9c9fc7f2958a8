"""Networks that only embed images, one file each: `load(...)` reads published weights and gives a `Network`."""

from jaxloop.features.network import Network

__all__ = ["Network"]
