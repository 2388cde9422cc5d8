// What the write commands share: reading `ordered` and their statements, writing n and writeErrors.
#pragma once

#include "commands/command.h"
#include "commands/local/statement_run.h"

namespace millrace::commands {

engine::Result<WriteOptions> read_write_options(const Request& request);
// The statements' array. Errors: 40414, 14, 16 for none or more than 100000.
engine::Result<engine::Value> read_statements(const Request& request, std::string_view field);
// 14 when an element is no object; 40415 for a field that is not known.
engine::Status check_statement(std::string_view context, engine::Value statement,
                               std::initializer_list<std::string_view> known);
// writeErrors, only when there are any: an empty array breaks drivers (clients-wire.md rule 6).
void append_write_errors(const WriteResult& result, engine::BsonWriter& reply);

}  // namespace millrace::commands
