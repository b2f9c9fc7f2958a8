"""The paper's conjecture, equation (6): estimated from a run and compared with simpler predictions."""
