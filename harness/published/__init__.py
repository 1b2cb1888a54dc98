"""Other people's numbers: the tables, their layouts, and the audit of both."""
