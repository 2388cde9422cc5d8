#include "engine/expression/expression.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "engine/document/bson.h"
#include "engine/expression/limits.h"
#include "engine/expression/registry.h"
#include "engine/expression/variable_name.h"

namespace millrace::engine {
namespace {

constexpr int kMaxExpressionDepth = 200;

class Constant final : public Expression {
 public:
  explicit Constant(Value value) : value_(value) {}
  Value evaluate(EvalContext&) const override { return value_; }
  void add_dependencies(Dependencies&) const override {}
  const Value* constant() const override { return &value_; }

 private:
  Value value_;
};

// A path below some value.
class PathWalker {
 public:
  explicit PathWalker(FieldPath path) : path_(std::move(path)) {
    for (std::string_view name : path_.parts) parts_.push_back({name, 0});
  }

  Value walk(const Value& from, Arena& arena) const {
    const Value* at = &from;
    for (const Part& part : parts_) {
      if (!at->is_object() || !at->is_tree()) [[unlikely]]
        return walk_values(*at, static_cast<size_t>(&part - parts_.data()), arena);
      auto fields = at->tree_fields();
      if (part.hint >= fields.size() || !fields[part.hint].has_name(part.name)) [[unlikely]] {
        if (!search(fields, part)) return {};
      }
      at = &fields[part.hint].value;
    }
    return *at;
  }
  const FieldPath& path() const { return path_; }

 private:
  struct Part {
    std::string_view name;
    // Where it stood last time: documents of one stream mostly have one shape.
    mutable uint32_t hint;
  };
  static bool search(std::span<const Field> fields, const Part& part) {
    for (uint32_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].has_name(part.name)) continue;
      part.hint = i;
      return true;
    }
    return false;
  }
  // From part `next` on, whatever form the values have.
  Value walk_values(Value from, size_t next, Arena& arena) const {
    for (; next < parts_.size(); ++next) {
      if (!from.is_object()) {
        if (!from.is_array()) return {};
        return get_path(from, &path_.parts[next], path_.parts.size() - next, arena);
      }
      from = from.as_object().get(parts_[next].name);
    }
    return from;
  }

  FieldPath path_;
  std::vector<Part> parts_;
};

class FieldPathExpression final : public Expression {
 public:
  explicit FieldPathExpression(FieldPath path) : walker_(std::move(path)) {}
  Value evaluate(EvalContext& context) const override {
    return walker_.walk(context.root, *context.arena);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    dependencies.fields.add(walker_.path());
  }

 private:
  PathWalker walker_;
};

class VariableExpression final : public Expression {
 public:
  VariableExpression(size_t slot, FieldPath path) : slot_(slot), walker_(std::move(path)) {}
  Value evaluate(EvalContext& context) const override {
    return walker_.walk(context.variables[slot_], *context.arena);
  }
  void add_dependencies(Dependencies&) const override {
  }  // what the variable holds was counted where it is bound

 private:
  size_t slot_;
  PathWalker walker_;
};

class NowExpression final : public Expression {
 public:
  Value evaluate(EvalContext& context) const override { return Value::date(context.now_ms); }
  void add_dependencies(Dependencies&) const override {}
};

// $$CLUSTER_TIME: the second of $$NOW.
class ClusterTimeExpression final : public Expression {
 public:
  Value evaluate(EvalContext& context) const override {
    return Value::timestamp(static_cast<uint32_t>(context.now_ms / 1000), 1);
  }
  void add_dependencies(Dependencies&) const override {}
};

class ObjectExpression final : public Expression {
 public:
  ObjectExpression(std::vector<std::string_view> names, std::vector<ExpressionPtr> values)
      : names_(std::move(names)), values_(std::move(values)) {}
  Value evaluate(EvalContext& context) const override {
    ObjectBuilder object(*context.arena, names_.size());
    for (size_t i = 0; i < names_.size(); ++i) object.add(names_[i], values_[i]->evaluate(context));
    return checked_depth(object.finish());
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& value : values_) value->add_dependencies(dependencies);
  }

 private:
  std::vector<std::string_view> names_;
  std::vector<ExpressionPtr> values_;
};

class ArrayExpression final : public Expression {
 public:
  explicit ArrayExpression(std::vector<ExpressionPtr> elements) : elements_(std::move(elements)) {}
  Value evaluate(EvalContext& context) const override {
    ArrayBuilder array(*context.arena, elements_.size());
    for (const auto& element : elements_) {
      Value v = element->evaluate(context);
      array.add(v.is_missing() ? Value::null() : v);
    }
    return checked_depth(array.finish());
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& element : elements_) element->add_dependencies(dependencies);
  }

 private:
  std::vector<ExpressionPtr> elements_;
};

class CallExpression final : public Expression {
 public:
  CallExpression(EagerFunction evaluate, std::vector<ExpressionPtr> arguments)
      : evaluate_(evaluate), arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    size_t n = arguments_.size();
    alignas(Value)
        std::byte few[kFewArguments * sizeof(Value)];  // not an array of Value: constructing eight
                                                       // for two costs more than adding them
    Value* values = n <= kFewArguments ? reinterpret_cast<Value*>(few)
                                       : context.arena->allocate_array<Value>(n);
    for (size_t i = 0; i < n; ++i) new (&values[i]) Value(arguments_[i]->evaluate(context));
    return checked_depth(evaluate_(context, {values, n}));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& argument : arguments_) argument->add_dependencies(dependencies);
  }

 private:
  static constexpr size_t kFewArguments = 8;
  EagerFunction evaluate_;
  std::vector<ExpressionPtr> arguments_;
};

// A call of an operator that looks at its arguments one after the other: a null, an argument that
// it refuses, or one that settles the answer (false), counts before the error of one behind it.
class OrderedCallExpression final : public Expression {
 public:
  OrderedCallExpression(EagerFunction evaluate, std::vector<ExpressionPtr> arguments)
      : evaluate_(evaluate), arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    size_t n = arguments_.size();
    alignas(Value) std::byte few[kFewArguments * sizeof(Value)];
    Value* values = n <= kFewArguments ? reinterpret_cast<Value*>(few)
                                       : context.arena->allocate_array<Value>(n);
    size_t i = 0;
    try {
      for (; i < n; ++i) new (&values[i]) Value(arguments_[i]->evaluate(context));
    } catch (const EvaluationError&) {
      if (i > 0) {
        Value before = evaluate_(context, {values, i});
        if (before.is_nullish() || (before.is(Type::kBool) && !before.as_bool())) return before;
      }
      throw;
    }
    return checked_depth(evaluate_(context, {values, n}));
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& argument : arguments_) argument->add_dependencies(dependencies);
  }
  bool calls(EagerFunction function) const { return evaluate_ == function; }
  std::vector<ExpressionPtr> take_arguments() { return std::move(arguments_); }

 private:
  static constexpr size_t kFewArguments = 8;
  EagerFunction evaluate_;
  std::vector<ExpressionPtr> arguments_;
};

// Their functions can be given the first arguments alone.
constexpr std::array<std::string_view, 13> kOrderedCalls = {
    "$add",       "$atan2",    "$concat",       "$concatArrays", "$indexOfBytes",
    "$indexOfCP", "$multiply", "$mergeObjects", "$round",        "$setIntersection",
    "$setUnion",  "$slice",    "$trunc"};

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The server moves the constants of what is commutative to the end, which shows: of
// equal values of two types the first one stays.
constexpr std::array<std::string_view, 2> kCommutativePairs = {"$add", "$multiply"};
constexpr std::array<std::string_view, 2> kCommutative = {"$setIntersection", "$setUnion"};

// Of these the server makes neighbouring constants one in advance, of the second ones (8.x) at the
// beginning only: constants that cannot stand together are refused, and sums of doubles round so.
// Calls of the first ones within each other are one call to it.
constexpr std::array<std::string_view, 4> kAssociative = {"$concat", "$concatArrays",
                                                          "$setIntersection", "$setUnion"};
constexpr std::array<std::string_view, 2> kLeftAssociative = {"$add", "$multiply"};

bool all_constant(const std::vector<ExpressionPtr>& expressions) {
  return std::all_of(expressions.begin(), expressions.end(),
                     [](const auto& e) { return e->constant() != nullptr; });
}

// When a pipeline's constants have become as large, the rest is evaluated anew for each document.
constexpr size_t kMaxConstantBytes = 32 << 20;

// Evaluates a node without document. Requires: it depends on nothing.
ExpressionPtr fold(ExpressionPtr node, ParseContext& context) {
  if (context.constants().capacity_bytes() > kMaxConstantBytes) return node;
  Arena scratch;
  EvalContext evaluation;
  evaluation.arena = &scratch;
  try {
    return make_constant(node->evaluate(evaluation), context);
  } catch (const EvaluationError& error) {
    if (!context.failed_constant) context.failed_constant = error.status();
    return node;
  }
}

// {$concat: [{$concat: ["$a", "b"]}, "c"]} becomes {$concat: ["$a", "b", "c"]}.
void flatten(EagerFunction evaluate, std::vector<ExpressionPtr>& arguments) {
  std::vector<ExpressionPtr> flat;
  for (auto& argument : arguments) {
    auto* call = dynamic_cast<OrderedCallExpression*>(argument.get());
    if (call == nullptr || !call->calls(evaluate)) {
      flat.push_back(std::move(argument));
      continue;
    }
    for (auto& inner : call->take_arguments()) flat.push_back(std::move(inner));
  }
  arguments = std::move(flat);
}

void fold_neighbours(EagerFunction evaluate, bool at_the_beginning,
                     std::vector<ExpressionPtr>& arguments, ParseContext& context) {
  std::vector<ExpressionPtr> folded;
  for (size_t i = 0; i < arguments.size();) {
    size_t end = i;
    while (end < arguments.size() && arguments[end]->constant() != nullptr) ++end;
    if (end - i < 2 || (at_the_beginning && i > 0)) {
      folded.push_back(std::move(arguments[i++]));
      continue;
    }
    std::vector<ExpressionPtr> constants;
    for (; i < end; ++i) constants.push_back(std::move(arguments[i]));
    folded.push_back(make_ordered_call(evaluate, std::move(constants), context));
  }
  arguments = std::move(folded);
}

constexpr std::array<std::string_view, 10> kBuiltins = {
    "ROOT",    "CURRENT", "REMOVE",       "KEEP",       "PRUNE",
    "DESCEND", "NOW",     "CLUSTER_TIME", "USER_ROLES", "SEARCH_META"};

Result<ExpressionPtr> parse_variable(std::string_view text, ParseContext& context) {
  size_t dot = std::min(text.find('.'), text.size());
  std::string_view name = text.substr(0, dot);
  MR_RETURN_IF_ERROR(check_variable_read(name));
  int slot = context.find_variable(name);
  if (slot < 0 && std::find(kBuiltins.begin(), kBuiltins.end(), name) == kBuiltins.end())
    return Status(17276, "Use of undefined variable: " + std::string(name));
  FieldPath path;
  if (dot + 1 < text.size()) {
    MR_ASSIGN_OR_RETURN(path, parse_field_path(text.substr(dot + 1), context.names()));
  } else if (dot < text.size()) {
    return Status(40353, "FieldPath must not end with a '.'.");
  }
  if (slot >= 0) return make_variable(slot, std::move(path));
  if (name == "ROOT" || name == "CURRENT") return make_field_path(std::move(path));
  if (name == "REMOVE") return make_constant(Value(), context);
  if (name == "KEEP" || name == "PRUNE" || name == "DESCEND") {
    return make_constant(Value::string(name), context);
  }
  if (context.in_stream) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "$$" + std::string(name) + " is not available in a stream processor");
  }
  bool is_time = name == "NOW" || name == "CLUSTER_TIME";
  if (is_time && context.has_now) {
    if (path.size() > 0) return make_constant(Value(), context);  // a time has no fields
    if (name == "NOW") return ExpressionPtr(std::make_unique<NowExpression>());
    return ExpressionPtr(std::make_unique<ClusterTimeExpression>());
  }
  if (name == "USER_ROLES") return make_constant(Value::array({}), context);  // there is no login
  return Status(51144, "Builtin variable '$$" + std::string(name) + "' is not available");
}

Result<ExpressionPtr> parse_string(std::string_view text, ParseContext& context) {
  if (text.size() < 2 || text[0] != '$') {
    if (text == "$") return Status(16872, "'$' by itself is not a valid FieldPath");
    if (text.size() >= kMaxDocumentBytes)
      return Status(16493, "Tried to create string longer than 16MB");
    return make_constant(Value::string(text), context);
  }
  if (text[1] == '$') return parse_variable(text.substr(2), context);
  MR_ASSIGN_OR_RETURN(FieldPath path, parse_field_path(text.substr(1), context.names()));
  if (int slot = context.find_variable("CURRENT"); slot >= 0)
    return make_variable(slot, std::move(path));
  return make_field_path(std::move(path));
}

Result<ExpressionPtr> parse_operator(std::string_view name, const Value& operand,
                                     ParseContext& context) {
  const ExpressionRow* row = find_expression(name);
  if (row == nullptr) {
    return Status(ErrorCode::kInvalidPipelineOperator,
                  "Unrecognized expression '" + std::string(name) + "'");
  }
  if (!row->supported()) {
    std::string why =
        row->unsupported_because.empty() ? " yet" : ": " + std::string(row->unsupported_because);
    return Status(ErrorCode::kNotImplemented,
                  "Expression " + std::string(name) + " is not supported by Millrace" + why);
  }
  if (row->parse != nullptr) return row->parse(name, operand, context);
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, row->arity, context));
  if (is_one_of(kOrderedCalls, name)) {
    if (is_one_of(kAssociative, name)) flatten(row->evaluate, arguments);
    if (is_one_of(kCommutative, name) ||
        (arguments.size() == 2 && is_one_of(kCommutativePairs, name))) {
      move_constants_last(arguments);
    }
    bool left = is_one_of(kLeftAssociative, name);
    if (arguments.size() > 1 && (left || is_one_of(kAssociative, name))) {
      fold_neighbours(row->evaluate, left, arguments, context);
      if (arguments.size() == 1 && arguments[0]->constant() != nullptr)
        return std::move(arguments[0]);
    }
    return make_ordered_call(row->evaluate, std::move(arguments), context);
  }
  return make_call(row->evaluate, std::move(arguments), row->deterministic, context);
}

// The name of a field behind which an expression stands. Codes: 6.0.5.
Status check_name_in_object(std::string_view name) {
  if (name.empty()) return Status(15998, "FieldPath field names may not be empty strings.");
  if (name[0] == '$') {
    return Status(
        16410,
        "FieldPath field names may not start with '$'. Consider using $getField or $setField.");
  }
  if (name.find('.') != std::string_view::npos) {
    return Status(
        16412, "FieldPath field names may not contain '.'. Consider using $getField or $setField.");
  }
  return Status();
}

Result<ExpressionPtr> parse_object(const Value& spec, ParseContext& context) {
  std::vector<std::string_view> names;
  std::vector<ExpressionPtr> values;
  bool constant = true;
  for (const Field& field : spec.as_object()) {
    std::string_view name = field.name();
    if (names.empty() && !name.empty() && name[0] == '$') {
      if (spec.as_object().size() != 1) {
        return Status(
            15983,
            "An object representing an expression must have exactly one field: the operator '" +
                std::string(name) + "' stands beside other fields");
      }
      return parse_operator(name, field.value, context);
    }
    MR_RETURN_IF_ERROR(check_name_in_object(name));
    MR_ASSIGN_OR_RETURN(ExpressionPtr value, parse_expression(field.value, context));
    constant = constant && value->constant() != nullptr;
    names.push_back(context.names().intern(name));
    values.push_back(std::move(value));
  }
  ExpressionPtr node = std::make_unique<ObjectExpression>(std::move(names), std::move(values));
  return constant ? fold(std::move(node), context) : std::move(node);
}

Result<ExpressionPtr> parse_any(const Value& spec, ParseContext& context) {
  switch (spec.type()) {
    case Type::kString:
      return parse_string(spec.as_string(), context);
    case Type::kObject:
      return parse_object(spec, context);
    case Type::kArray: {
      std::vector<ExpressionPtr> elements;
      for (const Value& element : spec.as_array()) {
        MR_ASSIGN_OR_RETURN(ExpressionPtr node, parse_expression(element, context));
        elements.push_back(std::move(node));
      }
      bool constant = all_constant(elements);
      ExpressionPtr node = std::make_unique<ArrayExpression>(std::move(elements));
      return constant ? fold(std::move(node), context) : std::move(node);
    }
    default:
      return make_constant(spec, context);
  }
}

}  // namespace

uint32_t random_seed() {
  static std::atomic<uint32_t> seed{std::random_device{}()};
  return seed.fetch_add(0x9E3779B9u);  // apart from each other, whatever the generator makes of it
}

void move_constants_last(std::vector<ExpressionPtr>& arguments) {
  std::stable_partition(arguments.begin(), arguments.end(),
                        [](const auto& argument) { return argument->constant() == nullptr; });
}

ExpressionPtr make_constant(const Value& value, ParseContext& context) {
  return std::make_unique<Constant>(deep_copy(value, context.constants()));
}

ExpressionPtr make_field_path(FieldPath path) {
  return std::make_unique<FieldPathExpression>(std::move(path));
}

ExpressionPtr make_variable(size_t slot, FieldPath path) {
  return std::make_unique<VariableExpression>(slot, std::move(path));
}

ExpressionPtr make_call(EagerFunction evaluate, std::vector<ExpressionPtr> arguments,
                        bool deterministic, ParseContext& context) {
  bool constant = deterministic && all_constant(arguments);
  ExpressionPtr node = std::make_unique<CallExpression>(evaluate, std::move(arguments));
  return constant ? fold(std::move(node), context) : std::move(node);
}

ExpressionPtr make_ordered_call(EagerFunction evaluate, std::vector<ExpressionPtr> arguments,
                                ParseContext& context) {
  if (all_constant(arguments)) return make_call(evaluate, std::move(arguments), true, context);
  return std::make_unique<OrderedCallExpression>(evaluate, std::move(arguments));
}

Result<ExpressionPtr> parse_expression(const Value& spec, ParseContext& context) {
  if (context.depth >= kMaxExpressionDepth) {
    return Status(ErrorCode::kOverflow, "expression is nested too deeply (limit 200)");
  }
  struct Nesting {
    int& depth;
    explicit Nesting(int& d) : depth(d) { ++depth; }
    ~Nesting() { --depth; }
  } nesting(context.depth);
  auto parsed = parse_any(spec, context);
  if (context.depth > 1) return parsed;
  auto failed = std::exchange(context.failed_constant, std::nullopt);
  if (parsed.ok() && failed) return *failed;
  return parsed;
}

}  // namespace millrace::engine
