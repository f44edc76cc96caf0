-- Retention: which runs need which bodies, so that a body goes with the last run that needs it.

create table run_blobs (
  run_id bigint not null constraint run_blobs_run_fk references agent_runs (id),
  hash text not null constraint run_blobs_blob_fk references blobs (hash),
  constraint run_blobs_pk primary key (run_id, hash)
);

create index run_blobs_hash on run_blobs (hash);

-- What runs have named until now: their inputs. By patterns, because PostgreSQL reads no JSON that has U+0000 in it.
insert into run_blobs (run_id, hash)
  select e.run_id, b.hash from run_events e
  cross join lateral unnest(array['system', 'tools', 'settings', 'output_schema']) as field (name)
  join blobs b on b.hash = substring(e.body from '"' || field.name || '":"([0-9a-f]{64})"')
  where e.body like '{"event":"run\_started"%'
  on conflict do nothing;

-- Trees of runs that are over, the oldest end first.
create index agent_runs_ended on agent_runs (ended_at, id) where parent_id is null and ended_at is not null;
