/**
 * Holds a strand at its steps without a hook in the product: a trigger of the database waits for a lock that the test
 * holds, inside the transaction that brings the strand to a step. What leads there is done by then, and not yet
 * written; once it is let through the step begins.
 */
import pg from 'pg'
import type { Db } from '../../../src/store/db.ts'
import { execute } from '../../../src/store/db.ts'
import { eventually } from '../../eventually.ts'

/** `kind` is a strand's, or a table's whose rows are written; `step` a strand's, `gone` for its end, or an event. */
export interface Place {
  kind: string
  step: string
}

export interface Gate {
  /** From now on the first who comes to such a place waits there. */
  close(places: readonly Place[]): Promise<void>
  /** The number of a place where somebody waits; null once `isOver` says that nobody will. */
  nextWaiting(isOver: () => Promise<boolean>): Promise<number | null>
  /** Who waits there goes on, and nobody else will wait there. */
  letThrough(place: number): Promise<void>
  /** Nobody will wait anywhere. */
  open(): Promise<void>
}

const KEY = 0x67617465 // "gate"
const WAIT_MS = 300_000

const INSTALL = `
  CREATE TABLE test_gate (place int PRIMARY KEY, kind text NOT NULL, step text NOT NULL);
  CREATE FUNCTION test_gate_wait(whose text, where_to text) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock_shared(${KEY}, place) FROM test_gate WHERE kind = whose AND step = where_to
  $$;
  CREATE FUNCTION test_gate_of_strands() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' THEN
      PERFORM test_gate_wait(OLD.kind, 'gone');
      RETURN OLD;
    END IF;
    IF TG_OP = 'INSERT' OR OLD.step <> NEW.step THEN PERFORM test_gate_wait(NEW.kind, NEW.step); END IF;
    RETURN NEW;
  END $$;
  CREATE FUNCTION test_gate_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM test_gate_wait(TG_TABLE_NAME, TG_OP);
    RETURN coalesce(NEW, OLD);
  END $$;
  CREATE TRIGGER test_gate BEFORE INSERT OR UPDATE OR DELETE ON strand
    FOR EACH ROW EXECUTE FUNCTION test_gate_of_strands();
  CREATE TRIGGER test_gate BEFORE UPDATE OR DELETE ON backup_chunk FOR EACH ROW EXECUTE FUNCTION test_gate_of_rows();
  CREATE TRIGGER test_gate BEFORE DELETE ON blob FOR EACH ROW EXECUTE FUNCTION test_gate_of_rows();`

export async function installGate(db: Db, url: string): Promise<Gate> {
  await execute(db, INSTALL)
  let holder: pg.Client | null = null
  let closed = new Set<number>()

  /** The connection whose locks close the gate. The database is one of those that are killed, and its locks die with it. */
  async function hold(): Promise<pg.Client> {
    if (holder) return holder
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    client.on('end', () => {
      if (holder === client) holder = null
    })
    await client.connect()
    for (const place of closed) await client.query('SELECT pg_advisory_lock($1, $2)', [KEY, place])
    holder = client
    return client
  }
  const ask = async <T extends object>(text: string, values: unknown[]): Promise<T[]> =>
    (await (await hold()).query<T>(text, values)).rows
  const patiently = (what: string, act: () => Promise<unknown>) =>
    eventually(
      what,
      () =>
        act().then(
          () => true,
          () => false,
        ),
      WAIT_MS,
    )

  async function open(): Promise<void> {
    closed = new Set()
    await patiently('the gate is open', async () => {
      await ask('DELETE FROM test_gate', [])
      await ask('SELECT pg_advisory_unlock_all()', [])
    })
  }
  return {
    open,
    async close(places) {
      await open()
      closed = new Set(places.keys())
      await holder?.end()
      holder = null
      for (const [place, { kind, step }] of places.entries()) {
        await ask('INSERT INTO test_gate VALUES ($1, $2, $3)', [place, kind, step])
      }
    },
    async nextWaiting(isOver) {
      const found = await eventually(
        'somebody comes to a place, or the work is over',
        async () => {
          const waiting = await ask<{ place: number }>(
            "SELECT objid::int AS place FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND NOT granted",
            [KEY],
          ).catch(() => [])
          if (waiting[0]) return waiting[0]
          return (await isOver()) && { place: null }
        },
        WAIT_MS,
      )
      return found.place
    },
    async letThrough(place) {
      closed.delete(place)
      await patiently('the place is open', async () => {
        await ask('DELETE FROM test_gate WHERE place = $1', [place])
        await ask('SELECT pg_advisory_unlock($1, $2)', [KEY, place])
      })
    },
  }
}
