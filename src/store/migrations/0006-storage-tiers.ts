/** What storage costs, and that keys made before there was any may use it. */
export const name = '0006-storage-tiers'

export const sql = `
CREATE TABLE storage_tier (
  id text PRIMARY KEY,
  position int NOT NULL,
  name text NOT NULL,
  description text NOT NULL,
  price_gib_month_minor int NOT NULL,
  currency text NOT NULL,
  retired boolean NOT NULL DEFAULT false
);

-- A key that might do all that its account may goes on doing so. A storage key that was made to read only looks like
-- any other of its time, so it gets no more than that.
UPDATE api_key SET scopes = scopes || '{storage:read}'
  WHERE (service = 'storage' OR service IN ('api', 'pat') AND 'instances:read' = ANY (scopes))
    AND 'account:read' = ANY (scopes);
UPDATE api_key SET scopes = scopes || '{storage:write}'
  WHERE service IN ('api', 'pat') AND scopes @> '{instances:write,account:write}';
`
