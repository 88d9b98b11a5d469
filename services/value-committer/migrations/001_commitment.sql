-- The models that the architect's events tell of, in their latest approved version.
CREATE TABLE model (
  id uuid PRIMARY KEY,
  version integer NOT NULL,
  user_id uuid NOT NULL,
  currency text NOT NULL
);

CREATE TABLE commitment (
  id uuid PRIMARY KEY,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id text NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  model_id uuid NOT NULL,
  model_version integer NOT NULL,
  state text NOT NULL CHECK (state IN ('draft', 'proposed', 'approved', 'signed', 'rejected', 'withdrawn')),
  -- Users and roles whose approval is needed and was not given yet; empty but while it is proposed.
  open_user_ids uuid[] NOT NULL,
  open_roles text[] NOT NULL,
  -- All the rest: what is only ever read and written whole.
  content jsonb NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  sign_time timestamptz,
  UNIQUE (caller, request_id)
);

CREATE INDEX commitment_list ON commitment (user_id, id DESC);
CREATE INDEX commitment_model ON commitment (model_id, id DESC);
CREATE INDEX commitment_to_approve ON commitment USING gin (open_user_ids, open_roles) WHERE state = 'proposed';
