"""What a fleet of workers adds to Dagster: the Celery app of the workers, and a launcher that notices their death."""
