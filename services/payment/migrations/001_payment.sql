CREATE TABLE payment (
  id uuid PRIMARY KEY,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id text NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  account_id uuid NOT NULL,
  payee_account_id uuid,
  amount bigint NOT NULL CHECK (amount > 0),
  currency text NOT NULL,
  -- The card's token at the acquirer. It is shown to nobody.
  method text NOT NULL,
  manual_capture boolean NOT NULL,
  description text NOT NULL,
  category text NOT NULL,
  receipt_email text NOT NULL,
  status text NOT NULL CHECK (status IN
    ('processing', 'authorized', 'capturing', 'captured', 'declined', 'failed', 'canceling', 'canceled', 'refunded')),
  hold_id uuid,
  -- The acquirer's id of the charge.
  charge_id text NOT NULL DEFAULT '',
  captured_amount bigint NOT NULL DEFAULT 0 CHECK (captured_amount BETWEEN 0 AND amount),
  refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount BETWEEN 0 AND captured_amount),
  failure_reason text NOT NULL DEFAULT '',
  failure_message text NOT NULL DEFAULT '',
  -- The number of its last change.
  changes integer NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  -- When an authorized payment is given up.
  expire_time timestamptz NOT NULL,
  UNIQUE (caller, request_id)
);

CREATE INDEX payment_list ON payment (user_id, create_time DESC, id DESC);
CREATE INDEX payment_expiry ON payment (expire_time) WHERE status = 'authorized';

-- A capture, a cancellation or a refund of a payment.
CREATE TABLE operation (
  id uuid PRIMARY KEY,
  payment_id uuid NOT NULL REFERENCES payment,
  kind text NOT NULL CHECK (kind IN ('capture', 'cancel', 'refund')),
  caller text NOT NULL,
  request_id text NOT NULL,
  content_hash text NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  reason text NOT NULL,
  status text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
  failure_reason text NOT NULL DEFAULT '',
  failure_message text NOT NULL DEFAULT '',
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  UNIQUE (caller, request_id)
);

CREATE INDEX operation_payment ON operation (payment_id, create_time);

-- What watchers see.
CREATE TABLE change (
  payment_id uuid NOT NULL REFERENCES payment,
  number integer NOT NULL,
  type text NOT NULL,
  -- The payment after it.
  payment jsonb NOT NULL,
  time timestamptz NOT NULL,
  PRIMARY KEY (payment_id, number)
);

-- The local acquirer's own books: the world outside, which remembers what it was told through every death of the service.
CREATE TABLE acquirer_charge (
  -- The idempotency key.
  key text PRIMARY KEY,
  method text NOT NULL,
  amount bigint NOT NULL,
  currency text NOT NULL,
  status text NOT NULL CHECK (status IN ('authorized', 'captured', 'declined', 'voided')),
  decline_reason text NOT NULL DEFAULT '',
  captured_amount bigint NOT NULL DEFAULT 0 CHECK (captured_amount BETWEEN 0 AND amount),
  refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount BETWEEN 0 AND captured_amount),
  -- How often it was asked for.
  calls integer NOT NULL DEFAULT 0,
  create_time timestamptz NOT NULL
);

CREATE TABLE acquirer_refund (
  key text PRIMARY KEY,
  charge_key text NOT NULL REFERENCES acquirer_charge,
  amount bigint NOT NULL,
  create_time timestamptz NOT NULL
);
