#include "commands/filter.h"

#include "engine/match/match.h"

namespace millrace::commands {

struct Filter::Compiled {
  engine::CompiledMemory memory;
  engine::ParseContext parse{memory};
  engine::PredicatePtr predicate;
  engine::Arena arena;
  engine::EvalContext eval;
};

Filter::Filter() = default;
Filter::Filter(Filter&&) noexcept = default;
Filter::~Filter() = default;

engine::Result<Filter> Filter::parse(const engine::Value& query) {
  Filter filter;
  if (query.is_nullish()) return filter;
  if (!query.is_object()) {
    return engine::Status(engine::ErrorCode::kTypeMismatch,
                          "BSON field 'filter' is the wrong type '" +
                              std::string(query.type_name()) + "', expected type 'object'");
  }
  filter.compiled_ = std::make_unique<Compiled>();
  MR_ASSIGN_OR_RETURN(filter.compiled_->predicate,
                      engine::parse_predicate(query, filter.compiled_->parse));
  filter.compiled_->eval.arena = &filter.compiled_->arena;
  filter.compiled_->eval.variables.resize(filter.compiled_->parse.variable_count());
  return filter;
}

engine::Result<bool> Filter::matches(const engine::Value& entry) {
  if (compiled_ == nullptr) return true;
  compiled_->arena.reset();
  compiled_->eval.root = entry;
  try {
    return compiled_->predicate->matches(entry, compiled_->eval);
  } catch (const engine::EvaluationError& error) {
    return error.status();
  }
}

}  // namespace millrace::commands
