"""Shows a table's columns in Dagster's UI."""

import dagster as dg
from sqlalchemy import Table


def column_schema(table: Table) -> dict[str, dg.TableSchema]:
    """The metadata entry that the UI shows as the asset's columns."""
    columns = [
        dg.TableColumn(
            column.name,
            type=str(column.type),
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.primary_key)),
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}
