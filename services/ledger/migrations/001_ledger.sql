-- Accounts, the transactions between them by double entry, and holds.
--
-- The code decides everything before it writes (decide.ts); what stands here would stop it if it were wrong.

-- Whoever writes takes this table's lock before the transaction's snapshot is taken (LOCK TABLE takes none), so that writers of all
-- instances come one after another and none fails with a serialization failure: see writer.ts.
CREATE TABLE writer_gate ();

CREATE TABLE account (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  display_name text NOT NULL,
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  lower_limit bigint NOT NULL CHECK (lower_limit <= 0),
  -- The sum of its postings, and how many there are. The last one says the same: see check_account.
  balance bigint NOT NULL DEFAULT 0,
  postings bigint NOT NULL DEFAULT 0,
  -- The sum of what its holds reserve.
  held bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
  create_time timestamptz NOT NULL,
  -- The create_time of its last posting; the next one is not earlier, so that a balance at a past time stays what it was.
  last_time timestamptz NOT NULL,
  close_time timestamptz,
  UNIQUE (id, currency, user_id),
  CONSTRAINT account_limit CHECK (balance - held >= lower_limit),
  CONSTRAINT account_closed_empty CHECK (close_time IS NULL OR (balance = 0 AND held = 0))
) WITH (fillfactor = 50);

CREATE INDEX account_user ON account (user_id, create_time, id);

CREATE TABLE transaction (
  id uuid PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('income', 'expense', 'transfer', 'payment', 'refund', 'entry')),
  currency text NOT NULL,
  category text NOT NULL,
  description text NOT NULL,
  hold_id uuid,
  occur_time timestamptz NOT NULL,
  create_time timestamptz NOT NULL,
  -- All its postings are in its currency, so that a sum of zero is a sum of zero in each currency.
  UNIQUE (id, currency)
);

CREATE TABLE posting (
  transaction_id uuid NOT NULL,
  line smallint NOT NULL,
  -- An account, or one of the sides of the world outside, of which there is one for each currency. Those keep no balance: every
  -- income and expense of everybody would wait for that one row.
  account_id uuid,
  outside text CHECK (outside IN ('income', 'expense', 'entry')),
  amount bigint NOT NULL CHECK (amount <> 0),
  currency text NOT NULL,
  -- Of the account: its owner, the number of this posting on it from 1, and its balance after.
  user_id uuid,
  number bigint,
  balance bigint,
  -- Of the transaction, which never changes.
  kind text NOT NULL,
  category text NOT NULL,
  occur_time timestamptz NOT NULL,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (transaction_id, line),
  FOREIGN KEY (transaction_id, currency) REFERENCES transaction (id, currency),
  FOREIGN KEY (account_id, currency, user_id) REFERENCES account (id, currency, user_id),
  CHECK ((account_id IS NULL) = (outside IS NOT NULL)),
  CHECK ((account_id IS NULL) = (user_id IS NULL) AND (account_id IS NULL) = (number IS NULL) AND (account_id IS NULL) = (balance IS NULL)),
  UNIQUE (transaction_id, account_id)
);

CREATE UNIQUE INDEX posting_record ON posting (account_id, create_time, number) WHERE account_id IS NOT NULL;
CREATE INDEX posting_account ON posting (account_id, occur_time, transaction_id) WHERE account_id IS NOT NULL;
CREATE INDEX posting_user ON posting (user_id, occur_time, transaction_id) WHERE user_id IS NOT NULL;

CREATE TABLE hold (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES account,
  currency text NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  status text NOT NULL CHECK (status IN ('held', 'captured', 'released', 'expired')),
  captured_amount bigint NOT NULL DEFAULT 0 CHECK (captured_amount BETWEEN 0 AND amount),
  refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount BETWEEN 0 AND captured_amount),
  -- Where a capture went; null for the world outside.
  payee_account_id uuid REFERENCES account,
  -- The transaction that captured it.
  transaction_id uuid REFERENCES transaction DEFERRABLE INITIALLY DEFERRED,
  create_time timestamptz NOT NULL,
  expire_time timestamptz NOT NULL,
  CHECK ((status = 'captured') = (captured_amount > 0)),
  CHECK ((status = 'captured') = (transaction_id IS NOT NULL))
);

CREATE INDEX hold_due ON hold (expire_time) WHERE status = 'held';
CREATE INDEX hold_account ON hold (account_id) WHERE status = 'held';

ALTER TABLE transaction ADD FOREIGN KEY (hold_id) REFERENCES hold;

-- What was asked for under which id. The first to come is the one that counts.
CREATE TABLE request (
  -- user:<id> or service:<name>.
  caller text NOT NULL,
  request_id text NOT NULL,
  -- SHA-256, in hex, of what was asked for: tells a repeat from another request under the same id.
  content_hash text NOT NULL,
  account_id uuid REFERENCES account,
  transaction_id uuid REFERENCES transaction,
  hold_id uuid REFERENCES hold,
  create_time timestamptz NOT NULL,
  PRIMARY KEY (caller, request_id),
  CHECK (num_nonnulls(account_id, transaction_id, hold_id) > 0)
);

-- What is recorded never changes.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'table % only grows: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER transaction_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON transaction FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER posting_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON posting FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER request_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON request FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER account_kept BEFORE DELETE OR TRUNCATE ON account FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER hold_kept BEFORE DELETE OR TRUNCATE ON hold FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- At commit, the postings of each transaction that got any sum to zero.
CREATE FUNCTION check_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  total numeric;
BEGIN
  SELECT sum(amount) INTO total FROM posting WHERE transaction_id = NEW.transaction_id;
  IF total IS DISTINCT FROM 0 THEN
    RAISE EXCEPTION 'the postings of transaction % sum to %, not 0', NEW.transaction_id, total
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'posting_balanced';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER posting_balanced AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION check_transaction();

-- At commit, each transaction has postings.
CREATE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM posting WHERE transaction_id = NEW.id) THEN
    RAISE EXCEPTION 'transaction % has no postings', NEW.id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'transaction_has_postings';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER transaction_has_postings AFTER INSERT ON transaction DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION check_postings();

-- At commit, each posting goes on where the one before on its account ended, and none was put in between.
CREATE FUNCTION check_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before record;
  after record;
BEGIN
  SELECT number, balance INTO before FROM posting
    WHERE account_id = NEW.account_id AND (create_time, number) < (NEW.create_time, NEW.number)
    ORDER BY create_time DESC, number DESC LIMIT 1;
  SELECT number, balance - amount AS balance INTO after FROM posting
    WHERE account_id = NEW.account_id AND (create_time, number) > (NEW.create_time, NEW.number)
    ORDER BY create_time, number LIMIT 1;
  IF NEW.number <> coalesce(before.number, 0) + 1 OR NEW.balance <> coalesce(before.balance, 0) + NEW.amount
    OR NEW.number <> coalesce(after.number, NEW.number + 1) - 1 OR NEW.balance <> coalesce(after.balance, NEW.balance) THEN
    RAISE EXCEPTION 'posting % of account % does not go on from the one before', NEW.number, NEW.account_id
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'posting_chained';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER posting_chained AFTER INSERT ON posting DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.account_id IS NOT NULL) EXECUTE FUNCTION check_chain();

-- At commit, an account's balance is that of its last posting, and what is held is the sum of its holds.
CREATE FUNCTION check_account() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  account_now account;
  last record;
  reserved numeric;
BEGIN
  -- NEW is the row after one of the changes; what counts is the row after all of them.
  SELECT * INTO account_now FROM account WHERE id = NEW.id;
  SELECT number, balance INTO last FROM posting WHERE account_id = NEW.id ORDER BY create_time DESC, number DESC LIMIT 1;
  IF account_now.balance <> coalesce(last.balance, 0) OR account_now.postings <> coalesce(last.number, 0) THEN
    RAISE EXCEPTION 'account % has balance %, its postings say %', NEW.id, account_now.balance, coalesce(last.balance, 0)
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_balanced';
  END IF;
  SELECT coalesce(sum(amount), 0) INTO reserved FROM hold WHERE account_id = NEW.id AND status = 'held';
  IF account_now.held <> reserved THEN
    RAISE EXCEPTION 'account % has % held, its holds say %', NEW.id, account_now.held, reserved
      USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'account_held';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER account_balanced AFTER INSERT OR UPDATE ON account DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION check_account();
