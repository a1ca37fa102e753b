"""What every adapter has to keep, by subject; `AdapterSuite` is all of it."""
