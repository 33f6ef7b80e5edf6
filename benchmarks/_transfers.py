"""The baseline for money: double entry as a plain SQL function with row locks, in the manner of pgledger."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

_SCHEMA = """
CREATE TABLE base_accounts (
  id bigint PRIMARY KEY, currency text NOT NULL, balance bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0
);
CREATE TABLE base_transfers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, from_id bigint NOT NULL, to_id bigint NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0), event_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE base_entries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL, transfer_id bigint NOT NULL,
  amount bigint NOT NULL, previous_balance bigint NOT NULL, current_balance bigint NOT NULL,
  account_version bigint NOT NULL
);
CREATE INDEX ON base_entries (account_id, id);
CREATE INDEX ON base_entries (transfer_id);

CREATE FUNCTION base_transfer(p_from bigint, p_to bigint, p_amount bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  v_transfer bigint;
  v_from base_accounts%ROWTYPE;
  v_to base_accounts%ROWTYPE;
BEGIN
  -- Always in the order of their ids, so that two transfers never wait for each other in a ring.
  PERFORM FROM base_accounts WHERE id IN (p_from, p_to) ORDER BY id FOR UPDATE;
  UPDATE base_accounts SET balance = balance - p_amount, version = version + 1
    WHERE id = p_from RETURNING * INTO v_from;
  UPDATE base_accounts SET balance = balance + p_amount, version = version + 1
    WHERE id = p_to RETURNING * INTO v_to;
  IF v_from.currency <> v_to.currency THEN
    RAISE EXCEPTION 'currencies differ';
  END IF;
  INSERT INTO base_transfers (from_id, to_id, amount) VALUES (p_from, p_to, p_amount)
    RETURNING id INTO v_transfer;
  INSERT INTO base_entries
    (account_id, transfer_id, amount, previous_balance, current_balance, account_version) VALUES
    (p_from, v_transfer, -p_amount, v_from.balance + p_amount, v_from.balance, v_from.version),
    (p_to, v_transfer, p_amount, v_to.balance - p_amount, v_to.balance, v_to.version);
  RETURN v_transfer;
END $$;
"""

#: Promoters money goes to; what pays them is one account, as in a campaign.
PROMOTERS = 1_000


def prepare(owner_url: str) -> None:
    with psycopg.connect(owner_url) as conn:
        conn.execute(_SCHEMA)
        conn.execute(
            "INSERT INTO base_accounts (id, currency) SELECT n, 'CNY' FROM generate_series(0, %s) AS n",
            (PROMOTERS,),
        )


#: A payment's two levels, and one transfer alone.
_STATEMENTS = {
    2: "SELECT base_transfer(0, %(first)s, 1180), base_transfer(0, %(second)s, 295)",
    1: "SELECT base_transfer(0, %(first)s, 1180)",
}


def measure(owner_url: str, seconds: float, connections: int, transfers: int = 2) -> float:
    """Durable transactions a second, each with one or two transfers from the hot account."""
    stop = time.perf_counter() + seconds
    done = 0
    lock = threading.Lock()

    def work(worker: int) -> None:
        nonlocal done
        mine = 0
        with psycopg.connect(owner_url, autocommit=True, prepare_threshold=0) as conn:
            while time.perf_counter() < stop:
                first = 1 + (worker * 7919 + mine * 31) % PROMOTERS
                second = 1 + (first + 499) % PROMOTERS
                conn.execute(_STATEMENTS[transfers], {"first": first, "second": second})
                mine += 1
        with lock:
            done += mine

    with ThreadPoolExecutor(connections) as pool:
        began = time.perf_counter()
        list(pool.map(work, range(connections)))
    return done / (time.perf_counter() - began)
