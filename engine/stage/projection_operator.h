// $project, $addFields/$set and $unset at work: one projection of each document.
#pragma once

#include <memory>
#include <string_view>

#include "engine/stage/operator.h"
#include "engine/stage/projection.h"

namespace millrace::engine {

class ProjectionOperator final : public PerDocumentOperator {
 public:
  // `name`: as stats show it; a literal.
  ProjectionOperator(std::string_view name, std::unique_ptr<Projection> projection)
      : name_(name), projection_(std::move(projection)) {}

  std::string_view name() const override { return name_; }
  void dependencies(Dependencies& dependencies) const override {
    projection_->dependencies(dependencies);
  }

 protected:
  bool process(StreamDocument& document, OperatorContext& context) override {
    document.body = projection_->apply(context.eval);
    return true;
  }

 private:
  std::string_view name_;
  std::unique_ptr<Projection> projection_;
};

}  // namespace millrace::engine
