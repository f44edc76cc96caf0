-- Makes a store one of another schema, as far as it says: `version` is its number.
update station.store set version = :version;
