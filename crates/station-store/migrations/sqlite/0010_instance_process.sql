-- The process of a worker: on its own host a command sees that it is gone before its row is old. Null where an older
-- Station wrote the row.
alter table instances add column pid integer;
alter table instances add column pid_start integer;
