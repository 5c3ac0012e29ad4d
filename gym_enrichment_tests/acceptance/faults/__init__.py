"""What breaks, and what is then still true: on real processes, one case at a time."""
