"""Building blocks of networks: convolutions by the lowering of the backend, and pixels."""
