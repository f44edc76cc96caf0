-- The text of the lock of an environment that lives in the store alone: others have it in their folder, and here its hash alone.

alter table environments add column lock_source text;
