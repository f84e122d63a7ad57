"""Settings: in comes a Python file that a user wrote, out come values checked against a table."""
