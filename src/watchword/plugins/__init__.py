"""Plugins, one file or one folder each."""
