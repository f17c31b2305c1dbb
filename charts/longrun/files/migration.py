"""Bring MLflow's database up to this version before the new server starts. Arguments: its URI; `bundled` for our own Postgres.

A database that MLflow has not made yet is left to the server. Where an installation failed before its Postgres came up, waiting
for that here would keep the upgrade from ever mending it; a Postgres of the user's own must answer.
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
    print("skipped: the bundled Postgres does not answer; if it holds a database, upgrade again once it does")
else:
    if made:
        os.execvp("mlflow", ["mlflow", "db", "upgrade", uri])  # noqa: S606, S607 the image's own program
    print("skipped: MLflow has made no database yet")
