"""The paper's conjecture, equation (6), estimated and compared with simpler predictions."""
