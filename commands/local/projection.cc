#include "commands/local/projection.h"

#include <algorithm>
#include <optional>

#include "commands/local/mutable_document.h"
#include "commands/local/update.h"

namespace millrace::commands {

using engine::Field;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr std::string_view kElement = "element";

bool is_plain_number(const Value& value) { return value.is_number(); }

int64_t clamp_integer(const Value& value) {
  double number = value.to_double();
  if (value.is_integer()) return value.integer_value();
  return number >= 2e9 ? INT32_MAX : number <= -2e9 ? INT32_MIN : static_cast<int64_t>(number);
}

// Calls `change` with each array at `path`, through the objects of arrays on the way, but not of
// arrays in arrays.
template <typename Change>
Status change_arrays(MutableDocument& document, MutableNode& node, std::string_view path,
                     engine::Arena& arena, const Change& change) {
  if (path.empty()) {
    Value value = document.value(node, arena);
    if (!value.is_array()) return {};
    MR_ASSIGN_OR_RETURN(Value changed, change(value));
    node.set(changed);
    return {};
  }
  if (node.is_array()) {
    document.expand(node);
    for (auto& child : node.children()) {
      if (child.node->is_object())
        MR_RETURN_IF_ERROR(change_arrays(document, *child.node, path, arena, change));
    }
    return {};
  }
  if (!node.is_object()) return {};
  size_t dot = std::min(path.find('.'), path.size());
  MutableNode* child = document.find(node, path.substr(0, dot));
  if (child == nullptr) return {};
  return change_arrays(document, *child, path.substr(std::min(dot + 1, path.size())), arena,
                       change);
}

Value sliced(const Value& array, int64_t skip, int64_t limit, bool from_end, engine::Arena& arena) {
  auto elements = array.as_array().elements(arena);
  auto size = static_cast<int64_t>(elements.size());
  int64_t begin = 0;
  int64_t count = 0;
  if (from_end) {
    count = std::min(size, limit);
    begin = size - count;
  } else {
    begin = skip < 0 ? std::max<int64_t>(size + skip, 0) : std::min(skip, size);
    count = std::min(limit, size - begin);
  }
  return Value::array(elements.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)));
}

}  // namespace

bool Projection::positional() const {
  return std::any_of(arrays_.begin(), arrays_.end(),
                     [](const ArrayPart& part) { return part.kind == Kind::kPositional; });
}

Status Projection::add_slice(const Field& field, const Value& operand) {
  ArrayPart part{Kind::kSlice, std::string(field.name())};
  if (is_plain_number(operand)) {
    int64_t count = clamp_integer(operand);
    part.from_end = count < 0;
    part.limit = count < 0 ? -count : count;
  } else {
    auto both = operand.as_array();
    part.skip = clamp_integer(both.at(0));
    part.limit = clamp_integer(both.at(1));
    if (part.limit <= 0)
      return Status(28724,
                    "First argument to $slice must be an array, and the limit of a find $slice "
                    "must be positive");
  }
  arrays_.push_back(std::move(part));
  return {};
}

Status Projection::add_element_match(const Field& field, const Value& condition) {
  if (field.name().find('.') != std::string_view::npos)
    return Status(31275, "Cannot use $elemMatch projection on a nested field.");
  if (!condition.is_object())
    return Status(31274, "elemMatch: Invalid argument, object required, but got " +
                             std::string(condition.type_name()));
  ArrayPart part{Kind::kElementMatch, std::string(field.name())};
  // Each element is tried as an array of its own, so that the rules are those of $match.
  engine::ObjectBuilder match(evaluation_.parse().constants(), 1);
  match.add("$elemMatch", condition);
  engine::ObjectBuilder query(evaluation_.parse().constants(), 1);
  query.add(kElement, match.finish());
  MR_ASSIGN_OR_RETURN(part.predicate, evaluation_.parse_predicate(query.finish()));
  arrays_.push_back(std::move(part));
  return {};
}

// $slice, $elemMatch and $, which $project does not have.
Result<bool> Projection::add_special(const Field& field) {
  if (field.name().ends_with(".$")) {
    if (!field.value.truthy())
      return Status(31395, "positional projection cannot be used with exclusion");
    if (positional())
      return Status(31276, "Cannot specify more than one positional projection per query.");
    arrays_.push_back(
        {Kind::kPositional, std::string(field.name().substr(0, field.name().size() - 2))});
    inclusion_ = true;
    return true;
  }
  if (!field.value.is_object() || field.value.as_object().size() != 1) return false;
  Field operand = *field.value.as_object().begin();
  if (operand.has_name("$elemMatch")) {
    MR_RETURN_IF_ERROR(add_element_match(field, operand.value));
    return true;
  }
  if (!operand.has_name("$slice")) return false;
  bool pair = operand.value.is_array() && operand.value.as_array().size() == 2 &&
              is_plain_number(operand.value.as_array().at(0)) &&
              is_plain_number(operand.value.as_array().at(1));
  if (!pair && !is_plain_number(operand.value)) return false;
  MR_RETURN_IF_ERROR(add_slice(field, operand.value));
  return true;
}

Status Projection::add_field(const Field& field, engine::ObjectBuilder& plain) {
  MR_ASSIGN_OR_RETURN(bool special, add_special(field));
  MR_RETURN_IF_ERROR(check_collision(field, special));
  if (special) {
    // What $elemMatch finds stands where something computed would: see put_matches.
    if (arrays_.back().kind == Kind::kElementMatch) plain.add(field.name(), placeholder());
    return {};
  }
  plain.add(field.name(), field.value);
  bool flag = field.value.is_number() || field.value.is(engine::Type::kBool);
  if (field.has_name("_id") && flag) return {};  // goes with both
  (flag && !field.value.truthy() ? exclusion_ : inclusion_) = true;
  return {};
}

// {$literal: null}
Value Projection::placeholder() const {
  engine::ObjectBuilder literal(evaluation_.parse().constants(), 1);
  literal.add("$literal", Value::null());
  return literal.finish();
}

bool Projection::is_placeholder(const Field& field) const {
  return std::any_of(arrays_.begin(), arrays_.end(), [&](const ArrayPart& part) {
    return part.kind == Kind::kElementMatch && field.has_name(part.path);
  });
}

Status Projection::build_project(engine::ObjectBuilder& plain, engine::PipelineBuilder& stages) {
  engine::Arena& memory = evaluation_.parse().constants();
  bool only_id_kept = false;
  for (size_t i = 0; i < plain.size(); ++i)
    only_id_kept = only_id_kept || (plain.at(i).has_name("_id") && plain.at(i).value.truthy());
  bool element_match = std::any_of(arrays_.begin(), arrays_.end(), [](const ArrayPart& part) {
    return part.kind == Kind::kElementMatch;
  });
  bool slice = std::any_of(arrays_.begin(), arrays_.end(),
                           [](const ArrayPart& part) { return part.kind == Kind::kSlice; });
  if (!exclusion_ && (only_id_kept || (element_match && !slice))) inclusion_ = true;
  engine::ObjectBuilder fields(memory, plain.size() + arrays_.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    const Field& field = plain.at(i);
    // Where nothing is chosen, what $elemMatch looks at stays where it is.
    if (inclusion_ || !is_placeholder(field)) fields.add(field.name(), field.value);
  }
  if (inclusion_) {
    for (const ArrayPart& part : arrays_) {
      if (part.kind != Kind::kElementMatch)
        fields.add(memory.copy(part.path), Value::boolean(true));
    }
  }
  if (fields.size() == 0) return {};
  engine::ObjectBuilder stage(memory, 1);
  stage.add("$project", fields.finish());
  Value element = stage.finish();
  engine::StageContext context{evaluation_.parse(), stages, engine::Place::kAggregate};
  auto built = stages.build(Value::array({&element, 1}), engine::Place::kAggregate, context);
  if (built.ok()) {
    project_ = std::move(built).value();
    return {};
  }
  // In a find there is no $project to be spoken of.
  constexpr std::string_view kPrefix = "Invalid $project: ";
  std::string message = built.status().message();
  if (message.starts_with(kPrefix)) message.erase(0, kPrefix.size());
  return Status(built.status().code(), message);
}

Result<std::unique_ptr<Projection>> Projection::parse(const Value& spec, const Value& query,
                                                      engine::PipelineBuilder& stages,
                                                      Evaluation& evaluation) {
  if (!spec.is_object() || spec.as_object().empty()) return std::unique_ptr<Projection>();
  std::unique_ptr<Projection> projection(new Projection(evaluation));
  projection->query_ = query;
  engine::ObjectBuilder plain(evaluation.parse().constants());
  for (const Field& field : spec.as_object())
    MR_RETURN_IF_ERROR(projection->add_field(field, plain));
  MR_RETURN_IF_ERROR(projection->build_project(plain, stages));
  evaluation.ready();
  projection->context_.eval = evaluation.eval();
  projection->context_.clock = &evaluation.clock();
  projection->context_.dead_letters = &projection->errors_;
  projection->context_.memory = &projection->memory_;
  return projection;
}

// Two paths of which one leads through the other. Among fields that $project has as well it finds
// them itself.
Status Projection::check_collision(const Field& field, bool special) {
  std::string path(field.name());
  if (path.ends_with(".$")) path.erase(path.size() - 2);
  for (const std::string& other : special ? paths_ : special_paths_) {
    if (path == other || other.starts_with(path + "."))
      return Status(31250, "Path collision at " + path);
    if (path.starts_with(other + ".")) {
      return Status(31249, "Path collision at " + path + " remaining portion " +
                               path.substr(other.size() + 1));
    }
  }
  if (special) special_paths_.push_back(path);
  paths_.push_back(std::move(path));
  return {};
}

// What each $elemMatch finds in the document as it was.
Status Projection::find_matches(const Value& document) {
  for (ArrayPart& part : arrays_) {
    if (part.kind != Kind::kElementMatch) continue;
    part.matched = Value::missing();
    Value array = document.as_object().get(part.path);
    if (!array.is_array()) continue;
    for (const Value& element : array.as_array()) {
      engine::ArrayBuilder one(cut_, 1);
      one.add(element);
      Value alone = one.finish();
      engine::ObjectBuilder wrapped(cut_, 1);
      wrapped.add(kElement, alone);
      MR_ASSIGN_OR_RETURN(bool matches, evaluation_.matches(*part.predicate, wrapped.finish()));
      if (!matches) continue;
      part.matched = alone;
      break;
    }
  }
  return {};
}

// $slice and $ work on what the rest of the projection left; the position that $ takes is the one
// in `document`, as it was.
Status Projection::cut_arrays(const Value& document, MutableDocument& changed) {
  for (ArrayPart& part : arrays_) {
    if (part.kind == Kind::kElementMatch) continue;
    std::optional<size_t> position;
    std::string_view path = part.path;
    if (part.kind == Kind::kPositional) {
      MR_ASSIGN_OR_RETURN(position,
                          matched_position(query_, document, ClauseOrder::kAsWritten, evaluation_));
      std::string_view above = path.substr(0, path.find('.'));
      // {"list.x.$": 1}: the array is further up
      if (!document.as_object().get(above).is_object()) path = above;
    }
    auto change = [&](const Value& array) -> Result<Value> {
      if (part.kind == Kind::kSlice)
        return sliced(array, part.skip, part.limit, part.from_end, cut_);
      if (!position) {
        return Status(51246,
                      "Executor error during find command :: caused by :: positional operator '.$' "
                      "couldn't find a matching element in the array");
      }
      auto elements = array.as_array().elements(cut_);
      if (*position < elements.size()) return Value::array(elements.subspan(*position, 1));
      return Status(51247,
                    "Executor error during find command :: caused by :: positional operator '.$' "
                    "element mismatch");
    };
    MR_RETURN_IF_ERROR(change_arrays(changed, changed.root(), path, cut_, change));
  }
  return {};
}

// What $elemMatch found, in the places of its fields.
Value Projection::put_matches(const Value& projected) {
  engine::ObjectBuilder with_matches(cut_);
  for (const Field& field : projected.as_object()) {
    auto part = std::find_if(arrays_.begin(), arrays_.end(), [&](const ArrayPart& p) {
      return p.kind == Kind::kElementMatch && field.has_name(p.path);
    });
    with_matches.add(field.name(), part == arrays_.end() ? field.value : part->matched);
  }
  return with_matches.finish();
}

Result<Value> Projection::run_project(const Value& document) {
  if (project_.empty()) return document;
  batch_.clear();
  batch_.documents.emplace_back().body = document;
  context_.eval.variables = evaluation_.eval().variables;
  try {
    for (auto& op : project_) op->on_batch(batch_, context_);
  } catch (const engine::EvaluationError& error) {
    return error.status();
  }
  return batch_.documents.front().body;
}

Result<Value> Projection::apply(const Value& document) {
  MR_ASSIGN_OR_RETURN(Value projected, run_project(document));
  if (arrays_.empty()) return projected;
  cut_.reset();
  MR_RETURN_IF_ERROR(find_matches(document));
  MutableDocument changed(projected);
  MR_RETURN_IF_ERROR(cut_arrays(document, changed));
  return put_matches(changed.value(changed.root(), cut_));
}

}  // namespace millrace::commands
