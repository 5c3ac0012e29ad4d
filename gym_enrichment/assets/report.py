"""enrichment_report: the report page as a file below GYM_HOME."""

import dagster as dg

from gym_enrichment.assets.directory import gym_directory
from gym_enrichment.pipeline.reporting import gather_report
from gym_enrichment.report.page import write_report
from gym_enrichment.resources import GymPipeline
from gym_enrichment.storage.private_files import make_private_folder


@dg.asset(deps=[gym_directory], group_name="quality", kinds={"file"}, owners=["team:directory"])
def enrichment_report(gym_pipeline: dg.ResourceParam[GymPipeline]) -> dg.MaterializeResult[None]:
    """What `gym-enrichment report` writes, in `exports/report.html` of GYM_HOME."""
    path = gym_pipeline.settings.home.absolute() / "exports" / "report.html"
    make_private_folder(path.parent)
    found = gather_report(gym_pipeline.database)
    size = write_report(found, path)
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(path),
            "bytes": size,
            "gyms": found.headline.gyms,
            "gyms_in_gallery": len(found.gallery.gyms),
            "reviews_quoted": len(found.gallery.reviews),
            "failed_gyms": sum(row.gyms for row in found.failed_gyms),
        }
    )
