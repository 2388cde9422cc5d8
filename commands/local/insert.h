// Inserting documents. Source: https://www.mongodb.com/docs/manual/reference/command/insert/
#pragma once

#include "commands/local/statement_run.h"

namespace millrace::commands {

// Creates the collection when it does not exist. `documents`: an array of objects. A document
// without _id gets one, and _id goes first.
engine::Result<WriteResult> insert_documents(LocalDatabase& local, std::string_view database,
                                             std::string_view name, const engine::Value& documents,
                                             const WriteOptions& options);

// The bytes of `document` as it is stored: with _id, first; empty timestamps at the top set by
// `stamp`, which may be nullptr. Errors: 53 InvalidIdField, 52, 10334.
engine::Result<std::string_view> stored_form(const engine::Value& document,
                                             engine::BsonWriter& writer,
                                             const engine::Clock* stamp);

}  // namespace millrace::commands
