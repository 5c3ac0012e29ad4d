"""Speed and memory, measured side by side: `make bench`. Not part of the package, not part of the tests."""
