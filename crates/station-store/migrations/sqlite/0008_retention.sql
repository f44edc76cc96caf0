-- Retention: which runs need which bodies, so that a body goes with the last run that needs it.

create table run_blobs (
  run_id integer not null constraint run_blobs_run_fk references agent_runs (id),
  hash text not null constraint run_blobs_blob_fk references blobs (hash),
  constraint run_blobs_pk primary key (run_id, hash)
) strict, without rowid;

create index run_blobs_hash on run_blobs (hash);

-- What runs have named until now: their inputs.
insert or ignore into run_blobs (run_id, hash)
  select e.run_id, b.hash from run_events e join blobs b on b.hash in (
    json_extract(e.body, '$.system'), json_extract(e.body, '$.tools'),
    json_extract(e.body, '$.settings'), json_extract(e.body, '$.output_schema'))
  where e.body like '{"event":"run_started"%';

-- Trees of runs that are over, the oldest end first.
create index agent_runs_ended on agent_runs (ended_at, id) where parent_id is null and ended_at is not null;
