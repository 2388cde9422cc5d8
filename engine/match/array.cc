// $all $elemMatch $size.
#include "engine/match/registry.h"

#include <limits>
#include <string>

namespace millrace::engine {
namespace {

// {$elemMatch: {b: 1, …}}: an element that is a document (or an array, taken as one) and matches
// the query.
class ElementQueryTest final : public ValueTest {
 public:
  explicit ElementQueryTest(PredicatePtr query) : query_(std::move(query)) {}
  bool test(const Value& value, EvalContext& context) const override {
    if (!value.is_array()) return false;
    for (const Value& element : value.as_array()) {
      if ((element.is_object() || element.is_array()) && query_->matches(element, context))
        return true;
    }
    return false;
  }

 private:
  PredicatePtr query_;
};

// {$elemMatch: {$gt: 1, …}}: an element that satisfies all conditions.
class ElementValueTest final : public ValueTest {
 public:
  explicit ElementValueTest(ValueTestPtr condition) : condition_(std::move(condition)) {}
  bool test(const Value& value, EvalContext& context) const override {
    if (!value.is_array()) return false;
    for (const Value& element : value.as_array()) {
      if (condition_->test(element, context)) return true;
    }
    return false;
  }

 private:
  ValueTestPtr condition_;
};

class SizeTest final : public ValueTest {
 public:
  explicit SizeTest(int64_t size) : size_(size) {}
  bool test(const Value& value, EvalContext&) const override {
    return value.is_array() && static_cast<int64_t>(value.as_array().size()) == size_;
  }

 private:
  int64_t size_;
};

class NothingTest final : public ValueTest {
 public:
  bool test(const Value&, EvalContext&) const override { return false; }
};

// True for {$and: …}, {$jsonSchema: …} and the like, which make a query and not conditions on a
// value.
bool starts_with_query_operator(const Value& operand) {
  const QueryRow* row = find_query(operand.as_object().begin()->name());
  return row != nullptr && row->query != nullptr;
}

Result<std::optional<FieldCondition>> parse_elem_match(const FieldOperator& field,
                                                       QueryParse& parse) {
  if (!field.operand.is_object()) return Status(ErrorCode::kBadValue, "$elemMatch needs an Object");
  FieldCondition condition;
  condition.leaf = LeafArray::kWhole;
  QueryParse inner{parse.context, parse.options, parse.depth + 1, false};
  MR_RETURN_IF_ERROR(check_depth(inner));
  if (is_operator_document(field.operand) && !starts_with_query_operator(field.operand)) {
    MR_ASSIGN_OR_RETURN(FieldCondition element, parse_field_operators("", field.operand, inner));
    condition.test = std::make_unique<ElementValueTest>(make_value_test(std::move(element)));
  } else {
    MR_ASSIGN_OR_RETURN(PredicatePtr query, parse_query(field.operand, inner));
    condition.test = std::make_unique<ElementQueryTest>(std::move(query));
  }
  return std::optional(std::move(condition));
}

bool is_elem_match(const Value& value) {
  return value.is_object() && !value.as_object().empty() &&
         value.as_object().begin()->name() == "$elemMatch";
}

Result<std::optional<FieldCondition>> parse_all(const FieldOperator& field, QueryParse& parse) {
  if (!field.operand.is_array()) return Status(ErrorCode::kBadValue, "$all needs an array");
  FieldCondition condition;
  if (field.operand.as_array().empty()) {
    condition.test = std::make_unique<NothingTest>();
    return std::optional(std::move(condition));
  }
  bool elem_matches = is_elem_match(*field.operand.as_array().begin());
  for (const Value& element : field.operand.as_array()) {
    if (elem_matches != is_elem_match(element)) {
      return Status(ErrorCode::kBadValue, elem_matches
                                              ? "$all takes either only $elemMatch or only values"
                                              : "no $ expressions in $all");
    }
    if (elem_matches) {
      FieldOperator inner{field.path, "$elemMatch", element.as_object().begin()->value,
                          element.as_object()};
      MR_ASSIGN_OR_RETURN(auto part, parse_elem_match(inner, parse));
      condition.all.push_back(std::move(*part));
    } else {
      if (is_operator_document(element))
        return Status(ErrorCode::kBadValue, "no $ expressions in $all");
      MR_ASSIGN_OR_RETURN(FieldCondition part, make_equality(element, parse));
      condition.all.push_back(std::move(part));
    }
  }
  return std::optional(std::move(condition));
}

Result<std::optional<FieldCondition>> parse_size(const FieldOperator& field, QueryParse&) {
  MR_ASSIGN_OR_RETURN(int64_t size, parse_integer("$size", field.operand, ErrorCode::kBadValue));
  if (size < 0) return Status(ErrorCode::kBadValue, "$size may not be negative");
  if (size > std::numeric_limits<int32_t>::max())
    return Status(ErrorCode::kBadValue, "$size must fit an int, but is " + std::to_string(size));
  FieldCondition condition;
  condition.leaf = LeafArray::kWhole;
  condition.test = std::make_unique<SizeTest>(size);
  return std::optional(std::move(condition));
}

// clang-format off
constexpr std::array kArrayQueries = {
    //       name          query    field             manual page
    QueryRow{"$all",       nullptr, parse_all,        "query/all"},
    QueryRow{"$elemMatch", nullptr, parse_elem_match, "query/elemMatch"},
    QueryRow{"$size",      nullptr, parse_size,       "query/size"},
};
// clang-format on
static_assert(sorted_and_unique(kArrayQueries));

}  // namespace

std::span<const QueryRow> array_queries() { return kArrayQueries; }

}  // namespace millrace::engine
