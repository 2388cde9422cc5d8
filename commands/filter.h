// The `filter` of the list commands: an ordinary query over the entries shown.
#pragma once

#include <memory>

#include "engine/document/status.h"
#include "engine/document/value.h"

namespace millrace::commands {

class Filter {
 public:
  // An absent or null filter (mongosh sends null for undefined) matches everything. Errors: 14 when
  // it is no object, the query's own.
  static engine::Result<Filter> parse(const engine::Value& query);
  Filter(Filter&&) noexcept;
  ~Filter();
  engine::Result<bool> matches(const engine::Value& entry);

 private:
  struct Compiled;
  Filter();
  std::unique_ptr<Compiled> compiled_;  // null: matches everything
};

}  // namespace millrace::commands
