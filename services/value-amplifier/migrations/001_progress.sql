-- What the events tell of a model. It begins with the first of them, of whichever step.
CREATE TABLE model (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  title text NOT NULL DEFAULT '',
  -- The latest approved version; 0 before there is one, as for the three below.
  version integer NOT NULL DEFAULT 0,
  currency text NOT NULL DEFAULT '',
  investment bigint NOT NULL DEFAULT 0,
  hypotheses jsonb NOT NULL DEFAULT '[]',
  -- The number of its last change.
  changes bigint NOT NULL DEFAULT 0
);

-- Commitments that are signed.
CREATE TABLE commitment (
  id uuid PRIMARY KEY,
  model_id uuid NOT NULL REFERENCES model,
  amount bigint NOT NULL
);

CREATE INDEX commitment_model ON commitment (model_id);

CREATE TABLE delivery (
  id uuid PRIMARY KEY,
  model_id uuid NOT NULL REFERENCES model,
  state text NOT NULL CHECK (state IN ('open', 'completed', 'canceled'))
);

CREATE INDEX delivery_model ON delivery (model_id);

-- What happened to a model anywhere in the chain, as watchers see it.
CREATE TABLE change (
  model_id uuid NOT NULL REFERENCES model,
  number bigint NOT NULL,
  type text NOT NULL,
  summary text NOT NULL,
  stage text NOT NULL,
  time timestamptz NOT NULL,
  PRIMARY KEY (model_id, number)
);

CREATE TABLE realisation (
  id uuid PRIMARY KEY,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id text NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  model_id uuid NOT NULL REFERENCES model,
  hypothesis_id uuid NOT NULL,
  actual double precision NOT NULL,
  -- A day, as in 2027-03-31, has no time zone: it is a text here as it is in the contract.
  measure_date text NOT NULL,
  note text NOT NULL,
  realised_share double precision NOT NULL,
  realised_gain bigint NOT NULL,
  create_time timestamptz NOT NULL,
  UNIQUE (caller, request_id)
);

CREATE INDEX realisation_model ON realisation (model_id, measure_date DESC, id DESC);

CREATE TABLE strategy (
  id uuid PRIMARY KEY,
  caller text NOT NULL,
  request_id text NOT NULL,
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  model_id uuid NOT NULL REFERENCES model,
  hypothesis_id uuid NOT NULL,
  title text NOT NULL,
  description text NOT NULL,
  effect double precision NOT NULL,
  confidence double precision NOT NULL,
  reach double precision NOT NULL,
  effort_days double precision NOT NULL,
  state text NOT NULL CHECK (state IN ('proposed', 'running', 'completed', 'dropped')),
  reason text NOT NULL DEFAULT '',
  achieved_effect double precision,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  UNIQUE (caller, request_id)
);

CREATE INDEX strategy_model ON strategy (model_id, id);
