/** The root password of an installation to come, until it is one. */
export const name = '0014-rebuild-password'

export const sql = `
-- Sealed; it becomes a credential when the disk that has it takes the place of the old one. Until then the old one holds.
ALTER TABLE instance ADD COLUMN rebuild_password_sealed bytea;
`
