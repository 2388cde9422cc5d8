// The find and aggregate commands as read from their documents: find, aggregate and explain need
// the same.
#pragma once

#include <memory>
#include <string>

#include "commands/command.h"
#include "commands/cursor_reply.h"
#include "commands/local/aggregate.h"
#include "commands/local/find.h"

namespace millrace::commands {

struct FindCommand {
  std::string ns;
  std::string collection;
  FindSpec spec;
  CursorOptions cursor;
};
// `request.body` is the find command (inside explain: with the outer command's fields beside).
// Errors: 40415, 14, 2, 9, 51024, 73.
engine::Result<FindCommand> read_find(const Request& request, std::string_view name);
// Reads the collection, or the view's pipeline with the find's parts behind it.
engine::Result<std::unique_ptr<DocumentStream>> open_find(LocalDatabase& local,
                                                          std::string_view database,
                                                          FindCommand& find);

struct AggregateCommand {
  std::string ns;
  std::string collection;  // empty: {aggregate: 1}
  AggregateSpec spec;
  CursorOptions cursor;
  bool explain = false;
};
engine::Result<AggregateCommand> read_aggregate(const Request& request);

}  // namespace millrace::commands
