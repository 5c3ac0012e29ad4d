"""Tables, engine, migrations and queries: all SQL of the package is below this folder."""
