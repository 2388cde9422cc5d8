// Runs tests/expression/*.json. A case:
//   {"name": …, "expr": <expression>, "doc": <document, default {}>, then one of
//    "result": <value>       equal to the bit, types and the order of fields included (every NaN is
//    one NaN) "missing": true         no value at all "error": {"code": n}    with "at": "parse" it
//    must be refused before any document is seen, with "at": "evaluation" only then "vars": {name:
//    value}   variables that are bound outside, "meta": <document> what {$meta: "stream…"} reads,
//    "now": <date>           $$NOW and the clock, "stream": true as inside a stream processor}
// Each case is evaluated on the document's BSON form and on its tree form, twice each: nodes
// remember where they found a field.
#include <array>
#include <string>

#include "engine/document/extended_json.h"
#include "engine/expression/expression.h"
#include "tests/runner/case_file.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 11> kCaseKeys = {
    "name", "note", "expr", "doc", "result", "missing", "error", "vars", "meta", "now", "stream"};

std::string describe(const Value& value) {
  return value.is_missing() ? "missing" : to_json(value, JsonFormat::kCanonical);
}
std::string describe(const Status& status) {
  return "error " + std::to_string(status.code()) + ": " + status.message();
}

// What the case expects, in the words of describe() so that one comparison of texts decides.
class Expectation {
 public:
  explicit Expectation(ObjectView test) {
    Value error = test.get("error");
    if (error.is_object()) {
      Value code = error.as_object().get("code");
      if (code.is_number()) code_ = static_cast<int>(code.to_double());
      Value at = error.as_object().get("at");
      if (at.is_string()) at_ = at.as_string();
    } else {
      value_ = describe(test.get("result"));
    }
  }

  CaseFailure check_value(const Value& actual) const {
    std::string text = describe(actual);
    if (code_ == 0 && text == value_) return std::nullopt;
    return "expected " + expected() + "\n        got      " + text;
  }
  CaseFailure check_error(const Status& actual, std::string_view at) const {
    if (code_ != 0 && actual.code() == code_ && !actual.message().empty() &&
        (at_.empty() || at_ == at))
      return std::nullopt;
    return "expected " + expected() + "\n        got      " + describe(actual) + " (" +
           std::string(at) + ")";
  }

 private:
  std::string expected() const {
    if (code_ == 0) return value_;
    return "error " + std::to_string(code_) + (at_.empty() ? "" : " (" + std::string(at_) + ")");
  }
  int code_ = 0;
  std::string_view at_;
  std::string value_;
};

CaseFailure check_form(ObjectView test) {
  if (auto failure = check_keys(test.value(), kCaseKeys)) return failure;
  if (!test.has("expr")) return "no \"expr\"";
  if (test.has("result") + test.has("missing") + test.has("error") != 1) {
    return "needs exactly one of \"result\", \"missing\" and \"error\"";
  }
  if (test.has("doc") && !test.get("doc").is_object()) return "\"doc\" is not a document";
  return std::nullopt;
}

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_form(test)) return failure;
  Expectation expectation(test);
  CompiledMemory memory;
  ParseContext parsing(memory);
  parsing.in_stream = test.get("stream").truthy();
  EvalContext context;
  if (Value vars = test.get("vars"); vars.is_object()) {
    for (const Field& field : vars.as_object()) {
      parsing.define_variable(field.name());
      context.variables.push_back(field.value);
    }
  }
  auto expression = parse_expression(test.get("expr"), parsing);
  if (!expression.ok()) return expectation.check_error(expression.status(), "parse");

  int64_t now_ms = test.get("now").is(Type::kDate) ? test.get("now").as_date() : 0;
  ManualClock clock(now_ms);
  Arena arena;
  context.arena = &arena;
  context.clock = &clock;
  context.now_ms = now_ms;
  context.variables.resize(parsing.variable_count());
  context.stream_meta = test.get("meta");
  Document empty;
  Value doc = test.has("doc") ? test.get("doc") : empty.value();
  for (const Value& form : {doc, deep_copy(doc, arena), doc}) {
    context.root = form;
    CaseFailure failure;
    try {
      failure = expectation.check_value((*expression)->evaluate(context));
    } catch (const EvaluationError& error) {
      failure = expectation.check_error(error.status(), "evaluation");
    }
    if (failure) return failure;
  }
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
