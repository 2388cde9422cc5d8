// Runs tests/update/*.json. A case:
//   {"name": …, "update": <document or pipeline>,
//    "doc": <the document before>; without it the update is an upsert into an empty collection,
//    "query": <document, default {}>, "arrayFilters": […], "c": {…}, "let": {…}, then one of
//    "result": <the document after>, equal to the bit, with the order of fields; with "modified":
//    false it must be untouched "error": {"code": n, "message": <the whole text, optional>}: the
//    document must be untouched}
// The time is 2024-03-01T12:00:00Z.
#include <array>
#include <string>

#include "commands/local/find.h"
#include "commands/local/insert.h"
#include "commands/local/update_documents.h"
#include "engine/document/extended_json.h"
#include "tests/runner/case_file.h"
#include "tests/runner/local_fixture.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 11> kCaseKeys = {"name",   "note",         "update", "doc",
                                                        "query",  "arrayFilters", "c",      "let",
                                                        "result", "modified",     "error"};

std::string describe(Value value) { return to_json(value, JsonFormat::kCanonical); }
std::string describe(const Status& status) {
  return "error " + std::to_string(status.code()) + ": " + status.message();
}

// The only document of the collection; "(none)" without one.
Result<std::string> stored(commands::LocalDatabase& local) {
  MR_ASSIGN_OR_RETURN(auto collection, local.find("test", "c"));
  if (!collection) return std::string("(none)");
  MR_ASSIGN_OR_RETURN(auto stream, commands::FindStream::open(local, *collection, {}));
  std::deque<std::string> documents;
  MR_RETURN_IF_ERROR(stream->next(local.store(), 10, documents));
  if (documents.empty()) return std::string("(none)");
  return describe(Value::bson_object(documents.front().data()));
}

Result<commands::WriteResult> run_update(commands::LocalDatabase& local, ObjectView test) {
  Document empty;
  commands::UpdateStatement statement;
  statement.spec.update = test.get("update");
  statement.spec.query = test.has("query") ? test.get("query") : empty.value();
  statement.spec.array_filters = test.get("arrayFilters");
  statement.spec.constants = test.get("c");
  statement.spec.let = test.get("let");
  statement.upsert = !test.has("doc");
  return commands::update_documents(local, "test", "c", {statement}, {});
}

CaseFailure check_error(ObjectView expected, const commands::WriteResult& result) {
  if (result.failed.empty())
    return "expected error " + describe(expected.value()) + "\n        got      no error";
  const Status& status = result.failed.front().failure.status;
  bool code = expected.get("code").is_number() && expected.get("code").to_double() == status.code();
  bool text = !expected.has("message") || expected.get("message").as_string() == status.message();
  if (code && text) return std::nullopt;
  return "expected error " + describe(expected.value()) + "\n        got      " + describe(status);
}

LocalFixture& fixture() {
  static LocalFixture instance;
  return instance;
}

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  if (!test.has("update") || test.has("result") == test.has("error"))
    return "needs \"update\" and one of \"result\" and \"error\"";
  if (!fixture().ready()) return "no temporary database";
  auto& local = fixture().database();
  if (auto status = fixture().clear(); !status.ok()) return describe(status);
  std::string before = "(none)";
  if (test.has("doc")) {
    Value doc = test.get("doc");
    auto inserted = commands::insert_documents(local, "test", "c", Value::array({&doc, 1}), {});
    if (!inserted.ok() || !inserted->failed.empty()) return "the document cannot be inserted";
    before = describe(doc);
  }
  auto result = run_update(local, test);
  if (!result.ok()) return describe(result.status());
  auto after = stored(local);
  if (!after.ok()) return describe(after.status());
  if (test.has("error")) {
    if (*after != before) return "an update that failed changed the document to " + *after;
    return check_error(test.get("error").as_object(), *result);
  }
  if (!result->failed.empty()) return "got " + describe(result->failed.front().failure.status);
  if (*after != describe(test.get("result")))
    return "expected " + describe(test.get("result")) + "\n        got      " + *after;
  if (test.has("modified") && (result->modified == 1) != test.get("modified").truthy())
    return "modified " + std::to_string(result->modified);
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
