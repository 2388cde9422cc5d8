// Boolean operators. $and and $or stop at the first argument that decides.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

// kDeciding: the truth of an argument that decides at once, false for $and, true for $or.
template <bool kDeciding>
class Junction final : public Expression {
 public:
  explicit Junction(std::vector<ExpressionPtr> arguments) : arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    for (const auto& argument : arguments_) {
      if (argument->evaluate(context).truthy() == kDeciding) return Value::boolean(kDeciding);
    }
    return Value::boolean(!kDeciding);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& argument : arguments_) argument->add_dependencies(dependencies);
  }

 private:
  std::vector<ExpressionPtr> arguments_;
};

// Constant arguments are decided here: a neutral one goes, a deciding one makes whatever follows it
// unreachable.
template <bool kDeciding>
Result<ExpressionPtr> parse_junction(std::string_view name, const Value& operand,
                                     ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {0, kAnyNumber}, context));
  std::vector<ExpressionPtr> open;
  for (auto& argument : arguments) {
    const Value* constant = argument->constant();
    if (constant == nullptr) {
      open.push_back(std::move(argument));
    } else if (constant->truthy() == kDeciding) {
      return make_constant(Value::boolean(kDeciding), context);
    }
  }
  if (open.empty()) return make_constant(Value::boolean(!kDeciding), context);
  return ExpressionPtr(std::make_unique<Junction<kDeciding>>(std::move(open)));
}

Value eval_not(EvalContext&, std::span<const Value> arguments) {
  return Value::boolean(!arguments[0].truthy());
}

// clang-format off
constexpr std::array kBooleanExpressions = {
    //            name     arguments        evaluate  parse                  manual page
    ExpressionRow{"$and",  {0, kAnyNumber}, nullptr,  parse_junction<false>, "aggregation/and"},
    ExpressionRow{"$not",  {1, 1},          eval_not, nullptr,               "aggregation/not"},
    ExpressionRow{"$or",   {0, kAnyNumber}, nullptr,  parse_junction<true>,  "aggregation/or"},
};
// clang-format on
static_assert(sorted_and_unique(kBooleanExpressions));

}  // namespace

std::span<const ExpressionRow> boolean_expressions() { return kBooleanExpressions; }

}  // namespace millrace::engine
