-- The database of one cell. Money is in minor units, times are Unix milliseconds.
CREATE TABLE IF NOT EXISTS payments (
    payment_id    TEXT PRIMARY KEY,
    tenant        TEXT NOT NULL,
    payment       TEXT NOT NULL,             -- the payment as JSON
    status        TEXT NOT NULL,
    reason        TEXT,
    degraded      INTEGER NOT NULL DEFAULT 0,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS payments_changed ON payments (updated_at_ms, payment_id);
CREATE INDEX IF NOT EXISTS payments_open ON payments (created_at_ms) WHERE status = 'accepted';

CREATE TABLE IF NOT EXISTS idempotency (
    tenant          TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash    TEXT NOT NULL,
    status_code     INTEGER NOT NULL,
    response        TEXT NOT NULL,
    created_at_ms   BIGINT NOT NULL,
    PRIMARY KEY (tenant, idempotency_key)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
    topic         TEXT NOT NULL,
    payment_id    TEXT NOT NULL UNIQUE,
    created_at_ms BIGINT NOT NULL
);

CREATE TABLE IF NOT EXISTS manual_reviews (
    payment_id    TEXT PRIMARY KEY,
    tenant        TEXT NOT NULL,
    reason        TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
) WITHOUT ROWID;

-- Balances are kept beside the entries that they are the sum of; the audit compares them.
CREATE TABLE IF NOT EXISTS accounts (
    account_id      TEXT PRIMARY KEY,
    tenant          TEXT NOT NULL,
    currency        TEXT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('customer', 'settlement', 'treasury')),
    debits_pending  BIGINT NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    debits_posted   BIGINT NOT NULL DEFAULT 0,
    credits_posted  BIGINT NOT NULL DEFAULT 0,
    CHECK (kind <> 'customer' OR credits_posted >= debits_posted + debits_pending)
) WITHOUT ROWID;

-- One row a transfer: reserved, then posted or voided, never changed after that.
CREATE TABLE IF NOT EXISTS transfers (
    payment_id     TEXT PRIMARY KEY,
    debit_account  TEXT NOT NULL REFERENCES accounts (account_id),
    credit_account TEXT NOT NULL REFERENCES accounts (account_id),
    amount_minor   BIGINT NOT NULL CHECK (amount_minor > 0),
    currency       TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('pending', 'posted', 'voided')),
    created_at_ms  BIGINT NOT NULL,
    updated_at_ms  BIGINT NOT NULL
) WITHOUT ROWID;

-- Payments that were voided before any reservation was seen: a reservation that arrives late is refused.
CREATE TABLE IF NOT EXISTS void_tombstones (
    payment_id    TEXT PRIMARY KEY,
    created_at_ms BIGINT NOT NULL
) WITHOUT ROWID;

-- Append-only: two rows a posting, and never more than one posting a payment.
CREATE TABLE IF NOT EXISTS entries (
    payment_id   TEXT NOT NULL,
    direction    TEXT NOT NULL CHECK (direction IN ('debit', 'credit')),
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    amount_minor BIGINT NOT NULL CHECK (amount_minor > 0),
    currency     TEXT NOT NULL,
    posted_at_ms BIGINT NOT NULL,
    PRIMARY KEY (payment_id, direction)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sagas (
    payment_id     TEXT PRIMARY KEY,
    state          TEXT NOT NULL,            -- steps and outcome as JSON
    terminal       INTEGER NOT NULL DEFAULT 0,
    owner          TEXT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    updated_at_ms  BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sagas_open ON sagas (lease_until_ms) WHERE terminal = 0;

-- What the bank has been told and what it said: the bank's own books, as far as the adapter can ask for them.
CREATE TABLE IF NOT EXISTS clearing_instructions (
    payment_id     TEXT PRIMARY KEY,
    status         TEXT NOT NULL CHECK (status IN ('settled', 'rejected', 'cancelled')),
    bank_reference TEXT NOT NULL,
    reason         TEXT,
    created_at_ms  BIGINT NOT NULL
) WITHOUT ROWID;
