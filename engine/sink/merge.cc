// $merge: its options, and the encoder that evaluates per document what is not fixed.
#include "engine/sink/merge.h"

#include <algorithm>
#include <array>

#include "engine/connection/options.h"
#include "engine/expression/variable_name.h"
#include "engine/sink/dynamic_option.h"
#include "engine/sink/sinks.h"

namespace millrace::engine {

namespace {

struct MatchedWord {
  std::string_view name;
  WhenMatched action;
};
constexpr std::array kMatchedWords = {
    MatchedWord{"delete", WhenMatched::kDelete},
    MatchedWord{"keepExisting", WhenMatched::kKeepExisting},
    MatchedWord{"merge", WhenMatched::kMerge},
    MatchedWord{"replace", WhenMatched::kReplace},
};

}  // namespace

std::optional<WhenMatched> parse_when_matched(std::string_view word) {
  for (const MatchedWord& row : kMatchedWords) {
    if (row.name == word) return row.action;
  }
  return std::nullopt;
}

std::optional<WhenNotMatched> parse_when_not_matched(std::string_view word) {
  if (word == "insert") return WhenNotMatched::kInsert;
  if (word == "discard") return WhenNotMatched::kDiscard;
  return std::nullopt;
}

namespace {

struct LetVariable {
  std::string name;
  ExpressionPtr value;
};

class MergeEncoder final : public SinkEncoder {
 public:
  // What is null is fixed.
  struct Dynamic {
    ExpressionPtr database;
    ExpressionPtr collection;
    ExpressionPtr when_matched;
    ExpressionPtr when_not_matched;
    std::vector<LetVariable> let;

    bool any() const {
      return database || collection || when_matched || when_not_matched || !let.empty();
    }
  };

  MergeEncoder(std::vector<FieldPath> on, Dynamic dynamic)
      : on_(std::move(on)), dynamic_(std::move(dynamic)) {
    on_has_id_ = std::any_of(on_.begin(), on_.end(), [](const FieldPath& path) {
      return path.size() == 1 && path.parts[0] == "_id";
    });
  }

  std::string_view name() const override { return kMergeOperatorName; }

  void dependencies(Dependencies& dependencies) const override {
    dependencies.fields.add_all();
    for (const auto* expression : {&dynamic_.database, &dynamic_.collection, &dynamic_.when_matched,
                                   &dynamic_.when_not_matched}) {
      if (*expression) (*expression)->add_dependencies(dependencies);
    }
    for (const LetVariable& variable : dynamic_.let) variable.value->add_dependencies(dependencies);
  }

  void encode(const StreamDocument& document, OperatorContext& context,
              OutputBatch& batch) override {
    EvalContext& eval = context.eval;
    Value body = document.body;
    // As the server does: an _id is made only where it identifies the document; else the target
    // makes one when it inserts.
    if (on_has_id_ && body.as_object().get("_id").is_missing()) body = with_id(body, *eval.arena);
    for (const FieldPath& path : on_) check_on(path, body, *eval.arena);
    append(body, batch, dynamic_.any() ? route(eval) : Value());
  }

 private:
  static Value with_id(const Value& body, Arena& arena) {
    ObjectBuilder builder(arena, 16);
    builder.add("_id", Value::object_id(arena.make<ObjectId>(ObjectId::generate())));
    for (const Field& field : body.as_object()) builder.add(field.name(), field.value);
    return builder.finish();
  }

  // The server's rule for fields that identify a document (51132 and 51185). An _id may be null, as
  // that of a group over everything is.
  static void check_on(const FieldPath& path, const Value& body, Arena& arena) {
    Value value = path.size() == 1 ? body.as_object().get(path.parts[0])
                                   : get_path(body, path.parts.data(), path.size(), arena);
    bool is_id = path.size() == 1 && path.parts[0] == "_id";
    if (value.is_nullish() && !is_id)
      fail_evaluation(51132, "$merge write error: 'on' field '" + path.dotted() +
                                 "' cannot be missing, null, undefined or an array");
    if (value.is_array())
      fail_evaluation(51185, "$merge write error: 'on' field '" + path.dotted() + "' is an array");
  }

  Value route(EvalContext& eval) const {
    ObjectBuilder builder(*eval.arena);
    if (dynamic_.database)
      builder.add(merge_route::kDatabase,
                  evaluate_target(*dynamic_.database, eval, "$merge.into.db"));
    if (dynamic_.collection)
      builder.add(merge_route::kCollection,
                  evaluate_target(*dynamic_.collection, eval, "$merge.into.coll"));
    if (dynamic_.when_matched) {
      Value word = dynamic_.when_matched->evaluate(eval);
      auto action = word.is_string() ? parse_when_matched(word.as_string()) : std::nullopt;
      if (!action)
        fail_evaluation(
            ErrorCode::kBadValue,
            "$merge.whenMatched must give replace, keepExisting, merge or delete, not " +
                shown(word));
      builder.add(merge_route::kWhenMatched, Value::int32(static_cast<int32_t>(*action)));
    }
    if (dynamic_.when_not_matched) {
      Value word = dynamic_.when_not_matched->evaluate(eval);
      auto action = word.is_string() ? parse_when_not_matched(word.as_string()) : std::nullopt;
      if (!action)
        fail_evaluation(ErrorCode::kBadValue,
                        "$merge.whenNotMatched must give insert or discard, not " + shown(word));
      builder.add(merge_route::kWhenNotMatched, Value::int32(static_cast<int32_t>(*action)));
    }
    if (!dynamic_.let.empty()) builder.add(merge_route::kLet, let_values(eval));
    return builder.finish();
  }

  // An update command's constants cannot be missing: null stands for it.
  Value let_values(EvalContext& eval) const {
    ObjectBuilder values(*eval.arena, dynamic_.let.size());
    for (const LetVariable& variable : dynamic_.let) {
      Value value = variable.value->evaluate(eval);
      values.add(variable.name, value.is_missing() ? Value::null() : value);
    }
    return values.finish();
  }

  // Configuration.
  const std::vector<FieldPath> on_;
  const Dynamic dynamic_;
  bool on_has_id_ = false;
};

class MergeParser {
 public:
  explicit MergeParser(SinkContext& context)
      : context_(context), options_(context.spec, "$merge") {}

  Result<Sink> parse() {
    MR_RETURN_IF_ERROR(
        options_.only({"into", "on", "let", "whenMatched", "whenNotMatched", "parallelism"}));
    plan_.connection = context_.connection;
    plan_.clusters = context_.clusters;
    MR_RETURN_IF_ERROR(parse_into());
    MR_RETURN_IF_ERROR(parse_on());
    MR_RETURN_IF_ERROR(parse_when_matched_option());
    MR_RETURN_IF_ERROR(parse_when_not_matched_option());
    if (!dynamic_.when_matched && !dynamic_.when_not_matched &&
        plan_.when_matched == WhenMatched::kKeepExisting &&
        plan_.when_not_matched == WhenNotMatched::kDiscard) {
      return invalid(
          "$merge with whenMatched 'keepExisting' and whenNotMatched 'discard' would never write "
          "anything");
    }
    MR_ASSIGN_OR_RETURN(auto parallelism, options_.integer("parallelism", 1, 64));
    if (parallelism.value_or(1) > 1)
      return options_.error("parallelism", "above 1 is not supported by Millrace yet");
    Sink sink;
    sink.encoder = std::make_unique<MergeEncoder>(plan_.on, std::move(dynamic_));
    sink.writer = make_merge_writer(std::move(plan_));
    return sink;
  }

 private:
  static Status invalid(std::string text) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(text));
  }

  Status parse_into() {
    Options into = options_.sub("into");
    if (!options_.get("into").is_object()) return options_.wrong_type("into", "an object");
    MR_RETURN_IF_ERROR(into.only({"connectionName", "db", "coll"}));
    MR_ASSIGN_OR_RETURN(DynamicOption database, parse_dynamic_option(into, "db", context_.parse));
    MR_ASSIGN_OR_RETURN(DynamicOption collection,
                        parse_dynamic_option(into, "coll", context_.parse));
    plan_.database = std::move(database.fixed);
    plan_.collection = std::move(collection.fixed);
    dynamic_.database = std::move(database.expression);
    dynamic_.collection = std::move(collection.expression);
    return {};
  }

  Status add_on(const Value& value) {
    if (!value.is_string()) return options_.error("on", "must be a string or an array of strings");
    MR_ASSIGN_OR_RETURN(FieldPath path,
                        parse_field_path(value.as_string(), context_.parse.names()));
    for (const FieldPath& other : plan_.on) {
      if (other.parts == path.parts)
        return options_.error("on", "names the field '" + path.dotted() + "' twice");
    }
    plan_.on.push_back(std::move(path));
    return {};
  }

  Status parse_on() {
    Value on = options_.get("on");
    if (on.is_missing()) return add_on(Value::string("_id"));
    if (!on.is_array()) return add_on(on);
    if (on.as_array().empty()) return options_.error("on", "must not be empty");
    for (const Value& element : on.as_array()) MR_RETURN_IF_ERROR(add_on(element));
    return {};
  }

  Status parse_when_matched_option() {
    Value value = options_.get("whenMatched");
    if (value.is_array()) {
      plan_.when_matched = WhenMatched::kPipeline;
      return parse_update_pipeline(value);
    }
    if (options_.has("let"))
      return options_.error("let", "is only allowed beside a whenMatched pipeline");
    if (value.is_missing()) return {};
    MR_ASSIGN_OR_RETURN(DynamicOption option,
                        parse_dynamic_option(options_, "whenMatched", context_.parse));
    dynamic_.when_matched = std::move(option.expression);
    if (dynamic_.when_matched) return {};
    if (option.fixed == "fail")
      return options_.error("whenMatched",
                            "must be replace, keepExisting, merge, delete or a pipeline: 'fail' is "
                            "not available in a stream processor");
    auto action = parse_when_matched(option.fixed);
    if (!action)
      return options_.error(
          "whenMatched",
          "must be replace, keepExisting, merge, delete or a pipeline, not '" + option.fixed + "'");
    plan_.when_matched = *action;
    return {};
  }

  Status parse_when_not_matched_option() {
    if (!options_.has("whenNotMatched")) return {};
    MR_ASSIGN_OR_RETURN(DynamicOption option,
                        parse_dynamic_option(options_, "whenNotMatched", context_.parse));
    dynamic_.when_not_matched = std::move(option.expression);
    if (dynamic_.when_not_matched) return {};
    if (option.fixed == "fail")
      return options_.error(
          "whenNotMatched",
          "must be insert or discard: 'fail' is not available in a stream processor");
    auto action = parse_when_not_matched(option.fixed);
    if (!action)
      return options_.error("whenNotMatched",
                            "must be insert or discard, not '" + option.fixed + "'");
    plan_.when_not_matched = *action;
    return {};
  }

  Status parse_let() {
    Value let = options_.get("let");
    if (let.is_missing()) return {};
    if (!let.is_object()) return options_.wrong_type("let", "an object");
    for (const Field& field : let.as_object()) {
      if (field.name() == "new") {
        if (field.value.is_string() && field.value.as_string() == "$$ROOT")
          continue;  // what it is anyway
        return options_.error("let", "must not give another value to the reserved variable 'new'");
      }
      MR_RETURN_IF_ERROR(check_variable_name(field.name()));
      MR_ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression(field.value, context_.parse));
      dynamic_.let.push_back({std::string(field.name()), std::move(value)});
    }
    return {};
  }

  // The target evaluates the pipeline, so what a stream must not know ($$NOW) is allowed in it;
  // parsing it here finds mistakes early.
  Status parse_update_pipeline(const Value& pipeline) {
    MR_RETURN_IF_ERROR(parse_let());
    ParseContext& parse = context_.stage.parse;
    bool in_stream = parse.in_stream;
    parse.in_stream = false;
    parse.define_variable("new");
    for (const LetVariable& variable : dynamic_.let) parse.define_variable(variable.name);
    auto stages = context_.stage.builder.build(pipeline, Place::kUpdate, context_.stage);
    parse.end_variables(dynamic_.let.size() + 1);
    parse.in_stream = in_stream;
    MR_RETURN_IF_ERROR(stages.status());
    BsonWriter writer;
    writer.begin_document();
    writer.append("pipeline", pipeline);
    writer.end();
    plan_.update = Document(writer.bytes());
    return {};
  }

  SinkContext& context_;
  Options options_;
  MergePlan plan_;
  MergeEncoder::Dynamic dynamic_;
};

}  // namespace

Result<Sink> parse_merge_sink(SinkContext& context) { return MergeParser(context).parse(); }

}  // namespace millrace::engine
