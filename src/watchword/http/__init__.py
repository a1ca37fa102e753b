"""HTTP as values: messages, cookies, bodies."""
