#include "engine/expression/families.h"

namespace millrace::engine {

std::span<const std::span<const ExpressionRow>> expression_families() {
  static const std::array kFamilies = {
      arithmetic_expressions(),    array_expressions(),      bitwise_expressions(),
      boolean_expressions(),       comparison_expressions(), conditional_expressions(),
      custom_expressions(),        date_expressions(),       date_text_expressions(),
      miscellaneous_expressions(), object_expressions(),     regex_expressions(),
      set_expressions(),           statistics_expressions(), string_expressions(),
      trigonometry_expressions(),  type_expressions(),       variable_expressions(),
      vector_expressions(),
  };
  return kFamilies;
}

}  // namespace millrace::engine
