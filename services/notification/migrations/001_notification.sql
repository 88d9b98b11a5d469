CREATE TABLE notification (
  id uuid PRIMARY KEY,
  -- Who asked for it (`user:<id>` or `service:<name>`): a request_id is unique per caller.
  caller text NOT NULL,
  request_id uuid,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  user_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel IN ('email', 'sms', 'push', 'webhook')),
  recipient text NOT NULL,
  subject text NOT NULL,
  body text NOT NULL,
  -- Subject and body with secret values hidden; null where nothing is hidden.
  shown_subject text,
  shown_body text,
  template text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent', 'failed')),
  failure_reason text NOT NULL DEFAULT '',
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  send_time timestamptz,
  next_attempt_time timestamptz,
  -- How many attempts have begun, and when the last of them did.
  attempts integer NOT NULL DEFAULT 0,
  attempt_time timestamptz,
  -- The sender that is at it now; its claim ends at lease_until, for the case that it died.
  lease_id uuid,
  lease_until timestamptz,
  UNIQUE (caller, request_id),
  CHECK ((status = 'pending') = (next_attempt_time IS NOT NULL)),
  CHECK ((status = 'sent') = (send_time IS NOT NULL)),
  CHECK ((lease_id IS NULL) = (lease_until IS NULL))
);

CREATE INDEX notification_due ON notification (channel, next_attempt_time) WHERE status = 'pending';
CREATE INDEX notification_history ON notification (user_id, create_time DESC, id DESC);

CREATE TABLE attempt (
  notification_id uuid NOT NULL REFERENCES notification ON DELETE CASCADE,
  number integer NOT NULL,
  time timestamptz NOT NULL,
  success boolean NOT NULL,
  detail text NOT NULL,
  PRIMARY KEY (notification_id, number)
);

-- Every change that users can see is announced in its own transaction: it wakes the senders and feeds the watchers of all
-- instances. The payload carries what changes, so that a watcher sees each state even when the next one has come already; texts stay
-- out of it, since a payload is limited to 8,000 bytes.
CREATE FUNCTION announce_notification() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('notification_changed', json_build_object(
    'id', NEW.id,
    'userId', NEW.user_id,
    'channel', NEW.channel,
    'status', NEW.status,
    'failureReason', NEW.failure_reason,
    'sendTime', floor(extract(epoch FROM NEW.send_time) * 1000),
    'nextAttemptTime', floor(extract(epoch FROM NEW.next_attempt_time) * 1000),
    'attempts', NEW.attempts - CASE WHEN NEW.lease_id IS NULL THEN 0 ELSE 1 END
  )::text);
  RETURN NULL;
END
$$;

CREATE TRIGGER notification_stored AFTER INSERT ON notification FOR EACH ROW EXECUTE FUNCTION announce_notification();
-- The start of an attempt is no visible change; its end is, and so is the loss of one.
CREATE TRIGGER notification_changed AFTER UPDATE ON notification FOR EACH ROW
  WHEN (NEW.lease_id IS NULL OR OLD.lease_id IS NOT NULL) EXECUTE FUNCTION announce_notification();

CREATE TABLE template (
  -- Sorted by its bytes, in every locale alike.
  name text COLLATE "C" PRIMARY KEY,
  subject text NOT NULL,
  body text NOT NULL,
  secret_values text[] NOT NULL,
  create_time timestamptz NOT NULL,
  update_time timestamptz NOT NULL,
  caller text,
  request_id uuid,
  content_hash text,
  UNIQUE (caller, request_id)
);

-- The first text of the templates that come with the service.
CREATE TABLE built_in_template (
  name text COLLATE "C" PRIMARY KEY,
  subject text NOT NULL,
  body text NOT NULL,
  secret_values text[] NOT NULL
);

INSERT INTO built_in_template (name, subject, body, secret_values) VALUES
  ('verify-email', 'Confirm your email address', E'Hello {{name}},\n\nplease confirm your email address by opening this link:\n\n{{link}}\n\nor by entering this code:\n\n{{token}}\n\nIf you did not register, ignore this message.\n', '{link,token}'),
  ('welcome', 'Welcome, {{name}}', E'Hello {{name}},\n\nyour account is ready.\n', '{}'),
  ('password-changed', 'Your password was changed', E'Hello {{name}},\n\nthe password of your account was changed. If it was not you, reset it at once and end your other sessions.\n', '{}');

INSERT INTO template (name, subject, body, secret_values, create_time, update_time)
  SELECT name, subject, body, secret_values, now(), now() FROM built_in_template;

CREATE TABLE push_subscription (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  endpoint text NOT NULL UNIQUE,
  p256dh text NOT NULL,
  auth text NOT NULL,
  create_time timestamptz NOT NULL
);

CREATE INDEX push_subscription_user ON push_subscription (user_id, create_time);

-- Which browsers have taken a notification: a later attempt leaves them out.
CREATE TABLE push_delivery (
  notification_id uuid NOT NULL REFERENCES notification ON DELETE CASCADE,
  subscription_id uuid NOT NULL,
  PRIMARY KEY (notification_id, subscription_id)
);

-- Keys that the service made for itself: all its instances use the same.
CREATE TABLE secret (
  name text PRIMARY KEY,
  value text NOT NULL
);
