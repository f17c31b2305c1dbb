"""Migrates MLflow's database before a new server starts. Arguments: the database's URI, and `bundled` for the chart's Postgres.

If MLflow's tables do not exist yet, the server will create them. If the bundled Postgres does not answer, the migration is
skipped: otherwise an installation that failed before Postgres started could never be repaired by an upgrade. An external Postgres
must answer.
"""

import os
import sys

import sqlalchemy

uri, bundled = sys.argv[1], "bundled" in sys.argv[2:]
try:
    made = sqlalchemy.inspect(sqlalchemy.create_engine(uri, connect_args={"connect_timeout": 20})).has_table("alembic_version")
except sqlalchemy.exc.OperationalError as error:
    if not bundled:
        raise SystemExit(f"failed: the database does not answer: {error.orig}") from None
    print("skipped: the bundled Postgres does not answer; if it has a database, upgrade again when it does")
else:
    if made:
        os.execvp("mlflow", ["mlflow", "db", "upgrade", uri])  # noqa: S606, S607 the image's own program
    print("skipped: MLflow's tables do not exist yet")
