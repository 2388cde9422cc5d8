// The update and delete commands' work, and findAndModify's.
// Source: https://www.mongodb.com/docs/manual/reference/command/update/, …/delete/,
// …/findAndModify/
#pragma once

#include <optional>
#include <vector>

#include "commands/local/statement_run.h"
#include "commands/local/update.h"

namespace millrace::commands {

struct UpdateStatement {
  UpdateSpec spec;
  engine::Value hint;
  engine::Value sort;  // which of those that match, when not all; missing: the first found
  bool multi = false;
  bool upsert = false;
  // What an upsert inserts is the document `new` of the constants, as the $merge of a server sends
  // it: the update is only for what is there.
  bool upsert_supplied = false;
};
struct DeleteStatement {
  engine::Value query;
  engine::Value hint;
  bool only_one = false;
};

// The statements' values must outlive the call.
engine::Result<WriteResult> update_documents(LocalDatabase& local, std::string_view database,
                                             std::string_view name,
                                             const std::vector<UpdateStatement>& statements,
                                             const WriteOptions& options);
engine::Result<WriteResult> delete_documents(LocalDatabase& local, std::string_view database,
                                             std::string_view name,
                                             const std::vector<DeleteStatement>& statements,
                                             const engine::Value& let, const WriteOptions& options);

struct FindAndModifySpec {
  engine::Value query;
  engine::Value sort;  // missing: the first that is found
  engine::Value hint;
  engine::Value let;
  engine::Value update;  // missing: remove
  engine::Value array_filters;
  bool upsert = false;
};
struct FindAndModifyResult {
  std::optional<engine::Document> before;  // as it was; nothing when none was found
  std::optional<engine::Document> after;   // as it is; nothing when it was removed
  bool upserted = false;
};
// Errors: everything that goes wrong, a duplicate key (with `details`) too.
engine::Result<FindAndModifyResult> find_and_modify(LocalDatabase& local, std::string_view database,
                                                    std::string_view name,
                                                    const FindAndModifySpec& spec,
                                                    const WriteOptions& options,
                                                    engine::Document* details);

}  // namespace millrace::commands
