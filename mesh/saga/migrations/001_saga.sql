CREATE TABLE heddle_saga.saga (
  id text COLLATE "C" PRIMARY KEY,
  name text NOT NULL,
  status text NOT NULL CHECK (status IN ('RUNNING', 'COMPENSATING', 'STUCK', 'DONE', 'COMPENSATED')),
  -- The step that runs or is compensated next; of an ended saga the last one.
  step text NOT NULL,
  -- The steps that may have had an effect, in the order in which they ran; compensation takes them away from the end.
  effects text[] NOT NULL DEFAULT '{}',
  state jsonb NOT NULL,
  -- Of the present step: attempts that began, and those that failed.
  attempts integer NOT NULL DEFAULT 0,
  failures integer NOT NULL DEFAULT 0,
  -- Why it is compensated.
  failure_code integer,
  failure_message text,
  failure_reason text,
  -- Null when it has ended.
  next_attempt_time timestamptz,
  lease_id uuid,
  lease_until timestamptz,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  CHECK ((next_attempt_time IS NULL) = (status IN ('DONE', 'COMPENSATED'))),
  CHECK ((failure_code IS NULL) = (status IN ('RUNNING', 'DONE')))
);

CREATE INDEX saga_due ON heddle_saga.saga (next_attempt_time) WHERE next_attempt_time IS NOT NULL;
CREATE INDEX saga_list ON heddle_saga.saga (create_time DESC, id DESC);
CREATE INDEX saga_ended ON heddle_saga.saga (update_time) WHERE next_attempt_time IS NULL;

CREATE TABLE heddle_saga.attempt (
  saga_id text COLLATE "C" NOT NULL REFERENCES heddle_saga.saga ON DELETE CASCADE,
  number integer NOT NULL,
  step text NOT NULL,
  action text NOT NULL CHECK (action IN ('run', 'compensate', 'retry')),
  -- Of this step and action, from 1.
  attempt integer NOT NULL,
  start_time timestamptz NOT NULL,
  -- Null while it runs, and when its process died.
  end_time timestamptz,
  outcome text NOT NULL CHECK (outcome IN ('running', 'ok', 'failed', 'refused', 'interrupted', 'asked')),
  message text NOT NULL DEFAULT '',
  PRIMARY KEY (saga_id, number)
);
