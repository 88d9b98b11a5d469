CREATE TABLE upload (
  id uuid PRIMARY KEY,
  -- Who uploads (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id uuid,
  user_id uuid NOT NULL,
  file_name text NOT NULL,
  format text NOT NULL CHECK (format IN ('csv', 'json', 'ndjson', 'parquet')),
  -- Which data folder the file is in: instances on other machines have others.
  folder uuid NOT NULL,
  size_bytes bigint NOT NULL DEFAULT 0,
  sha256 text NOT NULL DEFAULT '',
  complete boolean NOT NULL DEFAULT false,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  -- The process that receives it; its claim ends at lease_until, for the case that it died.
  lease_id uuid,
  lease_until timestamptz,
  UNIQUE (caller, request_id),
  CHECK (complete = (lease_id IS NULL)),
  CHECK ((lease_id IS NULL) = (lease_until IS NULL)),
  CHECK (complete = (sha256 <> ''))
);

CREATE INDEX upload_history ON upload (user_id, create_time DESC, id DESC);
CREATE INDEX upload_expiry ON upload (expire_time);

CREATE TABLE job (
  id uuid PRIMARY KEY,
  caller text NOT NULL,
  request_id uuid,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  -- Source, steps and load as they were asked for (ProtoJSON), and what they come to (Plan in job.ts).
  request jsonb NOT NULL,
  plan jsonb NOT NULL,
  upload_id uuid REFERENCES upload,
  -- Which data folder the upload is in, and the output; null: any instance may do the job.
  folder uuid,
  status text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
  failure_reason text NOT NULL DEFAULT '',
  -- How far it is. A change of these and the rows that it is about are committed together: that is what makes each row load once.
  stage integer NOT NULL DEFAULT 0,
  rows_done boolean NOT NULL DEFAULT false,
  position_offset bigint NOT NULL,
  position_line bigint NOT NULL,
  rows_read bigint NOT NULL DEFAULT 0,
  rows_rejected bigint NOT NULL DEFAULT 0,
  rows_filtered bigint NOT NULL DEFAULT 0,
  rows_staged bigint NOT NULL DEFAULT 0,
  rows_loaded bigint NOT NULL DEFAULT 0,
  bytes_read bigint NOT NULL DEFAULT 0,
  total_bytes bigint NOT NULL DEFAULT 0,
  staged_bytes bigint NOT NULL DEFAULT 0,
  max_rejects bigint NOT NULL,
  output_bytes bigint NOT NULL DEFAULT 0,
  -- How many processes have begun to work on it, and how many of them since it last got further.
  attempts integer NOT NULL DEFAULT 0,
  stalls integer NOT NULL DEFAULT 0,
  revision bigint NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL,
  start_time timestamptz,
  complete_time timestamptz,
  expire_time timestamptz,
  -- Whether its staging tables may still be there.
  staging boolean NOT NULL DEFAULT false,
  retry_time timestamptz,
  lease_id uuid,
  lease_until timestamptz,
  UNIQUE (caller, request_id),
  CHECK ((status IN ('queued', 'running')) = (complete_time IS NULL)),
  CHECK ((complete_time IS NULL) = (expire_time IS NULL)),
  CHECK ((lease_id IS NULL) = (lease_until IS NULL)),
  CHECK (status = 'running' OR lease_id IS NULL)
);

CREATE INDEX job_history ON job (user_id, create_time DESC, id DESC);
CREATE INDEX job_open ON job (create_time) WHERE status IN ('queued', 'running');
CREATE INDEX job_upload ON job (upload_id) WHERE status IN ('queued', 'running');
CREATE INDEX job_expiry ON job (expire_time) WHERE expire_time IS NOT NULL;
CREATE INDEX job_staging ON job (id) WHERE staging;

-- Every change that users can see is announced in its own transaction: it wakes those who work and those who watch.
CREATE FUNCTION announce_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('etl_job_changed', NEW.id::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER job_stored AFTER INSERT ON job FOR EACH ROW EXECUTE FUNCTION announce_job();
CREATE TRIGGER job_changed AFTER UPDATE ON job FOR EACH ROW WHEN (NEW.revision <> OLD.revision) EXECUTE FUNCTION announce_job();

CREATE TABLE reject (
  job_id uuid NOT NULL REFERENCES job ON DELETE CASCADE,
  -- In the order in which they were read; a line may hold more than one.
  number bigint GENERATED ALWAYS AS IDENTITY,
  line bigint NOT NULL,
  reason text NOT NULL,
  row text NOT NULL,
  PRIMARY KEY (job_id, number)
);

CREATE TABLE user_table (
  user_id uuid NOT NULL,
  name text NOT NULL,
  columns jsonb NOT NULL,
  row_count bigint NOT NULL,
  -- Counts the loads.
  version bigint NOT NULL DEFAULT 1,
  job_id uuid NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  PRIMARY KEY (user_id, name)
);

-- The rows of jobs under way. Logged, like all tables: a checkpoint must not outlive the rows that it is about.
CREATE SCHEMA staging;
