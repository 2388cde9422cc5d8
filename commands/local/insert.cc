#include "commands/local/insert.h"

#include <vector>

#include "commands/local/empty_timestamp.h"

namespace millrace::commands {

using engine::BsonWriter;
using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Type;
using engine::Value;

namespace {

Status check_id(const Value& id) {
  if (id.is_array() || id.is(Type::kRegex) || id.is(Type::kUndefined)) {
    return Status(ErrorCode::kInvalidIdField,
                  "The '_id' value cannot be of type " + std::string(id.type_name()));
  }
  if (!id.is_object()) return {};
  for (const auto& field : id.as_object()) {
    if (!field.name().starts_with('$')) continue;
    return Status(ErrorCode::kDollarPrefixedFieldName,
                  "_id fields may not contain '$'-prefixed fields: " + std::string(field.name()) +
                      " is not valid for storage.");
  }
  return {};
}

// MongoDB stores up to 180 levels, fewer than a message may have.
constexpr int kMaxStoredLevels = 180;

bool is_deeper(const Value& container, int levels) {
  if (levels == 0) return true;
  auto deep = [&](const Value& value) {
    return (value.is_object() || value.is_array()) && is_deeper(value, levels - 1);
  };
  if (container.is_array()) {
    for (const Value& element : container.as_array()) {
      if (deep(element)) return true;
    }
    return false;
  }
  for (const auto& field : container.as_object()) {
    if (deep(field.value)) return true;
  }
  return false;
}

}  // namespace

Result<std::string_view> stored_form(const Value& document, BsonWriter& writer,
                                     const engine::Clock* stamp) {
  size_t size = engine::bson_size(document);
  if (size > engine::kMaxDocumentBytes) {
    return Status(ErrorCode::kBadValue,
                  "object to insert too large. size in bytes: " + std::to_string(size) +
                      ", max size: " + std::to_string(engine::kMaxDocumentBytes));
  }
  // A level takes seven bytes at least: an ordinary document need not be looked through.
  if (size > size_t{kMaxStoredLevels} * 7 && is_deeper(document, kMaxStoredLevels)) {
    return Status(ErrorCode::kOverflow,
                  "cannot insert document because it exceeds 180 levels of nesting");
  }
  auto fields = document.as_object();
  Value id = fields.get("_id");
  MR_RETURN_IF_ERROR(check_id(id));
  bool id_is_first = !id.is_missing() && fields.begin()->has_name("_id");
  bool stamps = stamp != nullptr && has_empty_timestamp(document);
  if (id_is_first && !document.is_tree() && !stamps) return document.bson_bytes();
  writer.clear();
  writer.begin_document();
  engine::ObjectId generated;
  if (id.is_missing()) {
    generated = engine::ObjectId::generate();
    id = Value::object_id(&generated);
  }
  writer.append("_id", id);
  bool seen = false;
  for (const auto& field : fields) {
    if (!seen && field.has_name("_id")) {
      seen = true;
      continue;
    }
    writer.append(field.name(),
                  stamps && is_empty_timestamp(field) ? next_timestamp(*stamp) : field.value);
  }
  writer.end();
  return writer.bytes();
}

Result<WriteResult> insert_documents(LocalDatabase& local, std::string_view database,
                                     std::string_view name, const Value& documents,
                                     const WriteOptions& options) {
  engine::Arena arena;
  auto all = documents.as_array().elements(arena);
  BsonWriter writer;
  const engine::Clock* stamp = options.keep_empty_timestamps ? nullptr : &local.clock();
  // Made once: when a transaction is repeated, its documents keep the _id they got.
  std::vector<std::string> made(all.size());
  return run_statements(local, database, name, all.size(), options,
                        [&](StatementContext& context, size_t i, WriteResult& result) -> Status {
                          std::string_view bson = made[i];
                          if (bson.empty()) {
                            MR_ASSIGN_OR_RETURN(bson, stored_form(all[i], writer, stamp));
                            if (all[i].is_tree() || bson.data() != all[i].bson_bytes().data())
                              bson = made[i] = std::string(bson);
                          }
                          MR_ASSIGN_OR_RETURN(CollectionWriter * collection,
                                              context.writer_or_create());
                          MR_RETURN_IF_ERROR(collection->insert(bson));
                          context.bytes += bson.size();
                          ++result.matched;
                          return {};
                        });
}

}  // namespace millrace::commands
