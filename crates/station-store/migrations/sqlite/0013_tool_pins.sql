-- The tools that an environment's lock file pins. No hash of a file: no lock, and nothing is held.

alter table environments add column lock_hash text;

create table tool_pins (
  environment_id integer not null constraint tool_pins_environment_fk references environments (id),
  server text not null,
  tool text not null,
  hash text not null,
  constraint tool_pins_pk primary key (environment_id, server, tool)
) without rowid;

create trigger tool_pins_insert_counts after insert on tool_pins begin update store set generation = generation + 1; end;
create trigger tool_pins_update_counts after update on tool_pins begin update store set generation = generation + 1; end;
create trigger tool_pins_delete_counts after delete on tool_pins begin update store set generation = generation + 1; end;
