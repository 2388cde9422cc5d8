// create: https://www.mongodb.com/docs/manual/reference/command/create/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/evaluation.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"
#include "commands/view_definition.h"

namespace millrace::commands {
namespace {

using engine::Document;
using engine::ErrorCode;
using engine::Status;
using engine::Value;

Status check_capped(const Arguments& arguments, bool capped) {
  MR_ASSIGN_OR_RETURN(auto size, arguments.count("size"));
  MR_ASSIGN_OR_RETURN(auto max, arguments.count("max"));
  if (capped && !size)
    return Status(ErrorCode::kInvalidOptions, "the 'size' field is required when 'capped' is true");
  if (!capped && (size || max)) {
    return Status(
        ErrorCode::kInvalidOptions,
        "the 'capped' field needs to be true when either the 'size' or 'max' fields are present");
  }
  return {};
}

Status check_refused(const Request& request) {
  for (auto field : {"timeseries", "storageEngine", "encryptedFields"})
    MR_RETURN_IF_ERROR(refuse_option(request, field));
  if (!request.get("expireAfterSeconds").is_nullish()) {
    if (request.get("clusteredIndex").is_nullish()) {
      return Status(ErrorCode::kInvalidOptions,
                    "'expireAfterSeconds' is only supported on time-series collections or when the "
                    "'clusteredIndex' option is specified");
    }
    return refuse_option(request, "expireAfterSeconds");
  }
  return {};
}

Status check_validator(const Request& request, const Arguments& arguments) {
  MR_RETURN_IF_ERROR(arguments.one_of("validationLevel", {"off", "strict", "moderate"}));
  MR_RETURN_IF_ERROR(arguments.one_of("validationAction", {"error", "warn", "errorAndLog"}));
  MR_ASSIGN_OR_RETURN(Value validator, arguments.object("validator"));
  if (validator.is_missing()) return {};
  MR_RETURN_IF_ERROR(check_validated_name(request.argument().as_string(), validator));
  Evaluation evaluation(request.services.database->clock());
  return evaluation.parse_predicate(validator).status();
}

// The options as listCollections shows them.
Document kept_options(const Request& request, bool capped) {
  BsonWriter options;
  options.begin_document();
  if (capped) {
    options.append("capped", true);
    auto bytes = static_cast<int64_t>(request.get("size").to_double());
    options.append("size", Value::integer((bytes + 255) / 256 *
                                          256));  // whole units of 256, as seen with 6.0.5
    if (!request.get("max").is_nullish())
      options.append("max", Value::integer(static_cast<int64_t>(request.get("max").to_double())));
  }
  for (auto field : {"clusteredIndex", "changeStreamPreAndPostImages", "validator",
                     "validationLevel", "validationAction", "viewOn", "pipeline"}) {
    Value value = request.get(field);
    if (!value.is_nullish()) options.append(field, value);
  }
  if (!request.get("viewOn").is_nullish() && request.get("pipeline").is_nullish())
    options.begin_array("pipeline"), options.end();
  options.end();
  return Document(options.bytes());
}

}  // namespace

Result<Progress> cmd_create(Request& request, BsonWriter&) {
  static constexpr std::string_view kFields[] = {"capped",
                                                 "size",
                                                 "max",
                                                 "validator",
                                                 "validationLevel",
                                                 "validationAction",
                                                 "viewOn",
                                                 "pipeline",
                                                 "collation",
                                                 "timeseries",
                                                 "clusteredIndex",
                                                 "expireAfterSeconds",
                                                 "idIndex",
                                                 "changeStreamPreAndPostImages",
                                                 "storageEngine",
                                                 "indexOptionDefaults",
                                                 "encryptedFields",
                                                 "autoIndexId",
                                                 "flags"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  MR_RETURN_IF_ERROR(check_writable_name(request.database, name));
  Arguments arguments("create", request.body);
  MR_ASSIGN_OR_RETURN(bool capped, arguments.boolean("capped", false));
  MR_RETURN_IF_ERROR(check_capped(arguments, capped));
  MR_RETURN_IF_ERROR(check_refused(request));
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_RETURN_IF_ERROR(check_validator(request, arguments));
  MR_RETURN_IF_ERROR(
      check_view_definition(request, arguments, namespace_of(request.database, name)));
  Document options = kept_options(request, capped);
  MR_RETURN_IF_ERROR(
      request.services.database->store().write([&](storage::WriteTransaction& txn) -> Status {
        MR_ASSIGN_OR_RETURN(auto existing, find_collection(txn, request.database, name));
        if (existing)
          return Status(ErrorCode::kNamespaceExists,
                        "Collection " + existing->ns() + " already exists.");
        return create_collection(txn, request.database, name, options).status();
      }));
  return Progress::kDone;
}

}  // namespace millrace::commands
