"""The command line: one file for each command; nothing is computed here."""
