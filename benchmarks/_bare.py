"""The baseline of the join benchmark: a bare Flask view that does one committed insert."""

from __future__ import annotations

import os

from flask import Flask, request
from psycopg_pool import ConnectionPool

app = Flask(__name__)
pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=32, max_size=32, kwargs={"prepare_threshold": 0})


@app.post("/bare")
def bare() -> tuple[dict[str, int], int]:
    body = request.get_json()
    with pool.connection() as conn:
        row = conn.execute(
            "INSERT INTO bench_bare (who, inviter) VALUES (%s, %s) RETURNING id",
            (body["contact"]["external_id"], body.get("invite_token")),
        ).fetchone()
    assert row is not None
    return {"id": row[0]}, 201
