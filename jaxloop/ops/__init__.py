"""Building blocks of networks: convolutions by the lowering that suits the backend, and pixels."""
