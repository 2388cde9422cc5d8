#include "engine/sink/merge_commands.h"

#include <algorithm>

#include "engine/connection/cluster_client.h"
#include "engine/document/compare.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxStatements = 1000;
constexpr size_t kMaxCommandBytes =
    12 * 1024 * 1024;  // a server takes 16 MB; one larger document goes alone
constexpr size_t kStatementOverheadBytes = 256;

// {$mergeObjects: ["$$ROOT", "$$new"]} keeps the existing fields where they are and appends the new
// ones in their order.
const Document& merge_pipeline() {
  static const Document kPipeline = [] {
    BsonWriter w;
    w.begin_document();
    w.begin_array("pipeline");
    w.begin_object("0");
    w.begin_object("$replaceWith");
    w.begin_array("$mergeObjects");
    w.append("0", "$$ROOT");
    w.append("1", "$$new");
    w.end();
    w.end();
    w.end();
    w.end();
    w.end();
    return Document(w.bytes());
  }();
  return kPipeline;
}

// A field name that an update operator would take for a path or refuse.
bool is_operator_path(std::string_view name) {
  return name.starts_with('$') || name.find('.') != std::string_view::npos;
}

bool is_duplicate_id(const ObjectView& error) {
  Value pattern = error.get("keyPattern");
  if (pattern.is_object()) return pattern.as_object().size() == 1 && pattern.as_object().has("_id");
  Value text = error.get("errmsg");  // servers before 4.4 do not send the pattern
  return text.is_string() && text.as_string().find("index: _id_ ") != std::string_view::npos;
}

int32_t route_number(const Value& route, std::string_view name, int32_t otherwise) {
  if (!route.is_object()) return otherwise;
  Value value = route.as_object().get(name);
  return value.is(Type::kInt32) ? value.as_int32() : otherwise;
}

}  // namespace

Value MergeCommands::key_value(const Value& document, const FieldPath& path) {
  if (path.size() == 1) return document.as_object().get(path.parts[0]);
  return get_path(document, path.parts.data(), path.size(), arena_);
}

uint64_t MergeCommands::key_hash(const Value& document) {
  uint64_t seed = 0;
  for (const FieldPath& path : plan_.on) seed = hash(key_value(document, path), seed);
  return seed;
}

Status MergeCommands::add(size_t item, const Value& document, const Value& route) {
  size_t size = document.bson_bytes().size();
  if (size > kMaxDocumentBytes) {
    refused_.push_back({item, "the document has " + std::to_string(size) +
                                  " bytes; a collection takes at most " +
                                  std::to_string(kMaxDocumentBytes)});
    return {};
  }
  size += kStatementOverheadBytes + (route.is_object() ? route.bson_bytes().size() : 0);
  if (plan_.when_matched == WhenMatched::kPipeline) size += plan_.update.bytes().size();
  // Statements of one command run in any order, so a key that comes again waits for what is there.
  if (bytes_ + size > kMaxCommandBytes || keys_.size() >= kMaxStatements ||
      !keys_.insert(key_hash(document)).second) {
    MR_RETURN_IF_ERROR(run());
    keys_.insert(key_hash(document));
  }
  bytes_ += size;
  return add_statement({item, document}, route);
}

Status MergeCommands::add_statement(const Statement& statement, const Value& route) {
  auto matched = static_cast<WhenMatched>(
      route_number(route, merge_route::kWhenMatched, static_cast<int32_t>(plan_.when_matched)));
  auto missed = static_cast<WhenNotMatched>(route_number(
      route, merge_route::kWhenNotMatched, static_cast<int32_t>(plan_.when_not_matched)));
  bool insert = missed == WhenNotMatched::kInsert;
  switch (matched) {
    case WhenMatched::kReplace:
    case WhenMatched::kMerge:
      add_update(statement, matched, insert, Value());
      return {};
    case WhenMatched::kPipeline:
      // The server would run the pipeline on an empty document to make the one to insert; $merge
      // inserts the incoming one.
      add_update(statement, matched, false,
                 route.is_object() ? route.as_object().get(merge_route::kLet) : Value());
      if (insert) insert_later_.push_back(statement);
      return {};
    case WhenMatched::kKeepExisting:
      if (insert) add_insert(statement);
      return {};
    case WhenMatched::kDelete:
      if (insert) return toggle(statement);
      add_delete(statement);
      return {};
  }
  return {};
}

void MergeCommands::open(Command& command, std::string_view name, std::string_view array) {
  if (!command.statements.empty()) return;
  command.writer.clear();
  command.writer.begin_document();
  command.writer.append(name, collection_);
  command.writer.append("ordered", false);
  command.writer.begin_array(array);
}

void MergeCommands::append_query(BsonWriter& writer, const Value& document) {
  writer.begin_object("q");
  for (const FieldPath& path : plan_.on) {
    Value value = key_value(document, path);
    std::string name = path.dotted();
    if (value.is_object() || value.is(Type::kRegex)) {  // these would be read as conditions
      writer.begin_object(name);
      writer.append("$eq", value);
      writer.end();
    } else {
      writer.append(name, value);
    }
  }
  writer.end();
}

void MergeCommands::add_update(const Statement& statement, WhenMatched action, bool upsert,
                               const Value& let) {
  open(updates_, "update", "updates");
  BsonWriter& writer = updates_.writer;
  writer.begin_object(std::to_string(updates_.statements.size()));
  append_query(writer, statement.document);
  if (action == WhenMatched::kReplace) {
    writer.append("u", statement.document);
  } else {
    writer.append(
        "u", (action == WhenMatched::kMerge ? merge_pipeline() : plan_.update).get("pipeline"));
    writer.begin_object("c");
    writer.append("new", statement.document);
    if (let.is_object()) {
      for (const Field& field : let.as_object()) writer.append(field.name(), field.value);
    }
    writer.end();
  }
  if (upsert) writer.append("upsert", true);
  writer.end();
  updates_.statements.push_back(statement);
}

void MergeCommands::add_delete(const Statement& statement) {
  open(deletes_, "delete", "deletes");
  deletes_.writer.begin_object(std::to_string(deletes_.statements.size()));
  append_query(deletes_.writer, statement.document);
  deletes_.writer.append("limit", 1);
  deletes_.writer.end();
  deletes_.statements.push_back(statement);
}

// Inserts unless the key is there. By _id an insert does that (its duplicate key error is then the
// expected answer); by other fields an upsert that changes nothing.
void MergeCommands::add_insert(const Statement& statement) {
  if (plan_.on_id()) {
    open(inserts_, "insert", "documents");
    inserts_.writer.append_element(inserts_.statements.size(), statement.document);
    inserts_.statements.push_back(statement);
    return;
  }
  for (const Field& field : statement.document.as_object()) {
    if (!is_operator_path(field.name())) continue;
    refused_.push_back(
        {statement.item, "a document with the field '" + std::string(field.name()) +
                             "' cannot be inserted with 'on' fields other than _id"});
    return;
  }
  open(inserts_, "update", "updates");
  BsonWriter& writer = inserts_.writer;
  writer.begin_object(std::to_string(inserts_.statements.size()));
  append_query(writer, statement.document);
  writer.begin_object("u");
  writer.append("$setOnInsert", statement.document);
  writer.end();
  writer.append("upsert", true);
  writer.end();
  inserts_.statements.push_back(statement);
}

// whenMatched: delete with whenNotMatched: insert. Only the answer to the delete tells whether to
// insert, so the statement goes alone.
Status MergeCommands::toggle(const Statement& statement) {
  MR_RETURN_IF_ERROR(run());
  add_delete(statement);
  int64_t deleted = 0;
  MR_RETURN_IF_ERROR(send(deletes_, &deleted, false));
  if (deleted == 0 && (refused_.empty() || refused_.back().item != statement.item))
    add_insert(statement);
  return run();
}

void MergeCommands::clear() {
  for (Command* command : {&updates_, &deletes_, &inserts_}) {
    command->statements.clear();
    command->writer.clear();
  }
  insert_later_.clear();
  keys_.clear();
  bytes_ = 0;
  arena_.reset();
}

Status MergeCommands::run() {
  int64_t count = 0;
  MR_RETURN_IF_ERROR(send(deletes_, &count, false));
  auto updates = static_cast<int64_t>(updates_.statements.size());
  MR_RETURN_IF_ERROR(send(updates_, &count, false));
  if (count < updates) {
    for (const Statement& statement : insert_later_) {
      // A document whose update failed is there, or could not be stored either: it is in the dead
      // letters already.
      bool refused = std::any_of(refused_.begin(), refused_.end(), [&](const RefusedDocument& r) {
        return r.item == statement.item;
      });
      if (!refused) add_insert(statement);
    }
  }
  MR_RETURN_IF_ERROR(send(inserts_, &count, true));
  clear();
  return {};
}

// `count` is set to how many statements found or made a document. `absent_only`: a duplicate _id is
// what was expected.
Status MergeCommands::send(Command& command, int64_t* count, bool absent_only) {
  *count = 0;
  if (command.statements.empty()) return {};
  command.writer.end();
  command.writer.end();
  if (command.writer.size() > kMaxInternalDocumentBytes && command.statements.size() == 1) {
    refused_.push_back({command.statements[0].item,
                        "the document and its 'on' fields are too large for an update command"});
    command.statements.clear();
    return {};
  }
  auto reply = client_.run(database_, Value::bson_object(command.writer.bytes().data()));
  if (!reply.ok()) {
    Status status = reply.status();
    bool dynamic = plan_.database.empty() || plan_.collection.empty();
    if (status.is(ErrorCode::kInvalidNamespace) &&
        dynamic) {  // the fault of the documents that named it
      for (const Statement& statement : command.statements)
        refused_.push_back({statement.item, status.message()});
      command.statements.clear();
      return {};
    }
    return Status(status.code(), "$merge into " + place() + " of connection '" +
                                     plan_.connection->name + "' failed: " + status.message());
  }
  Value n = reply->get("n");
  if (n.is_number()) *count = static_cast<int64_t>(n.to_double());
  MR_RETURN_IF_ERROR(take_errors(command, reply->get("writeErrors"), absent_only));
  command.statements.clear();
  return {};
}

Status MergeCommands::take_errors(const Command& command, const Value& errors, bool absent_only) {
  if (!errors.is_array()) return {};
  for (const Value& element : errors.as_array()) {
    if (!element.is_object()) continue;
    ObjectView error = element.as_object();
    Value index = error.get("index");
    Value number = error.get("code");
    Value text = error.get("errmsg");
    auto code = number.is_number() ? static_cast<int32_t>(number.to_double())
                                   : static_cast<int32_t>(ErrorCode::kUnknownError);
    std::string message =
        text.is_string() ? std::string(text.as_string()) : "the target refused the document";
    if (absent_only && code == static_cast<int32_t>(ErrorCode::kDuplicateKey) && plan_.on_id() &&
        is_duplicate_id(error))
      continue;
    if (is_retryable_server_error(code) ||
        code == static_cast<int32_t>(ErrorCode::kOutOfDiskSpace)) {
      return Status(code == static_cast<int32_t>(ErrorCode::kOutOfDiskSpace)
                        ? ErrorCode::kOutOfDiskSpace
                        : ErrorCode::kHostUnreachable,
                    "$merge into " + place() + " of connection '" + plan_.connection->name +
                        "' failed: " + message);
    }
    if (!index.is_number() || index.to_double() < 0 ||
        index.to_double() >= static_cast<double>(command.statements.size())) {
      return Status(ErrorCode::kOperationFailed,
                    "the target " + place() +
                        " answered with an error for a document that was not sent: " + message);
    }
    refused_.push_back(
        {command.statements[static_cast<size_t>(index.to_double())].item, std::move(message)});
  }
  return {};
}

}  // namespace millrace::engine
