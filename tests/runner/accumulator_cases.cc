// Runs tests/accumulator/*.json. A case:
//   {"name": …, "accumulator": {"$sum": …}, "docs": [documents of one group, in order], then one of
//    "result": <value>     equal to the bit and by type (every NaN is one NaN)
//    "error": {"code": n}  when it is parsed or when a document is evaluated
//    "set": true           the order of the result's elements does not matter
//    "divisible": false    not put together from parts: the numbers are too large for the order of
//    addition not to matter}
// Each case is run through a group table in one go, put together from two parts at every place
// where the documents can be divided, and through a saved state at the same places.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/stage/group_table.h"
#include "tests/runner/case_file.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 8> kCaseKeys = {
    "name", "note", "accumulator", "docs", "result", "error", "set", "divisible"};

class NoLetters final : public DeadLetters {
 public:
  void add(const StreamDocument&, std::string_view, std::string_view reason) override {
    failure = reason;
  }
  std::string failure;
};

std::string describe(const Value& value, bool set) {
  if (!set || !value.is_array()) return to_json(value, JsonFormat::kCanonical);
  std::vector<std::string> elements;
  for (const Value& element : value.as_array())
    elements.push_back(to_json(element, JsonFormat::kCanonical));
  std::sort(elements.begin(), elements.end());
  std::string text = "set";
  for (const std::string& element : elements) text += " " + element;
  return text;
}

// One case at work.
class Run {
 public:
  explicit Run(ObjectView test) : parsing_(memory_), clock_(0), set_(test.get("set").truthy()) {
    context_.eval.arena = &arena_;
    context_.eval.clock = &clock_;
    context_.clock = &clock_;
    context_.dead_letters = &letters_;
    for (const Value& doc : test.get("docs").as_array()) {
      StreamDocument document;
      document.body = doc;
      documents_.push_back(document);
    }
  }

  Status parse(ObjectView test) {
    ObjectBuilder spec(arena_);
    spec.add("_id", Value::null());
    spec.add("r", test.get("accumulator"));
    MR_ASSIGN_OR_RETURN(table_, GroupTable::parse(spec.finish(), parsing_));
    return {};
  }
  size_t size() const { return documents_.size(); }
  GroupsPtr group(size_t from, size_t to) {
    GroupsPtr groups = table_->make_groups();
    add(*groups, from, to);
    return groups;
  }
  void add(Groups& groups, size_t from, size_t to) {
    table_->add(groups, std::span(documents_).subspan(from, to - from), context_, "GroupOperator");
  }
  void merge(Groups& to, const Groups& from) { table_->merge(to, from); }
  Result<GroupsPtr> through_checkpoint(const Groups& groups) {
    BsonWriter writer;
    writer.begin_document();
    table_->save(groups, "groups", writer);
    writer.end();
    Document saved(writer.bytes());
    GroupsPtr loaded = table_->make_groups();
    MR_RETURN_IF_ERROR(validate_bson(saved.bytes()));
    MR_RETURN_IF_ERROR(table_->load(*loaded, saved.get("groups")));
    return loaded;
  }
  // In words. A double as good as equal to `about` is shown as that: putting parts together rounds
  // differently.
  std::string result(const Groups& groups, const Value& about) {
    std::vector<StreamDocument> out;
    GroupsCursor all(groups);
    table_->emit(all, groups.count(), arena_, {}, out);
    if (out.size() != 1) return std::to_string(out.size()) + " groups";
    Value result = out[0].body.as_object().get("r");
    if (result.is(Type::kDouble) && about.is(Type::kDouble) &&
        std::abs(result.as_double() - about.as_double()) <= 1e-14 * std::abs(about.as_double())) {
      result = about;
    }
    return describe(result, set_);
  }
  bool set() const { return set_; }
  bool mergeable() const { return table_->mergeable(); }
  const std::string& failure() const { return letters_.failure; }
  // The first error of an evaluation.
  int error_code(ObjectView test) {
    const Field field = *test.get("accumulator").as_object().begin();
    auto accumulator = parse_accumulator(field.name(), field.value, parsing_);
    for (const StreamDocument& document : documents_) {
      context_.eval.root = document.body;
      try {
        (*accumulator)->evaluate(context_.eval);
      } catch (const EvaluationError& error) {
        return error.status().code();
      }
    }
    return 0;
  }

 private:
  CompiledMemory memory_;
  ParseContext parsing_;
  ManualClock clock_;
  Arena arena_;
  OperatorContext context_;
  NoLetters letters_;
  std::vector<StreamDocument> documents_;
  std::unique_ptr<GroupTable> table_;
  bool set_;
};

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  if (!test.get("accumulator").is_object() || !test.get("docs").is_array())
    return "needs \"accumulator\" and \"docs\"";
  if (test.has("result") == test.has("error"))
    return "needs exactly one of \"result\" and \"error\"";
  Run run(test);
  Status parsed = run.parse(test);
  if (test.has("error")) {
    int expected = static_cast<int>(test.get("error").as_object().get("code").to_double());
    int code = parsed.ok() ? run.error_code(test) : parsed.code();
    if (code == expected) return std::nullopt;
    return "expected error " + std::to_string(expected) + ", got " + std::to_string(code) + " " +
           parsed.message();
  }
  if (!parsed.ok()) return "refused: " + std::to_string(parsed.code()) + " " + parsed.message();
  std::string expected = describe(test.get("result"), run.set());
  auto check = [&](const Groups& groups, const std::string& how) -> CaseFailure {
    std::string text = run.result(groups, how.starts_with("merged") ? test.get("result") : Value());
    if (!run.failure().empty()) return "a document failed: " + run.failure();
    if (text == expected) return std::nullopt;
    return how + "\n        expected " + expected + "\n        got      " + text;
  };
  if (auto failure = check(*run.group(0, run.size()), "in one go")) return failure;
  for (size_t at = 1; at < run.size(); ++at) {
    std::string where = " after " + std::to_string(at);
    GroupsPtr first = run.group(0, at);
    auto restored = run.through_checkpoint(*first);
    if (!restored.ok()) return "restored" + where + ": " + restored.status().message();
    run.add(**restored, at, run.size());
    if (auto failure = check(**restored, "restored" + where)) return failure;
    if (!run.mergeable() || (test.has("divisible") && !test.get("divisible").truthy())) continue;
    GroupsPtr whole = run.group(0, 0);
    run.merge(*whole, *first);
    run.merge(*whole, *run.group(at, run.size()));
    if (auto failure = check(*whole, "merged" + where)) return failure;
  }
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
