"""What compares runs or tests a conjecture. Reads workdirs."""
