"""The commands as functions: each returns values, and a second function makes the lines that the command line prints."""
