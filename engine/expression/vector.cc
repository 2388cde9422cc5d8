// How alike two vectors are (MongoDB 8.3): arrays of numbers, or binary vectors.
// Source: https://www.mongodb.com/docs/manual/reference/operator/aggregation/similarityCosine/
#include <cmath>
#include <numeric>
#include <vector>

#include "engine/expression/convert_containers.h"
#include "engine/expression/families.h"
#include "engine/expression/named_arguments.h"
#include "engine/expression/number.h"

namespace millrace::engine {
namespace {

using Numbers = std::vector<double>;

double dot_product(const Numbers& a, const Numbers& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double cosine(const Numbers& a, const Numbers& b) {
  double squares = dot_product(a, a) * dot_product(b, b);
  return squares == 0 ? 0 : dot_product(a, b) / std::sqrt(squares);
}
double distance(const Numbers& a, const Numbers& b) {
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(squares);
}

// As `score: true` asks for it.
double from_one(double similarity) { return (1 + similarity) / 2; }
double from_distance(double distance) { return 1 / (1 + distance); }

struct Measure {
  double (*compute)(const Numbers& a, const Numbers& b);
  double (*score)(double raw);
};

class SimilarityExpression final : public Expression {
 public:
  SimilarityExpression(std::string_view name, Measure measure, ExpressionPtr left,
                       ExpressionPtr right, bool score)
      : name_(name),
        measure_(measure),
        left_(std::move(left)),
        right_(std::move(right)),
        score_(score) {}
  Value evaluate(EvalContext& context) const override {
    Value left = left_->evaluate(context);
    Value right = right_->evaluate(context);
    if (left.is_nullish() || right.is_nullish()) return Value::null();
    check_vector(left, 10413200);
    check_vector(right, 10413201);
    Numbers a = numbers(left, 10413203);
    Numbers b = numbers(right, 10413204);
    if (a.size() != b.size()) {
      fail_evaluation(10413202, name_ + " takes vectors of the same length, but they have " +
                                    std::to_string(a.size()) + " and " + std::to_string(b.size()) +
                                    " elements");
    }
    double raw = measure_.compute(a, b);
    return Value::number(score_ ? measure_.score(raw) : raw);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    left_->add_dependencies(dependencies);
    right_->add_dependencies(dependencies);
  }

 private:
  void check_vector(const Value& v, int code) const {
    bool vector = v.is(Type::kBinData) && v.binary_subtype() == kVectorSubtype;
    if (!v.is_array() && !vector)
      fail_evaluation(code,
                      name_ + " takes arrays or binary vectors, but " + shown(v) + " is neither");
  }
  Numbers numbers(const Value& v, int code) const {
    if (!v.is_array()) return numbers_from_vector(v, false);
    Numbers numbers;
    for (const Value& element : v.as_array()) {
      if (!element.is_number())
        fail_evaluation(code, name_ + " takes vectors of numbers, but one has " + shown(element));
      numbers.push_back(element.to_double());
    }
    return numbers;
  }

  std::string name_;
  Measure measure_;
  ExpressionPtr left_;
  ExpressionPtr right_;
  bool score_;
};

// [a, b] or {vectors: [a, b], score: …}.
Result<ExpressionPtr> parse_similarity(std::string_view name, const Value& operand, Measure measure,
                                       ParseContext& context) {
  Value vectors = operand;
  bool score = false;
  if (operand.is_object()) {
    vectors = Value();
    for (const Field& field : operand.as_object()) {
      if (field.name() == "vectors") {
        vectors = field.value;
      } else if (field.name() == "score") {
        if (!field.value.is(Type::kBool))
          return Status(ErrorCode::kTypeMismatch, std::string(name) +
                                                      "'s 'score' must be a "
                                                      "boolean, but is " +
                                                      shown(field.value));
        score = field.value.as_bool();
      } else {
        return Status(
            ErrorCode::kFailedToParse,
            std::string(name) + " found an unknown argument: " + std::string(field.name()));
      }
    }
    if (vectors.is_missing())
      return Status(ErrorCode::kFailedToParse,
                    "Missing 'vectors' parameter to " + std::string(name));
  }
  MR_ASSIGN_OR_RETURN(auto pair, parse_arguments(name, vectors, {2, 2}, context));
  bool constant = pair[0]->constant() != nullptr && pair[1]->constant() != nullptr;
  return fold_node(std::make_unique<SimilarityExpression>(name, measure, std::move(pair[0]),
                                                          std::move(pair[1]), score),
                   constant, context);
}

Result<ExpressionPtr> parse_cosine(std::string_view name, const Value& operand,
                                   ParseContext& context) {
  return parse_similarity(name, operand, {cosine, from_one}, context);
}
Result<ExpressionPtr> parse_dot_product(std::string_view name, const Value& operand,
                                        ParseContext& context) {
  return parse_similarity(name, operand, {dot_product, from_one}, context);
}
Result<ExpressionPtr> parse_euclidean(std::string_view name, const Value& operand,
                                      ParseContext& context) {
  return parse_similarity(name, operand, {distance, from_distance}, context);
}

// clang-format off
constexpr std::array kVectorExpressions = {
    //            name                     arguments  evaluate  parse              manual page
    ExpressionRow{"$similarityCosine",     {2, 2},    nullptr,  parse_cosine,      "aggregation/similarityCosine"},
    ExpressionRow{"$similarityDotProduct", {2, 2},    nullptr,  parse_dot_product, "aggregation/similarityDotProduct"},
    ExpressionRow{"$similarityEuclidean",  {2, 2},    nullptr,  parse_euclidean,   "aggregation/similarityEuclidean"},
};
// clang-format on
static_assert(sorted_and_unique(kVectorExpressions));

}  // namespace

std::span<const ExpressionRow> vector_expressions() { return kVectorExpressions; }

}  // namespace millrace::engine
