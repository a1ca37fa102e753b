"""Everything between a request and its response."""
