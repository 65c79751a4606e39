/** Passwords that are shown again; what else an instance carries for its owner and its operator; rebuilding. */
export const name = '0012-credentials'

export const sql = `
-- What somebody needs to log in to what runs inside an instance, sealed with the master key. It is told, not enforced:
-- the guest knows nothing of later changes here.
CREATE TABLE credential (
  instance_id text NOT NULL REFERENCES instance,
  type text NOT NULL CHECK (type IN ('operating_system', 'control_panel')),
  username text NOT NULL,
  password_sealed bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT cloud_now(),
  updated_at timestamptz NOT NULL DEFAULT cloud_now(),
  PRIMARY KEY (instance_id, type, username)
);

ALTER TABLE instance
  ADD COLUMN reference text,                        -- the owner's own note
  ADD COLUMN can_snapshot boolean NOT NULL DEFAULT true,
  ADD COLUMN rebuild_image_id text REFERENCES image; -- what it is being installed anew from
`
