-- The tools that an environment's lock file pins. No hash of a file: no lock, and nothing is held.

alter table environments add column lock_hash text;

create table tool_pins (
  environment_id bigint not null constraint tool_pins_environment_fk references environments (id),
  server text not null,
  tool text not null,
  hash text not null,
  constraint tool_pins_pk primary key (environment_id, server, tool)
);

create trigger tool_pins_counts after insert or update or delete on tool_pins
  for each statement execute function raise_generation();
