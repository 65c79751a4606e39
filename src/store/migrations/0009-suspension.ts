/**
 * A suspended account is served nothing, and from then on: its buckets carry the fact, so that who acts on a bucket that
 * it remembers learns of it by the revision, and whoever remembers its API keys is told.
 */
export const name = '0009-suspension'

/** As in api-keys.ts. */
const KEY_CHANNEL = 'havn_key'

export const sql = `
ALTER TABLE bucket ADD COLUMN is_suspended boolean NOT NULL DEFAULT false;
UPDATE bucket b SET is_suspended = true, revision = revision + 1
  FROM account a WHERE a.id = b.account_id AND a.suspended_reason IS NOT NULL;

CREATE FUNCTION account_suspended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE bucket SET is_suspended = NEW.suspended_reason IS NOT NULL, revision = revision + 1
    WHERE account_id = NEW.id;
  PERFORM pg_notify('${KEY_CHANNEL}', key_id) FROM api_key WHERE account_id = NEW.id AND revoked_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER account_suspended AFTER UPDATE OF suspended_reason ON account FOR EACH ROW
  WHEN ((OLD.suspended_reason IS NULL) IS DISTINCT FROM (NEW.suspended_reason IS NULL))
  EXECUTE FUNCTION account_suspended();
`
