"""enrichment_statistics: what runs did and cost, as figures that Dagster plots over time."""

import dagster as dg

from gym_enrichment.assets.directory import gym_directory
from gym_enrichment.pipeline.statistics import statistics
from gym_enrichment.resources import GymPipeline


@dg.asset(deps=[gym_directory], group_name="quality", kinds={"table"}, owners=["team:directory"])
def enrichment_statistics(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.MaterializeResult[None]:
    """What runs did and cost since the beginning, as plots over time: the figures of `gym-enrichment stats`.

    A gym that was in two runs counts twice in `gyms`; `gyms/...` counts the directory, `attempts/...` the calls by
    their outcome, and what one variant did has its name in front.
    """
    found = statistics(gym_pipeline.database)
    figures = dict(found["all_time"]) | {f"gyms/{state}": gyms for state, gyms in found["directory"].items()}
    for row in found["latency"]:
        figures |= {f"{row['variant']}/{name}": value for name, value in row.items() if name != "variant"}
    for variant, row in found["variants"].items():
        figures |= {f"{variant}/{name}": value for name, value in row.items() if value is not None}
    figures |= {f"attempts/{outcome}": attempts for outcome, attempts in found["attempts"].items()}
    tables = {name: dg.MetadataValue.json(found[name]) for name in ("attempts", "days", "found", "failures")}
    return dg.MaterializeResult(metadata=figures | tables)
