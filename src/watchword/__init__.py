"""Authentication for Python applications, on any database, behind any framework."""
