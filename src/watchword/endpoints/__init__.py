"""The routes that every instance has."""
