"""The command line: one command per stage. Owns words and tables in the terminal; computes nothing."""
