"""What tokensrv decides, in pure Python: no I/O, no clock, no framework."""
