#include "commands/write_reply.h"

#include <algorithm>

#include "commands/arguments.h"
#include "commands/services.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

Result<WriteOptions> read_write_options(const Request& request) {
  WriteOptions options;
  Arguments arguments(request.name, request.body);
  MR_ASSIGN_OR_RETURN(options.ordered, arguments.boolean("ordered", true));
  MR_ASSIGN_OR_RETURN(options.bypass_validation,
                      arguments.boolean("bypassDocumentValidation", false));
  MR_ASSIGN_OR_RETURN(options.keep_empty_timestamps,
                      arguments.boolean("bypassEmptyTsReplacement", false));
  return options;
}

Result<Value> read_statements(const Request& request, std::string_view field) {
  Arguments arguments(request.name, request.body);
  MR_RETURN_IF_ERROR(arguments.require(field));
  MR_ASSIGN_OR_RETURN(Value statements, arguments.array(field));
  size_t count = statements.as_array().size();
  if (count == 0 || count > static_cast<size_t>(kMaxWriteBatchSize)) {
    return Status(ErrorCode::kInvalidLength, "Write batch sizes must be between 1 and " +
                                                 std::to_string(kMaxWriteBatchSize) + ". Got " +
                                                 std::to_string(count) + " operations.");
  }
  size_t index = 0;
  for (Value statement : statements.as_array()) {
    if (!statement.is_object()) {
      return Status(ErrorCode::kTypeMismatch,
                    "BSON field '" + std::string(request.name) + "." + std::string(field) + "." +
                        std::to_string(index) + "' is the wrong type '" +
                        std::string(statement.type_name()) + "', expected type 'object'");
    }
    ++index;
  }
  return statements;
}

Status check_statement(std::string_view context, Value statement,
                       std::initializer_list<std::string_view> known) {
  for (const auto& field : statement.as_object()) {
    if (std::find(known.begin(), known.end(), field.name()) != known.end()) continue;
    return Status(40415, "BSON field '" + std::string(context) + "." + std::string(field.name()) +
                             "' is an unknown field.");
  }
  return {};
}

void append_write_errors(const WriteResult& result, BsonWriter& reply) {
  if (result.failed.empty()) return;
  reply.begin_array("writeErrors");
  size_t at = 0;
  for (const auto& [index, failure] : result.failed) {
    reply.begin_object(std::to_string(at++));
    reply.append("index", static_cast<int32_t>(index));
    reply.append("code", failure.status.code());
    reply.append("errmsg", engine::with_valid_utf8(failure.status.message()));
    for (const auto& field : failure.details.view()) reply.append(field.name(), field.value);
    reply.end();
  }
  reply.end();
}

}  // namespace millrace::commands
