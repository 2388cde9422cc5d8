// Runs tests/commands/*.json: commands of the local database, one after the other. A case:
//   {"name": …, "steps": [<step>…]}, a step
//   {"run": <command>, "db": <name, default "test">, then one of
//    "reply": <the whole reply without ok>, equal to the bit
//    "includes": <document>                 what is given of the reply; documents inside may have
//    further fields, arrays may not "error": {"code": n, "message": <whole text, optional>,
//    <further fields, as given>} nothing: it must succeed}
// {"$reply": "cursor.id"} in a command stands for that value of the step before. Each case starts
// with an empty database; the database's time is 2024-03-01T12:00:00Z.
#include <array>
#include <string>

#include "commands/command.h"
#include "commands/dispatch.h"
#include "commands/services.h"
#include "commands/table.h"
#include "engine/document/compare.h"
#include "engine/document/extended_json.h"
#include "tests/runner/case_file.h"
#include "tests/runner/local_fixture.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 3> kCaseKeys = {"name", "note", "steps"};
constexpr std::array<std::string_view, 5> kStepKeys = {"run", "db", "reply", "includes", "error"};

std::string describe(Value value) {
  return value.is_missing() ? "missing" : to_json(value, JsonFormat::kCanonical);
}

Value at_path(Value value, std::string_view path) {
  while (!path.empty() && value.is_object()) {
    size_t dot = std::min(path.find('.'), path.size());
    value = value.as_object().get(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return value;
}

// The command with what stands for parts of the last reply put in.
Value substitute(Value value, Value last, Arena& arena) {
  if (value.is_array()) {
    ArrayBuilder array(arena);
    for (Value element : value.as_array()) array.add(substitute(element, last, arena));
    return array.finish();
  }
  if (!value.is_object()) return value;
  Value path = value.as_object().get("$reply");
  if (path.is_string()) return at_path(last, path.as_string());
  ObjectBuilder object(arena);
  for (const auto& field : value.as_object())
    object.add(field.name(), substitute(field.value, last, arena));
  return object.finish();
}

// True when `actual` has all of `expected`.
bool includes(Value actual, Value expected) {
  if (expected.is_object() && actual.is_object()) {
    for (const auto& field : expected.as_object()) {
      if (!includes(actual.as_object().get(field.name()), field.value)) return false;
    }
    return true;
  }
  if (expected.is_array() && actual.is_array()) {
    if (expected.as_array().size() != actual.as_array().size()) return false;
    size_t index = 0;
    for (Value element : expected.as_array()) {
      if (!includes(actual.as_array().at(index++), element)) return false;
    }
    return true;
  }
  return describe(actual) == describe(expected);
}

Document without_ok(const Document& reply) {
  BsonWriter writer;
  writer.begin_document();
  for (const auto& field : reply.view()) {
    if (!field.has_name("ok")) writer.append(field.name(), field.value);
  }
  writer.end();
  return Document(writer.bytes());
}

class Session {
 public:
  Session() {
    services_.database = &fixture().database();
    services_.settings.data_dir = fixture().root();
    client_.remote_address = "127.0.0.1:1";
  }
  static LocalFixture& fixture() {
    static LocalFixture instance;
    return instance;
  }

  CaseFailure step(ObjectView step) {
    if (auto failure = check_keys(step.value(), kStepKeys)) return failure;
    if (!step.get("run").is_object() || step.get("run").as_object().empty())
      return "a step without a command";
    Arena arena;
    Document command(substitute(step.get("run"), last_.value(), arena));
    std::string name(command.view().begin()->name());
    std::string database = step.has("db") ? std::string(step.get("db").as_string()) : "test";
    commands::Request request{services_, client_,  command.value(),
                              name,      database, std::chrono::steady_clock::now()};
    BsonWriter reply;
    auto outcome = commands::run_command(commands::find_command(name), request, reply);
    if (outcome.progress != commands::Progress::kDone) return name + " waits";
    if (auto status = validate_bson(reply.bytes()); !status.ok())
      return "the reply is no valid BSON: " + status.message();
    last_ = Document(reply.bytes());
    return check(step, outcome.ok);
  }

 private:
  CaseFailure check(ObjectView step, bool ok) const {
    std::string got = "\n        got      " + describe(last_.value());
    if (step.has("error")) {
      ObjectView error = step.get("error").as_object();
      bool same = !ok && error.get("code").is_number() &&
                  error.get("code").to_double() == last_.get("code").to_double();
      for (const auto& field : error) {
        if (field.has_name("code")) continue;
        same = same && includes(last_.get(field.has_name("message") ? "errmsg" : field.name()),
                                field.value);
      }
      if (same) return std::nullopt;
      return "expected error " + describe(error.value()) + got;
    }
    if (!ok) return "expected success" + got;
    if (step.has("includes") && !includes(last_.value(), step.get("includes")))
      return "expected " + describe(step.get("includes")) + got;
    if (step.has("reply") && describe(without_ok(last_).value()) != describe(step.get("reply"))) {
      return "expected " + describe(step.get("reply")) + got;
    }
    return std::nullopt;
  }

  commands::Services services_;
  commands::Client client_;
  Document last_;
};

CaseFailure run_case(const CaseFile&, Value value) {
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  Value steps = value.as_object().get("steps");
  if (!steps.is_array() || steps.as_array().empty()) return "no \"steps\"";
  if (!Session::fixture().ready()) return "no temporary database";
  if (auto status = Session::fixture().clear(); !status.ok()) return status.message();
  Session session;
  int number = 0;
  for (Value step : steps.as_array()) {
    ++number;
    if (!step.is_object()) return "a step is no document";
    if (auto failure = session.step(step.as_object()))
      return "step " + std::to_string(number) + ": " + *failure;
  }
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
