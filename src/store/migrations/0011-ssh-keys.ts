/** Stored SSH keys; what every dialect calls a thing of the catalogue; whether an instance wants automatic backups. */
export const name = '0011-ssh-keys'

export const sql = `
CREATE TABLE ssh_key (
  id text PRIMARY KEY,
  uuid uuid NOT NULL UNIQUE,
  number bigint GENERATED ALWAYS AS IDENTITY (START WITH 10001) UNIQUE,
  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,
  name text NOT NULL,
  public_key text NOT NULL,                         -- one line, as in authorized_keys
  fingerprint text NOT NULL,                        -- SHA256:… as ssh-keygen -l prints it
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  CONSTRAINT ssh_key_name UNIQUE (account_id, name),
  CONSTRAINT ssh_key_fingerprint UNIQUE (account_id, fingerprint)
);

-- What each dialect calls it: {"<dialect>": "word"}.
ALTER TABLE region ADD COLUMN names jsonb NOT NULL DEFAULT '{}';
ALTER TABLE plan ADD COLUMN names jsonb NOT NULL DEFAULT '{}';
ALTER TABLE image ADD COLUMN names jsonb NOT NULL DEFAULT '{}';

ALTER TABLE instance ADD COLUMN backups_enabled boolean NOT NULL DEFAULT false;
`
