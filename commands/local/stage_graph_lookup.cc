// $graphLookup: what can be reached in another collection, step by step.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/graphLookup/ ; codes:
// 6.0.5.
#include <set>

#include "commands/local/aggregate_stages.h"
#include "commands/local/field_set.h"
#include "commands/local/foreign_field.h"
#include "commands/local/index_keys.h"
#include "commands/local/name_check.h"
#include "engine/document/compare.h"
#include "engine/expression/number.h"
#include "engine/match/match.h"

namespace millrace::commands {

using engine::Arena;
using engine::Batch;
using engine::Dependencies;
using engine::ErrorCode;
using engine::FieldPath;
using engine::Operator;
using engine::OperatorContext;
using engine::OperatorPtr;
using engine::Result;
using engine::StageContext;
using engine::Status;
using engine::StreamDocument;
using engine::Value;

namespace {

constexpr size_t kMaxBytes = size_t{100} << 20;  // of what one document reaches, as 6.0.5 has it

class GraphLookupOperator final : public Operator {
 public:
  struct Parts {
    std::unique_ptr<ForeignField> connect_to;
    engine::ExpressionPtr start_with;
    FieldPath connect_from;
    FieldPath as;
    FieldPath depth_field;          // empty: none
    int64_t max_depth = -1;         // -1: none
    engine::PredicatePtr restrict;  // null: none
  };
  explicit GraphLookupOperator(Parts parts) : parts_(std::move(parts)) {}

  std::string_view name() const override { return "GraphLookupOperator"; }
  void dependencies(Dependencies& dependencies) const override { dependencies.fields.add_all(); }

  void on_batch(Batch& batch, OperatorContext& context) override {
    for (StreamDocument& document : batch.documents) {
      context.eval.root = document.body;
      context.eval.arena = &batch.arena;
      Value found = search(parts_.start_with->evaluate(context.eval), batch.arena, context);
      document.body = with_nested_field(document.body, parts_.as.parts, found, batch.arena);
      document.record = nullptr;
    }
  }

 private:
  using Keys = ForeignField::Keys;

  // Level by level, each document once.
  Value search(const Value& start, Arena& arena, OperatorContext& context) {
    engine::ArrayBuilder result(arena);
    std::set<std::string> visited;  // _ids
    std::set<ForeignField::Key> asked;
    Keys frontier;
    ForeignField::add_keys_of_value(start, frontier);
    size_t bytes = 0;
    for (int64_t depth = 0; !frontier.empty(); ++depth) {
      if (parts_.max_depth >= 0 && depth > parts_.max_depth) break;
      asked.insert(frontier.begin(), frontier.end());
      std::vector<std::vector<Value>> found;
      auto status = parts_.connect_to->find({std::move(frontier)}, found);
      if (!status.ok()) throw engine::EvaluationError(status);
      frontier.clear();
      std::set<ForeignField::Key> next;
      for (const Value& document : found.front()) {
        if (!wanted(document, context) || !visit(document, visited)) continue;
        bytes += engine::bson_size(document);
        if (bytes > kMaxBytes)
          engine::fail_evaluation(40099, "$graphLookup reached maximum memory consumption");
        result.add(shown(document, depth, arena));
        for (auto& key : ForeignField::keys_of_field(parts_.connect_from, document)) {
          if (!asked.contains(key)) next.insert(std::move(key));
        }
      }
      frontier.assign(next.begin(), next.end());
    }
    return result.finish();
  }

  bool wanted(const Value& document, OperatorContext& context) const {
    if (!parts_.connect_to->in(document)) return false;  // found by null, which is not missing here
    if (parts_.restrict == nullptr) return true;
    Value outer = context.eval.root;
    context.eval.root = document;
    bool matches = parts_.restrict->matches(document, context.eval);
    context.eval.root = outer;
    return matches;
  }
  static bool visit(const Value& document, std::set<std::string>& visited) {
    engine::BsonWriter writer;
    writer.begin_document();
    writer.append("", document.as_object().get("_id"));
    writer.end();
    return visited.emplace(writer.bytes()).second;
  }
  Value shown(const Value& document, int64_t depth, Arena& arena) const {
    Value copy = engine::deep_copy(document, arena);
    if (parts_.depth_field.parts.empty()) return copy;
    return with_field(copy, parts_.depth_field.parts, Value::int64(depth), arena);
  }

  Parts parts_;
};

Status parse_max_depth(const Value& value, int64_t* depth) {
  if (!value.is_number()) {
    return Status(40100, "maxDepth must be numeric, found type: " + std::string(value.type_name()));
  }
  if (value.to_double() < 0) {
    return Status(40101, "maxDepth requires a nonnegative argument, found: " + shell_text(value));
  }
  auto whole = engine::whole_int64(value);
  if (!whole) {
    return Status(40102, "maxDepth could not be represented as a long long: " + shell_text(value));
  }
  *depth = *whole;
  return {};
}

Status check_from(const Value& from, std::string_view database) {
  if (from.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "$graphLookup with syntax {from: {db:<>, coll:<>},..} is not supported");
  }
  if (!from.is_string()) {
    return Status(
        ErrorCode::kFailedToParse,
        "$graphLookup 'from' field must be a string, but found " + std::string(from.type_name()));
  }
  std::string_view name = from.as_string();
  if (name.empty()) {
    return Status(ErrorCode::kInvalidNamespace,
                  "invalid $graphLookup namespace: " + namespace_of(database, name));
  }
  return check_foreign_name(name);
}

}  // namespace

Result<OperatorPtr> parse_graph_lookup(const Value& spec, StageContext& context,
                                       AggregateBuilder& builder) {
  if (!spec.is_object()) {
    return Status(ErrorCode::kFailedToParse,
                  "the $graphLookup stage specification must be an object, but found " +
                      std::string(spec.type_name()));
  }
  GraphLookupOperator::Parts parts;
  Value from;
  Value connect_to;
  auto& names = context.parse.names();
  for (const auto& field : spec.as_object()) {
    const Value& value = field.value;
    if (field.has_name("startWith")) {
      MR_ASSIGN_OR_RETURN(parts.start_with, engine::parse_expression(value, context.parse));
      continue;
    }
    if (field.has_name("maxDepth")) {
      MR_RETURN_IF_ERROR(parse_max_depth(value, &parts.max_depth));
      continue;
    }
    if (field.has_name("restrictSearchWithMatch")) {
      if (!value.is_object()) {
        return Status(40185, "restrictSearchWithMatch must be an object, found " +
                                 std::string(value.type_name()));
      }
      auto predicate = engine::parse_predicate(value, context.parse);
      if (!predicate.ok()) {
        return Status(predicate.status().code(),
                      "Failed to parse 'restrictSearchWithMatch' option to $graphLookup :: caused "
                      "by :: " +
                          predicate.status().message());
      }
      parts.restrict = std::move(predicate).value();
      continue;
    }
    if (field.has_name("from")) {
      MR_RETURN_IF_ERROR(check_from(value, builder.scope().database));
      from = value;
      continue;
    }
    bool path = field.has_name("as") || field.has_name("connectFromField") ||
                field.has_name("connectToField") || field.has_name("depthField");
    if (path && value.is_object()) {
      return Status(13111,
                    "wrong type for field (" + std::string(field.name()) + ") object != string");
    }
    if (path && !value.is_string()) {
      return Status(40103, "expected string as argument for " + std::string(field.name()) +
                               ", found: " + std::string(value.type_name()));
    }
    if (!path)
      return Status(40104, "Unknown argument to $graphLookup: " + std::string(field.name()));
    if (value.as_string().empty() && !field.has_name("depthField")) continue;  // not specified
    MR_ASSIGN_OR_RETURN(auto parsed, engine::parse_field_path(value.as_string(), names));
    if (field.has_name("as")) parts.as = std::move(parsed);
    if (field.has_name("depthField")) parts.depth_field = std::move(parsed);
    if (field.has_name("connectFromField")) parts.connect_from = std::move(parsed);
    if (field.has_name("connectToField")) connect_to = value;
  }
  if (from.is_missing()) {
    return Status(ErrorCode::kFailedToParse,
                  "missing 'from' option to $graphLookup stage specification: " + shell_text(spec));
  }
  if (parts.start_with == nullptr || parts.as.parts.empty() || parts.connect_from.parts.empty() ||
      connect_to.is_missing()) {
    return Status(40105,
                  "$graphLookup requires 'from', 'as', 'startWith', 'connectFromField', and "
                  "'connectToField' to be specified.");
  }
  parts.connect_to =
      std::make_unique<ForeignField>(from.as_string(), connect_to.as_string(), builder);
  return OperatorPtr(std::make_unique<GraphLookupOperator>(std::move(parts)));
}

}  // namespace millrace::commands
