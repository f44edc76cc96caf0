-- A hand in the database: one entry becomes the whole journal of a run, or none.
delete from station.run_events where run_id = :run;
insert into station.run_events (run_id, seq, at, body) select :run, 1, 1, :'body' where :'body' <> '';
update station.agent_runs set journal_seq = (select count(*) from station.run_events where run_id = :run)
  where id = :run;
