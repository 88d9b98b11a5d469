CREATE TABLE delivery (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  -- A signed commitment is delivered once, however often its event comes.
  commitment_id uuid NOT NULL UNIQUE,
  model_id uuid NOT NULL,
  title text NOT NULL,
  state text NOT NULL CHECK (state IN ('planned', 'in_progress', 'completed', 'canceled')),
  reason text NOT NULL DEFAULT '',
  -- Days, as in 2027-03-31, have no time zone: they are texts here as they are in the contract.
  start_date text NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL
);

CREATE INDEX delivery_list ON delivery (user_id, id DESC);
CREATE INDEX delivery_model ON delivery (model_id, id);

CREATE TABLE milestone (
  id uuid PRIMARY KEY,
  delivery_id uuid NOT NULL REFERENCES delivery,
  -- Unique within the delivery where a call added it; null where the commitment had it.
  request_id text,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text,
  title text NOT NULL,
  owner_id uuid NOT NULL,
  weight double precision NOT NULL CHECK (weight > 0),
  planned_date text NOT NULL,
  forecast_date text NOT NULL,
  -- '' until it is done.
  actual_date text NOT NULL DEFAULT '',
  progress double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
  state text NOT NULL CHECK (state IN ('planned', 'in_progress', 'done', 'canceled')),
  reason text NOT NULL DEFAULT '',
  update_time timestamptz NOT NULL,
  UNIQUE (delivery_id, request_id)
);

CREATE INDEX milestone_owner ON milestone (owner_id, planned_date, id);
CREATE INDEX milestone_delivery ON milestone (delivery_id, planned_date, id);
