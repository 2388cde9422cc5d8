#include "engine/expression/accumulator.h"

#include <array>

namespace millrace::engine {

std::span<const std::span<const AccumulatorRow>> accumulator_families() {
  static const std::array kFamilies = {numeric_accumulators(), order_accumulators(),
                                       collection_accumulators(), percentile_accumulators()};
  return kFamilies;
}

Result<AccumulatorPtr> parse_accumulator(std::string_view name, const Value& operand,
                                         ParseContext& context) {
  if (operand.is_array())  // before the name is looked at
    return Status(40237, "The " + std::string(name) + " accumulator is a unary operator");
  for (auto family : accumulator_families()) {
    for (const AccumulatorRow& row : family) {
      if (row.name != name) continue;
      if (row.parse == nullptr) {
        return Status(ErrorCode::kNotImplemented,
                      "Accumulator " + std::string(name) + " is not supported by Millrace yet");
      }
      return row.parse(name, operand, context);
    }
  }
  return Status(15952, "unknown group operator '" + std::string(name) + "'");
}

Result<ExpressionPtr> parse_single_argument(std::string_view name, const Value& operand,
                                            ParseContext& context) {
  if (operand.is_array()) {
    return Status(40237, "The " + std::string(name) + " accumulator is a unary operator");
  }
  return parse_expression(operand, context);
}

}  // namespace millrace::engine
