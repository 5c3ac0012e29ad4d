-- The role that runs gym_enrichment on Postgres: it reads and writes rows, and nothing else.
-- Whoever owns the database `gym` runs this in it once, before `gym-enrichment doctor --migrate`, which the owner runs
-- too, now and after every upgrade. Then set a password (`\password gym_app`) and let everything else connect as
-- GYM_DATABASE_URL=postgresql://gym_app@host/gym, the password in PGPASSWORD or ~/.pgpass. Dagster keeps its own tables:
-- give it a database and a role of its own.
CREATE ROLE gym_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO gym_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO gym_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO gym_app;
-- And on what later migrations make, when the same owner runs them:
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO gym_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO gym_app;
