// findAndModify: https://www.mongodb.com/docs/manual/reference/command/findAndModify/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/projection.h"
#include "commands/local/update_documents.h"
#include "commands/write_reply.h"

namespace millrace::commands {
namespace {

using engine::ErrorCode;
using engine::Status;
using engine::Value;

struct Options {
  bool remove = false;
  bool return_new = false;
  Value fields;
};

Status check_combination(const FindAndModifySpec& spec, const Options& options) {
  if (options.remove) {
    if (!spec.update.is_missing())
      return Status(ErrorCode::kFailedToParse, "Cannot specify both an update and remove=true");
    if (spec.upsert)
      return Status(ErrorCode::kFailedToParse, "Cannot specify both upsert=true and remove=true ");
    if (options.return_new) {
      return Status(ErrorCode::kFailedToParse,
                    "Cannot specify both new=true and remove=true; 'remove' always returns the "
                    "deleted document");
    }
    return {};
  }
  if (spec.update.is_missing())
    return Status(ErrorCode::kFailedToParse, "Either an update or remove=true must be specified");
  if (!spec.update.is_object() && !spec.update.is_array()) {
    return Status(ErrorCode::kFailedToParse,
                  "Update argument must be either an object or an array");
  }
  return {};
}

Status append_value(const std::optional<engine::Document>& document, const FindAndModifySpec& spec,
                    const Options& options, LocalDatabase& local, BsonWriter& reply) {
  if (!document) {
    reply.append("value", Value::null());
    return {};
  }
  Evaluation evaluation(local.clock());
  MR_RETURN_IF_ERROR(evaluation.bind(spec.let));
  MR_ASSIGN_OR_RETURN(auto projection,
                      Projection::parse(options.fields, spec.query, local.stages(), evaluation));
  Value shown = document->value();
  if (projection != nullptr) {
    MR_ASSIGN_OR_RETURN(shown, projection->apply(shown));
  }
  reply.append("value", shown);
  return {};
}

}  // namespace

Result<Progress> cmd_find_and_modify(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"query",
                                                 "sort",
                                                 "remove",
                                                 "update",
                                                 "new",
                                                 "upsert",
                                                 "fields",
                                                 "arrayFilters",
                                                 "hint",
                                                 "let",
                                                 "collation",
                                                 "bypassDocumentValidation",
                                                 "bypassEmptyTsReplacement"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  Arguments arguments(request.name, request.body);
  FindAndModifySpec spec;
  Options options;
  engine::Document empty;
  MR_ASSIGN_OR_RETURN(spec.query, arguments.object("query"));
  if (spec.query.is_missing()) spec.query = empty.value();
  MR_ASSIGN_OR_RETURN(spec.sort, arguments.object("sort"));
  MR_ASSIGN_OR_RETURN(spec.let, arguments.object("let"));
  MR_ASSIGN_OR_RETURN(spec.array_filters, arguments.array("arrayFilters"));
  MR_ASSIGN_OR_RETURN(options.fields, arguments.object("fields"));
  MR_ASSIGN_OR_RETURN(spec.upsert, arguments.boolean("upsert", false));
  MR_ASSIGN_OR_RETURN(options.remove, arguments.boolean("remove", false));
  MR_ASSIGN_OR_RETURN(options.return_new, arguments.boolean("new", false));
  MR_RETURN_IF_ERROR(arguments.check_collation());
  MR_ASSIGN_OR_RETURN(spec.hint, arguments.hint());
  spec.update = arguments.any("update");
  MR_RETURN_IF_ERROR(check_combination(spec, options));
  MR_ASSIGN_OR_RETURN(auto write_options, read_write_options(request));
  LocalDatabase& local = *request.services.database;
  if (options.return_new && options.fields.is_object()) {
    for (const auto& field : options.fields.as_object()) {
      if (field.name().ends_with(".$"))
        return Status(ErrorCode::kBadValue,
                      "cannot use a positional projection and return the new document");
    }
  }
  engine::Document details;
  auto result = find_and_modify(local, request.database, name, spec, write_options, &details);
  if (!result.ok()) {
    request.error_details = details;
    Status status = result.status();
    bool own_text =
        status.is(ErrorCode::kDuplicateKey) || status.is(ErrorCode::kCommandNotSupportedOnView);
    return own_text
               ? status
               : Status(status.code(), "Plan executor error during findAndModify :: caused by :: " +
                                           status.message());
  }
  reply.begin_object("lastErrorObject");
  reply.append("n", int32_t{result->before || result->upserted ? 1 : 0});
  if (!options.remove) reply.append("updatedExisting", result->before.has_value());
  if (result->upserted) reply.append("upserted", result->after->get("_id"));
  reply.end();
  MR_RETURN_IF_ERROR(append_value(options.return_new ? result->after : result->before, spec,
                                  options, local, reply));
  return Progress::kDone;
}

}  // namespace millrace::commands
