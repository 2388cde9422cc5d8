#include "commands/local/aggregate_output.h"

#include <algorithm>
#include <array>
#include <vector>

#include "commands/local/insert.h"
#include "commands/local/name_check.h"
#include "commands/local/update_documents.h"
#include "engine/document/compare.h"
#include "engine/expression/variable_name.h"

namespace millrace::commands {

using engine::Arena;
using engine::Document;
using engine::ErrorCode;
using engine::ObjectBuilder;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

struct Target {
  std::string database;
  std::string collection;
};

// {db, coll}. $out needs both; $merge takes the current database, and says itself what it wants of
// the collection.
Status read_target_fields(const Value& spec, std::string_view stage, Target* target) {
  std::string context(stage == "$out" ? "$out" : "into");
  auto fields = spec.as_object();
  std::vector<std::string> seen;
  for (const auto& field : fields) {
    std::string name(field.name());
    const Value& value = field.value;
    bool timeseries = stage == "$out" && name == "timeseries";
    if (name != "db" && name != "coll" && !timeseries)
      return Status(40415, "BSON field '" + context + "." + name + "' is an unknown field.");
    if (std::find(seen.begin(), seen.end(), name) != seen.end())
      return Status(40413, "BSON field '" + context + "." + name + "' is a duplicate field");
    seen.push_back(name);
    if (value.is_nullish()) continue;
    if (timeseries) {
      return Status(ErrorCode::kNotImplemented,
                    "$out to a time series collection is not supported by Millrace");
    }
    if (!value.is_string()) {
      return Status(ErrorCode::kTypeMismatch,
                    "BSON field '" + context + "." + name + "' is the wrong type '" +
                        std::string(value.type_name()) + "', expected type 'string'");
    }
    if (name == "coll") target->collection = std::string(value.as_string());
    if (name == "db" && !(stage == "$merge" && value.as_string().empty()))
      target->database = std::string(value.as_string());
  }
  if (stage != "$out") return {};
  for (auto name : {"coll", "db"}) {
    if (fields.get(name).is_nullish()) {
      return Status(40414,
                    "BSON field '$out." + std::string(name) + "' is missing but a required field");
    }
  }
  return {};
}

// "name" or {db, coll}.
Result<Target> read_target(const Value& spec, std::string_view database, std::string_view stage) {
  Target target{std::string(database), {}};
  if (spec.is_string()) {
    target.collection = std::string(spec.as_string());
  } else if (spec.is_object()) {
    MR_RETURN_IF_ERROR(read_target_fields(spec, stage, &target));
  } else {
    return Status(stage == "$out" ? 16990 : 51178,
                  std::string(stage) + " only supports a string or object argument, but found " +
                      std::string(spec.type_name()));
  }
  if (target.collection.starts_with("system.")) {
    return Status(stage == "$out" ? 17385 : 31319,
                  "Can't " + std::string(stage) + " to special collection: " + target.collection);
  }
  if (target.database == "admin" || target.database == "config" || target.database == "local") {
    return Status(stage == "$out" ? 31321 : 31320,
                  "Can't " + std::string(stage) + " to internal database: " + target.database);
  }
  if (stage == "$merge" && target.collection.empty()) {
    return Status(spec.is_object() ? 5786801 : 5786800,
                  "$merge's 'into' does not name a collection");
  }
  if (target.database.empty()) {
    return Status(ErrorCode::kInvalidNamespace,
                  "Invalid " + std::string(stage) + " target namespace, ." + target.collection);
  }
  MR_RETURN_IF_ERROR(check_database_name(target.database));
  if (target.database.starts_with('$'))
    return Status(ErrorCode::kInvalidNamespace, "Invalid namespace: " + target.database);
  if (target.collection.starts_with('$') && stage == "$out")
    return Status(ErrorCode::kIllegalOperation, "Invalid $out target: " + target.collection);
  MR_RETURN_IF_ERROR(check_writable_name(target.database, target.collection));
  return target;
}

std::vector<Value> values_of(const std::deque<std::string>& documents) {
  std::vector<Value> values;
  values.reserve(documents.size());
  for (const auto& document : documents) values.push_back(Value::bson_object(document.data()));
  return values;
}

Status first_failure(const WriteResult& result, std::string_view stage) {
  if (result.failed.empty()) return {};
  const Status& status = result.failed.front().failure.status;
  return Status(status.code(), "PlanExecutor error during aggregation :: caused by :: " +
                                   std::string(stage) + " write error: " + status.message());
}

// Everything goes to a collection of another name, which takes the target's place, indexes and
// options at the end.
class OutOutput final : public AggregateOutput {
 public:
  OutOutput(LocalDatabase& local, Target target, bool bypass)
      : local_(local), target_(std::move(target)) {
    options_.bypass_validation = bypass;
  }
  ~OutOutput() override {
    if (!made_ || finished_) return;
    auto status = local_.store().write([&](storage::WriteTransaction& txn) -> Status {
      MR_ASSIGN_OR_RETURN(auto temporary, find_collection(txn, target_.database, temporary_));
      return temporary ? erase_collection(txn, *temporary) : Status();
    });
    (void)
        status;  // what is left behind does no harm and is named so that everybody sees what it is
  }

  Status make() {
    temporary_ = "tmp.agg_out." + engine::ObjectId::generate().to_hex();
    MR_RETURN_IF_ERROR(local_.store().write([&](storage::WriteTransaction& txn) -> Status {
      MR_ASSIGN_OR_RETURN(auto existing,
                          find_collection(txn, target_.database, target_.collection));
      if (existing && existing->view) MR_RETURN_IF_ERROR(refuse_view(*existing));
      if (existing && existing->capped())
        return Status(17152,
                      "namespace '" + existing->ns() + "' is capped so it can't be used for $out");
      MR_ASSIGN_OR_RETURN(auto made, create_collection(txn, target_.database, temporary_,
                                                       existing ? existing->options : Document()));
      if (!existing) return {};
      for (const auto& index : existing->indexes) {
        if (index.is_id()) continue;
        MR_ASSIGN_OR_RETURN(auto id, storage::next_catalog_id(txn));
        made.indexes.push_back(make_index(id, index.spec));
      }
      return save_collection(txn, made);
    }));
    made_ = true;
    return {};
  }

  Status write(const std::deque<std::string>& documents) override {
    if (documents.empty()) return {};
    auto values = values_of(documents);
    MR_ASSIGN_OR_RETURN(auto result, insert_documents(local_, target_.database, temporary_,
                                                      Value::array(values), options_));
    return first_failure(result, "$out");
  }

  Status finish() override {
    finished_ = true;
    return local_.store().write([&](storage::WriteTransaction& txn) -> Status {
      MR_ASSIGN_OR_RETURN(auto existing,
                          find_collection(txn, target_.database, target_.collection));
      if (existing) MR_RETURN_IF_ERROR(erase_collection(txn, *existing));
      MR_ASSIGN_OR_RETURN(auto made, find_collection(txn, target_.database, temporary_));
      if (!made)
        return Status(ErrorCode::kOperationFailed,
                      "the result of $out was dropped before it was complete");
      MR_RETURN_IF_ERROR(storage::erase_catalog_entry(txn, made->ns()).status());
      made->name = target_.collection;
      return save_collection(txn, *made);
    });
  }

 private:
  LocalDatabase& local_;
  Target target_;
  WriteOptions options_;
  std::string temporary_;
  bool made_ = false;
  bool finished_ = false;
};

class MergeOutput final : public AggregateOutput {
 public:
  enum class Matched { kReplace, kMerge, kKeepExisting, kFail, kPipeline };
  enum class NotMatched { kInsert, kDiscard, kFail };

  MergeOutput(LocalDatabase& local, Target target, bool bypass)
      : local_(local), target_(std::move(target)), evaluation_(local.clock()) {
    options_.bypass_validation = bypass;
    options_.ordered = false;
  }

  Status parse(const Value& spec, const Value& command_let) {
    Value on;
    Value matched = Value::string("merge");
    Value not_matched = Value::string("insert");
    for (const auto& field : spec.as_object()) {
      if (field.has_name("into")) continue;
      if (field.has_name("on")) {
        on = field.value;
      } else if (field.has_name("whenMatched")) {
        matched = field.value;
      } else if (field.has_name("whenNotMatched")) {
        not_matched = field.value;
      } else if (field.has_name("let")) {
        let_ = field.value;
      } else {
        return Status(40415,
                      "BSON field '$merge." + std::string(field.name()) + "' is an unknown field.");
      }
    }
    if (let_.is(engine::Type::kNull)) let_ = Value();
    if (!let_.is_missing() && !let_.is_object()) {
      return Status(ErrorCode::kTypeMismatch, "BSON field '$merge.let' is the wrong type '" +
                                                  std::string(let_.type_name()) +
                                                  "', expected type 'object'");
    }
    MR_RETURN_IF_ERROR(read_matched(matched));
    MR_RETURN_IF_ERROR(read_not_matched(not_matched));
    MR_RETURN_IF_ERROR(read_on(on));
    if (!let_.is_missing() && !matched.is_array()) {
      return Status(51199, "Cannot use 'let' variables with 'whenMatched: " +
                               (matched.is_string() ? std::string(matched.as_string()) : "") +
                               "' mode");
    }
    Value own_new = let_.is_object() ? let_.as_object().get("new") : Value::missing();
    bool whole = own_new.is_string() && own_new.as_string() == "$$ROOT";
    if (!own_new.is_missing() && !whole) {
      return Status(51273,
                    "'let' may not define a value for the reserved 'new' variable other than "
                    "'$$ROOT'");
    }
    command_let_ = command_let;
    MR_RETURN_IF_ERROR(parse_let());
    bool needs_insert = matched_ == Matched::kKeepExisting || matched_ == Matched::kFail;
    if (needs_insert && not_matched_ != NotMatched::kInsert) {
      return Status(
          51181, "Combination of $merge modes 'whenMatched: " + std::string(matched.as_string()) +
                     "' and 'whenNotMatched: " + std::string(not_matched.as_string()) +
                     "' is not supported");
    }
    return check_on();
  }

  Status write(const std::deque<std::string>& documents) override {
    if (documents.empty()) return {};
    arena_.reset();
    if (matched_ == Matched::kFail) return insert(documents);
    std::vector<UpdateStatement> statements;
    for (const auto& document : documents) {
      MR_ASSIGN_OR_RETURN(auto statement, make_statement(Value::bson_object(document.data())));
      statements.push_back(std::move(statement));
    }
    MR_ASSIGN_OR_RETURN(auto result, update_documents(local_, target_.database, target_.collection,
                                                      statements, options_));
    MR_RETURN_IF_ERROR(first_failure(result, "$merge"));
    if (not_matched_ == NotMatched::kFail &&
        result.matched < static_cast<int64_t>(statements.size())) {
      return Status(13113,
                    "$merge could not find a matching document in the target collection for at "
                    "least one document in the source collection");
    }
    return {};
  }
  Status finish() override { return {}; }

 private:
  Status parse_let() {
    if (!let_.is_object()) return {};
    MR_RETURN_IF_ERROR(evaluation_.bind(command_let_));
    for (const auto& field : let_.as_object()) {
      MR_RETURN_IF_ERROR(engine::check_variable_name(field.name()));
      MR_ASSIGN_OR_RETURN(auto expression,
                          engine::parse_expression(field.value, evaluation_.parse()));
      variables_.emplace_back(field.name(), std::move(expression));
    }
    evaluation_.ready();
    return {};
  }

  Status read_matched(const Value& matched) {
    if (matched.is_array()) {
      matched_ = Matched::kPipeline;
      pipeline_ = matched;
      return {};
    }
    if (!matched.is_string()) {
      return Status(51191,
                    "$merge 'whenMatched' field  must be either a string or an array, but found " +
                        std::string(matched.type_name()));
    }
    constexpr std::array<std::pair<std::string_view, Matched>, 4> kModes = {
        {{"replace", Matched::kReplace},
         {"merge", Matched::kMerge},
         {"keepExisting", Matched::kKeepExisting},
         {"fail", Matched::kFail}}};
    for (const auto& [name, mode] : kModes) {
      if (matched.as_string() != name) continue;
      matched_ = mode;
      return {};
    }
    return Status(ErrorCode::kBadValue,
                  "Enumeration value for field '$merge.whenMatched' is not a valid value.");
  }

  Status read_not_matched(const Value& not_matched) {
    if (!not_matched.is_string()) {
      return Status(ErrorCode::kTypeMismatch,
                    "BSON field '$merge.whenNotMatched' is the wrong type '" +
                        std::string(not_matched.type_name()) + "', expected type 'string'");
    }
    std::string_view mode = not_matched.as_string();
    if (mode != "insert" && mode != "discard" && mode != "fail") {
      return Status(ErrorCode::kBadValue,
                    "Enumeration value for field '$merge.whenNotMatched' is not a valid value.");
    }
    not_matched_ = mode == "insert"    ? NotMatched::kInsert
                   : mode == "discard" ? NotMatched::kDiscard
                                       : NotMatched::kFail;
    return {};
  }

  Status read_on(const Value& on) {
    if (on.is_missing()) {
      on_ = {"_id"};
    } else if (on.is_string()) {
      on_ = {std::string(on.as_string())};
    } else if (!on.is_array()) {
      return Status(51186, "$merge 'on' field must be a string or an array of strings");
    } else if (on.as_array().empty()) {
      return Status(51187, "If explicitly specifying $merge 'on', must include at least one field");
    } else {
      for (const Value& field : on.as_array()) {
        if (!field.is_string()) return Status(51134, "$merge 'on' array elements must be strings");
        on_.emplace_back(field.as_string());
      }
    }
    engine::NameTable names;
    for (const auto& path : on_) MR_RETURN_IF_ERROR(engine::parse_field_path(path, names).status());
    return {};
  }

  // The fields must be those of a unique index, so that at most one document matches.
  Status check_on() {
    for (size_t i = 0; i < on_.size(); ++i) {
      if (std::find(on_.begin(), on_.begin() + static_cast<ptrdiff_t>(i), on_[i]) !=
          on_.begin() + static_cast<ptrdiff_t>(i))
        return Status(31465, "Found a duplicate field '" + on_[i] + "'");
    }
    MR_ASSIGN_OR_RETURN(auto collection, local_.find(target_.database, target_.collection));
    bool unique = on_.size() == 1 && on_.front() == "_id";
    for (const auto& index : collection ? collection->indexes : std::vector<IndexInfo>{}) {
      if (!index.unique || index.fields.size() != on_.size() ||
          !index.partial_filter().is_missing())
        continue;
      bool same = true;
      for (const auto& field : index.fields)
        same = same && std::find(on_.begin(), on_.end(), field.path) != on_.end();
      unique = unique || same;
    }
    if (!unique)
      return Status(51183, "Cannot find index to verify that join fields will be unique");
    return {};
  }

  Result<UpdateStatement> make_statement(const Value& document) {
    UpdateStatement statement;
    ObjectBuilder query(arena_, on_.size());
    engine::CompiledMemory memory;
    for (const auto& path : on_) {
      MR_ASSIGN_OR_RETURN(auto parts, engine::parse_field_path(path, memory.names));
      Value value = engine::get_path(document, parts.parts.data(), parts.parts.size(), arena_);
      if (value.is_nullish() && !(value.is_missing() && path == "_id")) {
        return Status(51132, "$merge write error: 'on' field '" + path +
                                 "' cannot be missing, null, undefined or an array");
      }
      if (value.is_array())
        return Status(51185, "$merge write error: 'on' field '" + path + "' cannot be an array");
      query.add(path,
                value.is_missing()
                    ? Value::object_id(arena_.make<engine::ObjectId>(engine::ObjectId::generate()))
                    : value);
    }
    statement.spec.query = query.finish();
    statement.upsert = not_matched_ == NotMatched::kInsert;
    statement.spec.let = command_let_;
    switch (matched_) {
      case Matched::kReplace:
        statement.spec.update = document;
        return statement;
      case Matched::kMerge:
        set_pipeline(statement, document, "$$ROOT", "$$new");
        return statement;
      case Matched::kKeepExisting:
        set_on_insert(statement, document);
        return statement;
      default:
        break;
    }
    statement.upsert_supplied = statement.upsert;  // what is inserted is the document as it came
    statement.spec.update = pipeline_;
    MR_ASSIGN_OR_RETURN(statement.spec.constants, constants(document));
    return statement;
  }

  // [{$replaceWith: {$mergeObjects: [first, second]}}] with the new document as $$new.
  void set_pipeline(UpdateStatement& statement, const Value& document, std::string_view first,
                    std::string_view second) {
    if (merge_.is_missing()) {
      engine::BsonWriter writer;
      writer.begin_document();
      writer.begin_array("pipeline"), writer.begin_object("0"), writer.begin_object("$replaceWith"),
          writer.begin_array("$mergeObjects");
      writer.append_element(0, Value::string(first));
      writer.append_element(1, Value::string(second));
      writer.end(), writer.end(), writer.end(), writer.end();
      writer.end();
      merge_document_ = Document(writer.bytes());
      merge_ = merge_document_.get("pipeline");
    }
    statement.spec.update = merge_;
    ObjectBuilder constants(arena_, 1);
    constants.add("new", document);
    statement.spec.constants = constants.finish();
    statement.spec.let = Value::missing();
  }

  void set_on_insert(UpdateStatement& statement, const Value& document) {
    ObjectBuilder fields(arena_);
    for (const auto& field : document.as_object()) fields.add(field.name(), field.value);
    ObjectBuilder update(arena_, 1);
    update.add("$setOnInsert", fields.finish());
    statement.spec.update = update.finish();
  }

  Result<Value> constants(const Value& document) {
    ObjectBuilder variables(arena_);
    if (!let_.is_object()) {
      variables.add("new", document);
      return variables.finish();
    }
    evaluation_.eval().root = document;
    bool has_new = false;
    for (const auto& [name, expression] : variables_) {
      evaluation_.arena().reset();
      try {
        variables.add(name, engine::deep_copy(expression->evaluate(evaluation_.eval()), arena_));
      } catch (const engine::EvaluationError& error) {
        return error.status();
      }
      has_new = has_new || name == "new";
    }
    if (!has_new) variables.add("new", document);
    return variables.finish();
  }

  Status insert(const std::deque<std::string>& documents) {
    auto values = values_of(documents);
    MR_ASSIGN_OR_RETURN(auto result, insert_documents(local_, target_.database, target_.collection,
                                                      Value::array(values), options_));
    return first_failure(result, "$merge");
  }

  LocalDatabase& local_;
  Target target_;
  WriteOptions options_;
  Matched matched_ = Matched::kMerge;
  NotMatched not_matched_ = NotMatched::kInsert;
  std::vector<std::string> on_;
  Value let_;
  Evaluation evaluation_;
  std::vector<std::pair<std::string, engine::ExpressionPtr>> variables_;  // of `let`
  Value command_let_;
  Value pipeline_;
  Document merge_document_;
  Value merge_;
  Arena arena_;
};

}  // namespace

Result<std::unique_ptr<AggregateOutput>> AggregateOutput::parse(const Value& stage,
                                                                LocalDatabase& local,
                                                                std::string_view database,
                                                                const Value& let,
                                                                bool bypass_validation) {
  auto field = *stage.as_object().begin();
  if (field.has_name("$out")) {
    MR_ASSIGN_OR_RETURN(auto target, read_target(field.value, database, "$out"));
    auto output = std::make_unique<OutOutput>(local, std::move(target), bypass_validation);
    MR_RETURN_IF_ERROR(output->make());
    return std::unique_ptr<AggregateOutput>(std::move(output));
  }
  Value into = field.value.is_object() ? field.value.as_object().get("into") : field.value;
  if (!field.value.is_string() && !field.value.is_object()) {
    return Status(ErrorCode::kTypeMismatch,
                  "$merge only supports a string or object argument, but found " +
                      std::string(field.value.type_name()));
  }
  if (into.is_missing())
    return Status(40414, "BSON field '$merge.into' is missing but a required field");
  MR_ASSIGN_OR_RETURN(auto target, read_target(into, database, "$merge"));
  auto output = std::make_unique<MergeOutput>(local, std::move(target), bypass_validation);
  Document empty;
  MR_RETURN_IF_ERROR(output->parse(field.value.is_object() ? field.value : empty.value(), let));
  return std::unique_ptr<AggregateOutput>(std::move(output));
}

}  // namespace millrace::commands
