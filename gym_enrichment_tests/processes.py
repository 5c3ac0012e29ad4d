"""Processes of their own for tests: each is forked from one that imported everything once, and shares nothing else.

What must not live here: what they do.
"""

import multiprocessing

processes = multiprocessing.get_context("forkserver")
# The server is one for the whole session: whoever uses it first decides what it imports.
processes.set_forkserver_preload(
    [
        "pytest",
        "gym_enrichment_tests.batch_server",
        "gym_enrichment_tests.integration.fleet_member",
        "gym_enrichment_tests.integration.kill_child",
    ]
)
