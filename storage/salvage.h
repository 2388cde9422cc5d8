// Makes a new database file out of the sound records of a damaged one, and puts it in its place.
#pragma once

#include <memory>
#include <vector>

#include "storage/data_directory.h"
#include "storage/lmdb_store.h"
#include "storage/store.h"

namespace millrace::storage {

// An empty environment under files.new_database(), anything of that name removed.
Result<std::unique_ptr<LmdbEnvironment>> make_new_environment(const DataFiles& files,
                                                              const OpenOptions& options);
// Gives it the name of the database, in place of what has it. Requires: it is synced and closed.
Status adopt_new_environment(const DataFiles& files, const OpenOptions& options);

// Keeps the damaged file as millrace.mdb.damaged-<milliseconds since 1970>. Fills `damage` with
// what was found and where that file is. Statistics of collections are counted anew, so that they
// fit the documents that are left. Errors leave the damaged file in place. `state`: as the last
// server left it; empty if not known.
Status salvage(const DataFiles& files, const OpenOptions& options, const Identity& identity,
               const ShutdownState& state, std::vector<Damage>& damage);

}  // namespace millrace::storage
