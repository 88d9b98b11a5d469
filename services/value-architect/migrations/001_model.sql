CREATE TABLE model (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id text NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  latest_version integer NOT NULL,
  create_time timestamptz NOT NULL,
  UNIQUE (caller, request_id)
);

CREATE INDEX model_list ON model (user_id, id DESC);

CREATE TABLE version (
  model_id uuid NOT NULL REFERENCES model,
  version integer NOT NULL CHECK (version > 0),
  state text NOT NULL CHECK (state IN ('draft', 'in_review', 'approved', 'superseded')),
  -- Who must approve it.
  reviewer_ids uuid[] NOT NULL,
  -- Those of them who have.
  approved_by_ids uuid[] NOT NULL,
  -- Title, description, currency, investment, return reason and hypotheses: what is only ever read and written whole.
  content jsonb NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  approve_time timestamptz,
  PRIMARY KEY (model_id, version)
);

-- One version stands at a time, and one is in the making.
CREATE UNIQUE INDEX version_approved ON version (model_id) WHERE state = 'approved';
CREATE UNIQUE INDEX version_open ON version (model_id) WHERE state IN ('draft', 'in_review');
CREATE INDEX version_to_review ON version USING gin (reviewer_ids) WHERE state = 'in_review';

-- The hypotheses that were added by a call of their own.
CREATE TABLE addition (
  model_id uuid NOT NULL REFERENCES model,
  request_id text NOT NULL,
  content_hash text NOT NULL,
  hypothesis_id uuid NOT NULL,
  PRIMARY KEY (model_id, request_id)
);

-- What was measured last, as the amplifier tells it.
CREATE TABLE finding (
  model_id uuid NOT NULL,
  hypothesis_id uuid NOT NULL,
  actual double precision NOT NULL,
  realised_share double precision NOT NULL,
  measure_date text NOT NULL,
  PRIMARY KEY (model_id, hypothesis_id)
);
