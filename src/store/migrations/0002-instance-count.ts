/**
 * How many instances an account has, kept by the rows themselves: counting 25,000 of them for the `total` of a page costs
 * several times the page. Whoever makes or deletes instances of one account waits for the other's commit here, as they
 * do for the address pool anyway.
 */
export const name = '0002-instance-count'

export const sql = `
CREATE TABLE instance_count (
  account_id text PRIMARY KEY REFERENCES account ON DELETE CASCADE,
  instances bigint NOT NULL                         -- for which no deletion was requested
);

CREATE FUNCTION count_instance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' AND OLD.delete_requested_at IS NULL THEN
    UPDATE instance_count SET instances = instances - 1 WHERE account_id = OLD.account_id;
  END IF;
  IF TG_OP <> 'DELETE' AND NEW.delete_requested_at IS NULL THEN
    INSERT INTO instance_count VALUES (NEW.account_id, 1)
      ON CONFLICT (account_id) DO UPDATE SET instances = instance_count.instances + 1;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER instance_counted AFTER INSERT OR DELETE ON instance FOR EACH ROW EXECUTE FUNCTION count_instance();
CREATE TRIGGER instance_recounted AFTER UPDATE OF delete_requested_at, account_id ON instance FOR EACH ROW
  WHEN ((OLD.delete_requested_at IS NULL, OLD.account_id) IS DISTINCT FROM (NEW.delete_requested_at IS NULL, NEW.account_id))
  EXECUTE FUNCTION count_instance();

INSERT INTO instance_count
  SELECT account_id, count(*) FROM instance WHERE delete_requested_at IS NULL GROUP BY account_id;
`
