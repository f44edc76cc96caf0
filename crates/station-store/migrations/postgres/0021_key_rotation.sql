-- The key that the store was sealed under before `key_id`, while values may be left that still are.
alter table store add column old_key_id text;

-- Ids of the keys that a worker has, with a space between them; null where an older Station said that it is there.
alter table instances add column keys text;
