CREATE TABLE service (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE
);

-- The ascending upper bounds of a histogram's buckets, but for the last, which has none.
CREATE TABLE layout (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bounds double precision[] NOT NULL UNIQUE
);

-- The calls of a method with one layout.
CREATE TABLE series (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service_id bigint NOT NULL REFERENCES service,
  method text NOT NULL,
  layout_id bigint NOT NULL REFERENCES layout,
  UNIQUE (service_id, method, layout_id)
);

CREATE TABLE measure (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  service_id bigint NOT NULL REFERENCES service,
  name text NOT NULL,
  kind text NOT NULL CHECK (kind IN ('counter', 'gauge')),
  UNIQUE (service_id, name, kind)
);

-- level: 0 as collected, else the seconds of a window (60, 3600) that was added up from the level below.
CREATE TABLE calls (
  level integer NOT NULL,
  at timestamptz NOT NULL,
  series_id bigint NOT NULL REFERENCES series,
  -- Seconds of all calls together.
  sum double precision NOT NULL,
  outcomes text[] NOT NULL,
  outcome_calls bigint[] NOT NULL,
  -- Places in the layout with anything in them, from 0, and how many calls lie there.
  buckets integer[] NOT NULL,
  bucket_calls bigint[] NOT NULL,
  PRIMARY KEY (series_id, level, at)
);
CREATE INDEX calls_age ON calls (level, at);

CREATE TABLE presence (
  level integer NOT NULL,
  at timestamptz NOT NULL,
  service_id bigint NOT NULL REFERENCES service,
  -- For how long the service was collected, in seconds, and the instances that answered, times those seconds.
  seconds double precision NOT NULL,
  up_seconds double precision NOT NULL,
  -- Counters that grew and gauges. Of a counter `total` is what it grew by; of a gauge the sum of all series times the seconds.
  measures bigint[] NOT NULL,
  totals double precision[] NOT NULL,
  maxima double precision[] NOT NULL,
  PRIMARY KEY (service_id, level, at)
);
CREATE INDEX presence_age ON presence (level, at);

-- Up to when each level is written.
CREATE TABLE progress (
  level integer PRIMARY KEY,
  until timestamptz NOT NULL
);

-- The one process that writes; another takes its place when it is not heard of until then.
CREATE TABLE writer (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  holder uuid NOT NULL,
  until timestamptz NOT NULL
);
