"""From one machine to many: the files of a deployment, and `make fleet`, which runs them without Docker."""
