"""The command line: one module per panel of `longrun --help`, with options and help texts only."""
