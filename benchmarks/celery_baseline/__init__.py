"""Yesterday's behaviour, to be measured against and never to be used: Celery, a group of three tasks for each gym.

As ../shared/optimization-report.md describes it: each task queries the gym's reviews by itself, sends all of them with
a synchronous client, and saves its own part; a gym of which a task failed is done again from scratch.
"""
