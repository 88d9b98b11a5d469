CREATE TABLE test (
  id uuid PRIMARY KEY,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id uuid,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  sensor_type text NOT NULL,
  sensor_id text NOT NULL,
  sample_rate_hz double precision NOT NULL,
  status text NOT NULL DEFAULT 'processing' CHECK (status IN ('processing', 'completed', 'failed')),
  -- Where the samples come from: stored here, from a stream that is open, or from one that is yet to come.
  source text NOT NULL CHECK (source IN ('stored', 'upload', 'awaited')),
  -- Doubles, little-endian, until the test is done.
  samples bytea,
  sample_count bigint NOT NULL DEFAULT 0,
  -- The token of the call that made it was verified by its signature alone.
  degraded boolean NOT NULL,
  verdict text CHECK (verdict IN ('pass', 'fail', 'inconclusive')),
  analysis jsonb,
  -- What a plot is drawn from, as doubles: see Curves in sensor-test.ts.
  bounds bytea,
  stretch double precision,
  density bytea,
  failure_reason text NOT NULL DEFAULT '',
  create_time timestamptz NOT NULL,
  complete_time timestamptz,
  upload_deadline timestamptz,
  -- How many processes have begun to analyse the stored samples.
  attempts integer NOT NULL DEFAULT 0,
  -- The process that is at it now; its claim ends at lease_until, for the case that it died.
  lease_id uuid,
  lease_until timestamptz,
  UNIQUE (caller, request_id),
  CHECK ((status = 'completed') = (verdict IS NOT NULL AND analysis IS NOT NULL)),
  CHECK ((status = 'processing') = (complete_time IS NULL)),
  CHECK ((lease_id IS NULL) = (lease_until IS NULL)),
  -- Somebody answers for every test that is not done: samples that anybody may claim, a lease that ends, or a deadline.
  CHECK ((status = 'processing' AND source = 'stored') = (samples IS NOT NULL)),
  CHECK ((status = 'processing' AND source = 'awaited') = (upload_deadline IS NOT NULL)),
  CHECK (status <> 'processing' OR source <> 'upload' OR lease_id IS NOT NULL)
);

CREATE INDEX test_open ON test (create_time) WHERE status = 'processing';
CREATE INDEX test_history ON test (user_id, create_time DESC, id DESC);

-- Every change that users can see is announced in its own transaction: it wakes those who analyse and those who watch.
CREATE FUNCTION announce_test() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('sensor_test_changed', NEW.id::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER test_stored AFTER INSERT ON test FOR EACH ROW EXECUTE FUNCTION announce_test();
CREATE TRIGGER test_changed AFTER UPDATE ON test FOR EACH ROW
  WHEN (NEW.status <> OLD.status OR NEW.sample_count <> OLD.sample_count OR NEW.source <> OLD.source)
  EXECUTE FUNCTION announce_test();
