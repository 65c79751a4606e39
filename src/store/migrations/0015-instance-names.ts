/**
 * Instances are looked for by name and host name too: by the command line, and by everybody whose word is no id. The
 * account comes second, because an operator's word is looked for in all of them.
 */
export const name = '0015-instance-names'

export const sql = `
CREATE INDEX instance_name ON instance (name, account_id) WHERE delete_requested_at IS NULL;
CREATE INDEX instance_hostname ON instance (hostname, account_id) WHERE delete_requested_at IS NULL;
`
