"""What Dagster's UI says of our definitions, before anything runs."""

from gym_enrichment.definitions import defs


def test_every_column_that_is_shown_is_explained() -> None:
    tables = {node.key.to_user_string(): node.metadata for node in defs.resolve_asset_graph().asset_nodes}
    columns = [
        (asset, column.name, column.description)
        for asset, metadata in tables.items()
        if "dagster/column_schema" in metadata
        for column in metadata["dagster/column_schema"].columns
    ]
    assert len(columns) > 50
    assert [(asset, name) for asset, name, description in columns if not description] == []


def test_every_asset_sensor_and_schedule_says_what_it_does() -> None:
    repository = defs.get_repository_def()
    described = {
        **{node.key.to_user_string(): node.description for node in defs.resolve_asset_graph().asset_nodes},
        **{sensor.name: sensor.description for sensor in repository.sensor_defs},
        **{schedule.name: schedule.description for schedule in repository.schedule_defs},
    }
    assert [name for name, description in described.items() if not description] == []
