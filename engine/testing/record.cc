#include "engine/testing/record.h"

#include <algorithm>

#include "engine/testing/exact_json.h"
#include "engine/testing/json_edit.h"

namespace millrace::engine {
namespace {

// `value` with a marker in the place of each ObjectId that was another one the second time.
Value generalized(const Value& value, const Value& again, Arena& arena) {
  if (value.is(Type::kObjectId) && again.is(Type::kObjectId)) {
    if (value.as_object_id().to_hex() == again.as_object_id().to_hex()) return value;
    ObjectBuilder marker(arena, 1);
    marker.add("$$any", Value::string("objectId"));
    return marker.finish();
  }
  if (value.is_object() && again.is_object()) {
    ObjectBuilder copy(arena);
    for (const Field& field : value.as_object())
      copy.add(field.name(), generalized(field.value, again.as_object().get(field.name()), arena));
    return copy.finish();
  }
  if (value.is_array() && again.is_array()) {
    ArrayBuilder copy(arena);
    auto others = again.as_array().elements(arena);
    size_t i = 0;
    for (const Value& element : value.as_array()) {
      copy.add(generalized(element, i < others.size() ? others[i] : Value(), arena));
      ++i;
    }
    return copy.finish();
  }
  return value;
}

class Recorder {
 public:
  Recorder(const CaseFile& file, size_t index, const Observation& seen, const Observation& again,
           std::string& text)
      : test_(file.cases[index]), seen_(seen), again_(again), text_(text) {
    if (!file.single) base_ = {std::string("cases"), index};
  }

  Status record() {
    if (!seen_.mistake.ok()) return seen_.mistake;
    const Status& ended = seen_.start.ok() ? seen_.failure : seen_.start;
    if (test_.by_step) {
      MR_RETURN_IF_ERROR(record_steps());
      if (ended.ok() && test_.stats.is_missing() && test_.still_open.is_missing()) return {};
    }
    MR_RETURN_IF_ERROR(make_expect());
    if (!test_.by_step) MR_RETURN_IF_ERROR(record_lists());
    if (!ended.ok()) MR_RETURN_IF_ERROR(set({"expect", "error"}, error_value(ended)));
    if (!test_.stats.is_missing()) MR_RETURN_IF_ERROR(record_stats());
    if (!test_.still_open.is_missing()) {
      std::vector<Value> open;
      for (const Document& document : seen_.still_open) open.push_back(document.value());
      bool count = test_.still_open.is_integer();
      Value now = count ? Value::integer(static_cast<int64_t>(open.size()))
                        : Value::array({open.data(), open.size()});
      MR_RETURN_IF_ERROR(set({"expect", "stillOpen"}, now));
    }
    return {};
  }

 private:
  Status set(const std::vector<std::string>& names, const Value& value) {
    JsonPath path = base_;
    for (const std::string& name : names) path.emplace_back(name);
    return set_at(path, value);
  }
  Status set_at(const JsonPath& path, const Value& value) {
    return set_json_value(text_, path, lay_out_json(value, json_indent(text_, path)));
  }

  Status make_expect() {
    JsonPath path = base_;
    path.emplace_back(std::string("expect"));
    std::string copy = text_;
    JsonPath probe = path;
    probe.emplace_back(std::string("output"));
    if (set_json_value(copy, probe, "[]").ok()) return {};  // it is there
    return set_json_value(text_, path, "{}");
  }

  Value error_value(const Status& status) {
    ObjectBuilder error(arena_, 2);
    error.add("code", Value::int32(status.code()));
    error.add("message", Value::string(arena_.copy(status.message())));
    return error.finish();
  }

  Value document_of(const Actual& actual, const Actual* other) {
    return other == nullptr ? actual.document.value()
                            : generalized(actual.document.value(), other->document.value(), arena_);
  }

  // What came out, as an array; what is as expected stays as it is written.
  Value list(const std::vector<Value>& expected, const std::vector<Actual>& seen,
             const std::vector<Actual>& again, ListKind kind) {
    ArrayBuilder array(arena_);
    for (size_t i = 0; i < seen.size(); ++i) {
      bool good = i < expected.size() && !list_difference({expected[i]}, {seen[i]}, kind);
      array.add(good ? expected[i] : document_of(seen[i], i < again.size() ? &again[i] : nullptr));
    }
    return array.finish();
  }

  static std::vector<Actual> actuals(const std::vector<Output>& outputs) {
    std::vector<Actual> list;
    for (const Output& output : outputs) list.push_back(output.actual);
    return list;
  }

  Status record_steps() {
    for (size_t g = 1; g < seen_.groups.size(); ++g) {
      const Observation::Group& group = seen_.groups[g];
      const CaseStep& step = test_.steps[group.first];
      JsonPath path = base_;
      path.emplace_back(std::string("input"));
      path.emplace_back(group.first);
      bool same_other = g < again_.groups.size() && again_.groups[g].first == group.first &&
                        again_.groups[g].last == group.last;
      const Observation::Group& other = same_other ? again_.groups[g] : group;
      if (list_difference(step.output, actuals(group.outputs), ListKind::kOutput,
                          test_.any_order)) {
        path.emplace_back(std::string("output"));
        MR_RETURN_IF_ERROR(set_at(path, list(step.output, actuals(group.outputs),
                                             actuals(other.outputs), ListKind::kOutput)));
        path.pop_back();
      }
      if (list_difference(step.letters, group.letters, ListKind::kDeadLetters)) {
        path.emplace_back(std::string("deadLetters"));
        MR_RETURN_IF_ERROR(
            set_at(path, list(step.letters, group.letters, other.letters, ListKind::kDeadLetters)));
        path.pop_back();
      }
      if (!group.answer.ok() && !step.error) {
        path.emplace_back(std::string("error"));
        MR_RETURN_IF_ERROR(set_at(path, error_value(group.answer)));
      }
    }
    return {};
  }

  Status record_lists() {
    if (test_.output_by_target) {
      MR_RETURN_IF_ERROR(set({"expect", "output"}, by_target()));
    } else if (!test_.output || list_difference(*test_.output, actuals(seen_.outputs),
                                                ListKind::kOutput, test_.any_order)) {
      // A case about an error or statistics alone need not say that nothing comes out.
      if (test_.output || !seen_.outputs.empty() || seen_.start.ok())
        MR_RETURN_IF_ERROR(
            set({"expect", "output"},
                list(test_.output.value_or(std::vector<Value>()), actuals(seen_.outputs),
                     actuals(again_.outputs), ListKind::kOutput)));
    }
    if (test_.ignore_letters) return {};
    if (!list_difference(test_.letters, seen_.letters, ListKind::kDeadLetters, test_.any_order))
      return {};
    return set({"expect", "deadLetters"},
               list(test_.letters, seen_.letters, again_.letters, ListKind::kDeadLetters));
  }

  static std::vector<Actual> of_target(const Observation& run, const std::string& target) {
    std::vector<Actual> list;
    for (const Output& output : run.outputs) {
      if (output.target == target) list.push_back(output.actual);
    }
    return list;
  }

  Value by_target() {
    std::vector<std::string> targets;
    for (const auto& [target, documents] : *test_.output_by_target) targets.push_back(target);
    for (const Output& output : seen_.outputs) {
      if (std::find(targets.begin(), targets.end(), output.target) == targets.end())
        targets.push_back(output.target);
    }
    ObjectBuilder object(arena_);
    for (const std::string& target : targets) {
      std::vector<Value> expected;
      for (const auto& [name, documents] : *test_.output_by_target) {
        if (name == target) expected = documents;
      }
      std::vector<Actual> seen = of_target(seen_, target);
      if (seen.empty()) continue;
      object.add(arena_.copy(target),
                 list(expected, seen, of_target(again_, target), ListKind::kOutput));
    }
    return object.finish();
  }

  // The same fields as before, with the values of now.
  Status record_stats() {
    for (const Field& field : test_.stats.as_object()) {
      Value now = seen_.stats.get(field.name());
      if (!find_missing_part(field.value, now) || now.is_missing()) continue;
      MR_RETURN_IF_ERROR(set({"expect", "stats", std::string(field.name())}, now));
    }
    return {};
  }

  const TestCase& test_;
  const Observation& seen_;
  const Observation& again_;
  std::string& text_;
  JsonPath base_;
  Arena arena_;
};

}  // namespace

Status record_case(const CaseFile& file, size_t index, const Observation& seen,
                   const Observation& again, std::string& text) {
  return Recorder(file, index, seen, again, text).record();
}

}  // namespace millrace::engine
