// Creating and dropping indexes. Source:
// https://www.mongodb.com/docs/manual/reference/command/createIndexes/ ; texts seen on 6.0.5.
#pragma once

#include <vector>

#include "commands/local/catalog.h"
#include "commands/local/local_database.h"

namespace millrace::commands {

// A client's index specification, checked, as it is kept: {v: 2, key, name, <options>}.
// Errors: 9, 67 CannotCreateIndex, 197 InvalidIndexSpecificationOption, 238 for what Millrace does
// not have.
engine::Result<engine::Document> normal_index_spec(const engine::Value& spec);

struct IndexBuildResult {
  size_t before = 0;
  size_t after = 0;
  bool created_collection = false;
};
// All of them or none. Errors: 85, 86, 11000 (with `details`), 171, 166.
engine::Result<IndexBuildResult> create_indexes(LocalDatabase& local, std::string_view database,
                                                std::string_view name,
                                                const std::vector<engine::Document>& specs,
                                                engine::Document* details);

// Makes the entries of all indexes anew if the store has lost them (storage::index_entries_lost).
// Call it before anything else uses the database. A crash on the way repeats it at the next start.
engine::Status rebuild_lost_indexes(LocalDatabase& local);

// `which`: a name, "*", a key, or an array of names. Returns how many there were.
engine::Result<size_t> drop_indexes(LocalDatabase& local, std::string_view database,
                                    std::string_view name, const engine::Value& which);

}  // namespace millrace::commands
