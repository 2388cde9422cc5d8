// Conditional operators: only the branch that is chosen is evaluated.
#include "engine/expression/families.h"

namespace millrace::engine {
namespace {

class CondExpression final : public Expression {
 public:
  CondExpression(ExpressionPtr condition, ExpressionPtr then, ExpressionPtr otherwise)
      : condition_(std::move(condition)),
        then_(std::move(then)),
        otherwise_(std::move(otherwise)) {}
  Value evaluate(EvalContext& context) const override {
    return condition_->evaluate(context).truthy() ? then_->evaluate(context)
                                                  : otherwise_->evaluate(context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    condition_->add_dependencies(dependencies);
    then_->add_dependencies(dependencies);
    otherwise_->add_dependencies(dependencies);
  }

 private:
  ExpressionPtr condition_;
  ExpressionPtr then_;
  ExpressionPtr otherwise_;
};

// {if: …, then: …, else: …} as its three parts.
Result<std::vector<ExpressionPtr>> parse_cond_object(const Value& operand, ParseContext& context) {
  static constexpr std::array<std::string_view, 3> kParts = {"if", "then", "else"};
  std::vector<ExpressionPtr> parts(kParts.size());
  for (const Field& field : operand.as_object()) {
    auto part = std::find(kParts.begin(), kParts.end(), field.name());
    if (part == kParts.end())
      return Status(17083, "Unrecognized parameter to $cond: " + std::string(field.name()));
    MR_ASSIGN_OR_RETURN(parts[part - kParts.begin()], parse_expression(field.value, context));
  }
  for (size_t i = 0; i < kParts.size(); ++i) {
    if (parts[i] == nullptr) {
      return Status(17080 + static_cast<int>(i),
                    "Missing '" + std::string(kParts[i]) + "' parameter to $cond");
    }
  }
  return parts;
}

Result<ExpressionPtr> parse_cond(std::string_view name, const Value& operand,
                                 ParseContext& context) {
  auto parsed = operand.is_object() ? parse_cond_object(operand, context)
                                    : parse_arguments(name, operand, {3, 3}, context);
  MR_ASSIGN_OR_RETURN(auto parts, std::move(parsed));
  if (const Value* condition = parts[0]->constant())
    return std::move(parts[condition->truthy() ? 1 : 2]);
  return ExpressionPtr(std::make_unique<CondExpression>(std::move(parts[0]), std::move(parts[1]),
                                                        std::move(parts[2])));
}

class IfNullExpression final : public Expression {
 public:
  explicit IfNullExpression(std::vector<ExpressionPtr> arguments)
      : arguments_(std::move(arguments)) {}
  Value evaluate(EvalContext& context) const override {
    for (size_t i = 0; i + 1 < arguments_.size(); ++i) {
      Value v = arguments_[i]->evaluate(context);
      if (!v.is_nullish()) return v;
    }
    return arguments_.back()->evaluate(context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const auto& argument : arguments_) argument->add_dependencies(dependencies);
  }

 private:
  std::vector<ExpressionPtr> arguments_;
};

Result<ExpressionPtr> parse_if_null(std::string_view name, const Value& operand,
                                    ParseContext& context) {
  MR_ASSIGN_OR_RETURN(auto arguments, parse_arguments(name, operand, {0, kAnyNumber}, context));
  if (arguments.size() < 2) {
    return Status(1257300, "$ifNull needs two arguments or more, but has " +
                               std::to_string(arguments.size()));
  }
  // A constant null is never the answer unless it stands last; a constant that is not null ends the
  // list.
  std::vector<ExpressionPtr> open;
  for (auto& argument : arguments) {
    const Value* constant = argument->constant();
    bool last = &argument == &arguments.back();
    if (constant != nullptr && constant->is_nullish() && !last) continue;
    open.push_back(std::move(argument));
    if (constant != nullptr) break;
  }
  if (open.size() == 1) return std::move(open[0]);
  return ExpressionPtr(std::make_unique<IfNullExpression>(std::move(open)));
}

struct Branch {
  ExpressionPtr condition;
  ExpressionPtr then;
};

class SwitchExpression final : public Expression {
 public:
  SwitchExpression(std::vector<Branch> branches, ExpressionPtr otherwise)
      : branches_(std::move(branches)), otherwise_(std::move(otherwise)) {}
  Value evaluate(EvalContext& context) const override {
    for (const Branch& branch : branches_) {
      if (branch.condition->evaluate(context).truthy()) return branch.then->evaluate(context);
    }
    if (otherwise_ == nullptr)
      fail_evaluation(40066,
                      "$switch found no matching branch for an input, and it has no default");
    return otherwise_->evaluate(context);
  }
  void add_dependencies(Dependencies& dependencies) const override {
    for (const Branch& branch : branches_) {
      branch.condition->add_dependencies(dependencies);
      branch.then->add_dependencies(dependencies);
    }
    if (otherwise_ != nullptr) otherwise_->add_dependencies(dependencies);
  }

 private:
  std::vector<Branch> branches_;
  ExpressionPtr otherwise_;  // nullptr: no default
};

Result<Branch> parse_branch(const Value& spec, ParseContext& context) {
  if (!spec.is_object()) {
    return Status(40062, "$switch expects each branch to be an object, found: " +
                             std::string(spec.type_name()));
  }
  Branch branch;
  for (const Field& field : spec.as_object()) {
    if (field.name() == "case") {
      MR_ASSIGN_OR_RETURN(branch.condition, parse_expression(field.value, context));
    } else if (field.name() == "then") {
      MR_ASSIGN_OR_RETURN(branch.then, parse_expression(field.value, context));
    } else {
      return Status(40063,
                    "$switch found an unknown argument to a branch: " + std::string(field.name()));
    }
  }
  if (branch.condition == nullptr)
    return Status(40064, "$switch requires each branch to have a 'case' expression");
  if (branch.then == nullptr)
    return Status(40065, "$switch requires each branch to have a 'then' expression");
  return branch;
}

Result<std::vector<Branch>> parse_branches(const Value& spec, ParseContext& context) {
  if (!spec.is_array()) {
    return Status(
        40061, "$switch expects an array for 'branches', found: " + std::string(spec.type_name()));
  }
  std::vector<Branch> branches;
  bool decided = false;  // a case that is always true: what stands behind it is never folded
  for (const Value& element : spec.as_array()) {
    auto failed_before = context.failed_constant;
    MR_ASSIGN_OR_RETURN(Branch branch, parse_branch(element, context));
    const Value* constant = branch.condition->constant();
    if (decided || (constant != nullptr && !constant->truthy()))
      context.failed_constant = failed_before;
    decided = decided || (constant != nullptr && constant->truthy());
    branches.push_back(std::move(branch));
  }
  return branches;
}

// Branches that can never be taken go; one that is always taken becomes the default.
void prune(std::vector<Branch>& branches, ExpressionPtr& otherwise) {
  std::vector<Branch> open;
  for (Branch& branch : branches) {
    const Value* constant = branch.condition->constant();
    if (constant == nullptr) {
      open.push_back(std::move(branch));
    } else if (constant->truthy()) {
      otherwise = std::move(branch.then);
      break;
    }
  }
  branches = std::move(open);
}

Result<ExpressionPtr> parse_switch(std::string_view, const Value& operand, ParseContext& context) {
  if (!operand.is_object()) {
    return Status(40060, "$switch requires an object as its argument, found: " +
                             std::string(operand.type_name()));
  }
  std::vector<Branch> branches;
  ExpressionPtr otherwise;
  for (const Field& field : operand.as_object()) {
    if (field.name() == "branches") {
      MR_ASSIGN_OR_RETURN(branches, parse_branches(field.value, context));
    } else if (field.name() == "default") {
      MR_ASSIGN_OR_RETURN(otherwise, parse_expression(field.value, context));
    } else {
      return Status(40067, "$switch found an unknown argument: " + std::string(field.name()));
    }
  }
  if (branches.empty()) return Status(40068, "$switch requires at least one branch");
  prune(branches, otherwise);
  if (!branches.empty())
    return ExpressionPtr(
        std::make_unique<SwitchExpression>(std::move(branches), std::move(otherwise)));
  if (otherwise == nullptr) {
    return Status(
        40069,
        "a $switch whose cases are all false and that has no default can never be evaluated");
  }
  return otherwise;
}

// clang-format off
constexpr std::array kConditionalExpressions = {
    //            name        arguments        evaluate  parse          manual page
    ExpressionRow{"$cond",    {3, 3},          nullptr,  parse_cond,    "aggregation/cond"},
    ExpressionRow{"$ifNull",  {2, kAnyNumber}, nullptr,  parse_if_null, "aggregation/ifNull"},
    ExpressionRow{"$switch",  {1, 1},          nullptr,  parse_switch,  "aggregation/switch"},
};
// clang-format on
static_assert(sorted_and_unique(kConditionalExpressions));

}  // namespace

std::span<const ExpressionRow> conditional_expressions() { return kConditionalExpressions; }

}  // namespace millrace::engine
