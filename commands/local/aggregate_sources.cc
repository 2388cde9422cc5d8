#include "commands/local/aggregate_sources.h"

#include "commands/local/collection_stats.h"
#include "commands/local/index_keys.h"
#include "commands/local/name_check.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Field;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

using Documents = std::vector<Document>;

std::string executor_text(std::string text) {
  return "PlanExecutor error during aggregation :: caused by :: " + std::move(text);
}

Result<Documents> make_documents(const Value& spec, const SourceContext& context) {
  if (!context.name.empty())
    return Status(ErrorCode::kInvalidNamespace, "'$documents' can only be run with {aggregate: 1}");
  Evaluation& evaluation = context.evaluation;
  MR_ASSIGN_OR_RETURN(auto expression, engine::parse_expression(spec, evaluation.parse()));
  evaluation.ready();
  Documents documents;
  Document empty;
  evaluation.eval().root = empty.value();
  try {
    Value value = expression->evaluate(evaluation.eval());
    MR_RETURN_IF_ERROR(check_documents(value));
    for (const Value& element : value.as_array()) documents.emplace_back(element);
  } catch (const engine::EvaluationError& error) {
    return error.status();
  }
  return documents;
}

Status needs_collection(std::string_view stage, const SourceContext& context) {
  if (!context.name.empty()) return {};
  return Status(
      ErrorCode::kInvalidNamespace,
      "{aggregate: 1} is not valid for '" + std::string(stage) + "'; a collection is required.");
}

// https://www.mongodb.com/docs/manual/reference/operator/aggregation/collStats/
Result<Documents> make_coll_stats(const Value& spec, const SourceContext& context) {
  MR_RETURN_IF_ERROR(needs_collection("$collStats", context));
  if (!spec.is_object())
    return Status(
        5447000, "$collStats must take a nested object but found: $collStats: " + shell_text(spec));
  std::string ns = namespace_of(context.scope.database, context.name);
  auto fields = spec.as_object();
  for (const auto& field : fields) {
    bool known = field.has_name("storageStats") || field.has_name("count") ||
                 field.has_name("latencyStats") || field.has_name("queryExecStats");
    if (known && !field.value.is_object()) {
      return Status(ErrorCode::kTypeMismatch,
                    "BSON field '$collStats." + std::string(field.name()) +
                        "' is the wrong type '" + std::string(field.value.type_name()) +
                        "', expected type 'object'");
    }
    if (!known)
      return Status(
          40415, "BSON field '$collStats." + std::string(field.name()) + "' is an unknown field.");
    bool refused = field.has_name("latencyStats") || field.has_name("queryExecStats");
    if (refused) {
      return Status(ErrorCode::kCommandNotSupported,
                    "the option '" + std::string(field.name()) +
                        "' of $collStats is not supported by Millrace");
    }
    if (context.collection == nullptr) {
      return Status(
          ErrorCode::kNamespaceNotFound,
          executor_text("Unable to retrieve " + std::string(field.name()) +
                        " in $collStats stage :: caused by :: Collection [" + ns + "] not found."));
    }
  }
  MR_ASSIGN_OR_RETURN(auto size, measure(context.txn, context.collection));
  BsonWriter writer;
  writer.begin_document();
  writer.append("ns", ns);
  writer.append("host", host_name());
  writer.append("localTime", Value::date(context.evaluation.eval().now_ms));
  if (fields.has("storageStats")) {
    Value scale = fields.get("storageStats").is_object()
                      ? fields.get("storageStats").as_object().get("scale")
                      : Value::missing();
    int64_t factor =
        scale.is_number() && scale.to_double() >= 1 ? static_cast<int64_t>(scale.to_double()) : 1;
    writer.begin_object("storageStats");
    append_storage_stats(context.collection, size, factor, writer);
    writer.end();
  }
  if (fields.has("count")) writer.append("count", Value::integer(size.records));
  writer.end();
  return Documents{Document(writer.bytes())};
}

// https://www.mongodb.com/docs/manual/reference/operator/aggregation/indexStats/ ; uses by find,
// aggregate and count.
Result<Documents> make_index_stats(const Value& spec, const SourceContext& context) {
  MR_RETURN_IF_ERROR(needs_collection("$indexStats", context));
  if (!spec.is_object() || !spec.as_object().empty()) {
    return Status(28803, "The $indexStats stage specification must be an empty object");
  }
  Documents documents;
  if (context.collection == nullptr) return documents;
  for (const auto& index : context.collection->indexes) {
    BsonWriter writer;
    writer.begin_document();
    writer.append("name", index.name);
    writer.append("key", index.key());
    writer.append("host", host_name());
    writer.begin_object("accesses");
    auto uses = context.scope.local.index_uses(index.id);
    writer.append("ops", uses.count);
    writer.append("since", Value::date(uses.since_ms));
    writer.end();
    writer.append("spec", index.spec.value());
    writer.end();
    documents.emplace_back(writer.bytes());
  }
  return documents;
}

Result<Documents> make_current_op(const Value& spec, const SourceContext& context) {
  if (!context.name.empty() || context.scope.database != "admin") {
    return Status(ErrorCode::kInvalidNamespace,
                  "$currentOp must be run against the 'admin' database with {aggregate: 1}");
  }
  if (!spec.is_object())
    return Status(ErrorCode::kFailedToParse,
                  "$currentOp options must be specified in an object, but found: " +
                      std::string(spec.type_name()));
  return context.operations;
}

// Sessions are not stored in a collection: those that are stored can be asked for only on a server
// that stores them.
Status refuse_list_sessions(const SourceContext& context) {
  if (context.scope.database == "config" && context.name == "system.sessions") {
    return Status(ErrorCode::kCommandNotSupported,
                  "Millrace does not store sessions; $listLocalSessions shows this one");
  }
  return Status(ErrorCode::kInvalidNamespace,
                "$listSessions may only be run against config.system.sessions");
}

// The session of this very command: others are not recorded.
Result<Documents> make_local_sessions(const Value& spec, const SourceContext& context) {
  if (!context.name.empty()) {
    return Status(ErrorCode::kInvalidNamespace,
                  "$listLocalSessions must be run against the database with {aggregate: 1}, not a "
                  "collection");
  }
  if (!spec.is_object()) {
    return Status(ErrorCode::kTypeMismatch,
                  "$listLocalSessions options must be specified in an object, but found: " +
                      std::string(spec.type_name()));
  }
  for (const auto& field : spec.as_object()) {
    if (field.has_name("allUsers") || field.has_name("users")) continue;
    return Status(40415, "BSON field '$listLocalSessions." + std::string(field.name()) +
                             "' is an unknown field.");
  }
  Documents documents;
  for (const Document& operation : context.operations) {
    Value session = operation.get("command").as_object().get("lsid");
    if (!session.is_object()) continue;
    BsonWriter writer;
    writer.begin_document();
    writer.append("_id", session);
    writer.append("lastUse", Value::date(context.evaluation.eval().now_ms));
    writer.end();
    documents.emplace_back(writer.bytes());
  }
  return documents;
}

// Millrace plans each query anew and keeps no plans: the cache is empty.
Result<Documents> make_plan_cache_stats(const Value& spec, const SourceContext& context) {
  MR_RETURN_IF_ERROR(needs_collection("$planCacheStats", context));
  if (!spec.is_object()) {
    return Status(ErrorCode::kFailedToParse, "$planCacheStats value must be an object. Found: " +
                                                 std::string(spec.type_name()));
  }
  if (!spec.as_object().empty()) {
    return Status(ErrorCode::kFailedToParse,
                  "$planCacheStats parameters object must be empty. Found: object");
  }
  return Documents();
}

}  // namespace

Status check_documents(const Value& value) {
  if (!value.is_array()) return Status(5858203, executor_text("an array is expected"));
  for (const Value& element : value.as_array()) {
    if (element.is_object()) continue;
    return Status(40228, executor_text("elements within the array passed to $documents must "
                                       "evaluate to an object, but resulting value was: " +
                                       shell_text(element) + ". Type of resulting value: '" +
                                       std::string(element.type_name()) + "'"));
  }
  return {};
}

Result<std::vector<Document>> make_source(const Field& stage, const SourceContext& context) {
  if (stage.has_name("$documents")) return make_documents(stage.value, context);
  if (stage.has_name("$collStats")) return make_coll_stats(stage.value, context);
  if (stage.has_name("$indexStats")) return make_index_stats(stage.value, context);
  if (stage.has_name("$listSessions")) return refuse_list_sessions(context);
  if (stage.has_name("$listLocalSessions")) return make_local_sessions(stage.value, context);
  if (stage.has_name("$planCacheStats")) return make_plan_cache_stats(stage.value, context);
  return make_current_op(stage.value, context);
}

}  // namespace millrace::commands
