// collMod: https://www.mongodb.com/docs/manual/reference/command/collMod/
#include "commands/arguments.h"
#include "commands/dispatch.h"
#include "commands/handlers.h"
#include "commands/local/evaluation.h"
#include "commands/local/local_database.h"
#include "commands/local/name_check.h"
#include "commands/view_definition.h"
#include "engine/document/compare.h"

namespace millrace::commands {
namespace {

using engine::Document;
using engine::ErrorCode;
using engine::Status;
using engine::Value;

// `document` with each field of `changes` set, new ones at the end. A missing value takes the field
// out.
Document with_fields(const Document& document, const std::vector<engine::Field>& changes) {
  BsonWriter writer;
  writer.begin_document();
  std::vector<bool> done(changes.size());
  for (const auto& field : document.view()) {
    Value value = field.value;
    for (size_t i = 0; i < changes.size(); ++i) {
      if (!changes[i].has_name(field.name())) continue;
      value = changes[i].value;
      done[i] = true;
    }
    writer.append(field.name(), value);
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    if (!done[i]) writer.append(changes[i].name(), changes[i].value);
  }
  writer.end();
  return Document(writer.bytes());
}

Status change_index(Collection& collection, const Value& spec, BsonWriter& reply) {
  auto fields = spec.as_object();
  for (const auto& field : fields) {
    bool known = field.has_name("name") || field.has_name("keyPattern") ||
                 field.has_name("hidden") || field.has_name("expireAfterSeconds");
    if (!known)
      return Status(40415, "BSON field 'collMod.index." + std::string(field.name()) +
                               "' is an unknown field.");
  }
  Value name = fields.get("name");
  Value key = fields.get("keyPattern");
  if (name.is_missing() == key.is_missing())
    return Status(ErrorCode::kInvalidOptions, "Must specify either index name or key pattern.");
  Value hidden = fields.get("hidden");
  Value expire = fields.get("expireAfterSeconds");
  if (hidden.is_missing() && expire.is_missing()) {
    return Status(ErrorCode::kInvalidOptions,
                  "no expireAfterSeconds, hidden, unique, or prepareUnique field");
  }
  for (auto& index : collection.indexes) {
    bool chosen = name.is_string() ? index.name == name.as_string()
                                   : key.is_object() && engine::equal(index.key(), key);
    if (!chosen) continue;
    std::vector<engine::Field> changes;
    if (!expire.is_missing()) {
      if (!expire.is_number())
        return Status(ErrorCode::kInvalidOptions, "expireAfterSeconds field must be a number");
      if (index.expire_after_seconds() >= 0)
        reply.append("expireAfterSeconds_old", index.expire_after_seconds());
      reply.append("expireAfterSeconds_new", static_cast<int64_t>(expire.to_double()));
      changes.emplace_back("expireAfterSeconds", expire);
    }
    if (!hidden.is_missing()) {
      if (index.is_id()) return Status(ErrorCode::kBadValue, "can't hide _id index");
      reply.append("hidden_old", index.hidden);
      reply.append("hidden_new", hidden.truthy());
      changes.emplace_back("hidden", hidden.truthy() ? Value::boolean(true) : Value::missing());
    }
    index = make_index(index.id, with_fields(index.spec, changes));
    return {};
  }
  std::string which = name.is_string() ? std::string(name.as_string()) : "with that key pattern";
  return Status(ErrorCode::kIndexNotFound,
                "cannot find index " + which + " for ns " + collection.ns());
}

Status change_view(const Request& request, Collection& collection) {
  for (auto field : {"validator", "validationLevel", "validationAction", "index"}) {
    if (!request.get(field).is_nullish())
      return Status(ErrorCode::kInvalidOptions,
                    "option not supported on a view: " + std::string(field));
  }
  std::vector<engine::Field> changes;
  for (auto field : {"viewOn", "pipeline"}) {
    if (!request.get(field).is_nullish()) changes.emplace_back(field, request.get(field));
  }
  collection.options = with_fields(collection.options, changes);
  return {};
}

Status change_collection(const Request& request, Collection& collection, BsonWriter& reply) {
  for (auto field : {"viewOn", "pipeline"}) {
    if (!request.get(field).is_nullish())
      return Status(ErrorCode::kInvalidOptions,
                    "option only supported on a view: " + std::string(field));
  }
  std::vector<engine::Field> changes;
  for (auto field :
       {"validator", "validationLevel", "validationAction", "changeStreamPreAndPostImages"}) {
    Value value = request.get(field);
    if (value.is_nullish()) continue;
    bool nothing = value.is_object() && value.as_object().empty();
    changes.emplace_back(field, nothing ? Value::missing() : value);
  }
  collection.options = with_fields(collection.options, changes);
  Value index = request.get("index");
  return index.is_nullish() ? Status() : change_index(collection, index, reply);
}

}  // namespace

Result<Progress> cmd_coll_mod(Request& request, BsonWriter& reply) {
  static constexpr std::string_view kFields[] = {"validator",
                                                 "validationLevel",
                                                 "validationAction",
                                                 "index",
                                                 "viewOn",
                                                 "pipeline",
                                                 "changeStreamPreAndPostImages"};
  MR_RETURN_IF_ERROR(refuse_unknown_fields(request, kFields));
  MR_ASSIGN_OR_RETURN(auto name, collection_argument(request));
  Arguments arguments("collMod", request.body);
  MR_RETURN_IF_ERROR(arguments.one_of("validationLevel", {"off", "strict", "moderate"}));
  MR_RETURN_IF_ERROR(arguments.one_of("validationAction", {"error", "warn", "errorAndLog"}));
  MR_RETURN_IF_ERROR(arguments.object("index").status());
  MR_ASSIGN_OR_RETURN(Value validator, arguments.object("validator"));
  LocalDatabase& local = *request.services.database;
  if (!validator.is_missing()) {
    MR_RETURN_IF_ERROR(check_validated_name(name, validator));
    Evaluation evaluation(local.clock());
    MR_RETURN_IF_ERROR(evaluation.parse_predicate(validator).status());
  }
  if (!request.get("viewOn").is_nullish())
    MR_RETURN_IF_ERROR(
        check_view_definition(request, arguments, namespace_of(request.database, name)));
  BsonWriter extra;
  MR_RETURN_IF_ERROR(local.store().write([&](storage::WriteTransaction& txn) -> Status {
    extra.clear();
    MR_ASSIGN_OR_RETURN(auto collection, find_collection(txn, request.database, name));
    if (!collection) return Status(ErrorCode::kNamespaceNotFound, "ns does not exist");
    extra.begin_document();
    MR_RETURN_IF_ERROR(collection->view ? change_view(request, *collection)
                                        : change_collection(request, *collection, extra));
    extra.end();
    return save_collection(txn, *collection);
  }));
  for (const auto& field : Value::bson_object(extra.bytes().data()).as_object())
    reply.append(field.name(), field.value);
  return Progress::kDone;
}

}  // namespace millrace::commands
