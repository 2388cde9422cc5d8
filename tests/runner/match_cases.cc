// Runs tests/match/*.json. A case:
//   {"name": …, "query": <query>, then
//    "match": [<document>…], "no_match": [<document>…]  at least one of them, or
//    "error": {"code": n}                               the query is refused when it is parsed, or
//    "match_error": {"code": n, "doc": <document>}      matching that document fails
//    "needs": ["a.b", …]                                beside the others: exactly the paths that
//    the query reads, "" for all}
// Each document is tried in its BSON form and its tree form, twice: predicates remember where they
// found a field.
#include <algorithm>
#include <array>
#include <string>

#include "engine/document/extended_json.h"
#include "engine/match/match.h"
#include "tests/runner/case_file.h"
#include "tests/runner/path_list.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 8> kCaseKeys = {"name",     "note",  "query",       "match",
                                                       "no_match", "error", "match_error", "needs"};

int code_of(const Value& error) {
  return error.is_object() ? static_cast<int>(error.as_object().get("code").to_double()) : 0;
}

CaseFailure check_document(const Predicate& predicate, const Value& document, bool expected,
                           EvalContext& context) {
  Arena& arena = *context.arena;
  for (const Value& form :
       {document, deep_copy(document, arena), document, deep_copy(document, arena)}) {
    context.root = form;
    try {
      if (predicate.matches(form, context) != expected) {
        return std::string(expected ? "does not match " : "matches ") + to_json(document) +
               (form.is_tree() ? " (tree)" : " (BSON)");
      }
    } catch (const EvaluationError& error) {
      return "fails with " + std::to_string(error.status().code()) + " on " + to_json(document);
    }
  }
  return std::nullopt;
}

CaseFailure check_documents(const Predicate& predicate, const Value& documents, bool expected,
                            EvalContext& context) {
  if (documents.is_missing()) return std::nullopt;
  for (const Value& document : documents.as_array()) {
    if (auto failure = check_document(predicate, document, expected, context)) return failure;
  }
  return std::nullopt;
}

CaseFailure check_match_error(const Predicate& predicate, const Value& expected,
                              EvalContext& context) {
  context.root = expected.as_object().get("doc");
  try {
    predicate.matches(context.root, context);
  } catch (const EvaluationError& error) {
    if (error.status().code() == code_of(expected)) return std::nullopt;
    return "fails with " + std::to_string(error.status().code()) + ": " + error.status().message();
  }
  return "does not fail";
}

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  bool has_documents = test.has("match") || test.has("no_match");
  if (has_documents + test.has("error") + test.has("match_error") != 1) {
    return "needs documents, \"error\" or \"match_error\", and only one of them";
  }
  CompiledMemory memory;
  ParseContext parsing(memory);
  auto predicate = parse_predicate(test.get("query"), parsing);
  if (!predicate.ok()) {
    if (test.has("error") && code_of(test.get("error")) == predicate.status().code())
      return std::nullopt;
    return "got error " + std::to_string(predicate.status().code()) + ": " +
           predicate.status().message();
  }
  if (test.has("error"))
    return "expected error " + std::to_string(code_of(test.get("error"))) + ", but it parses";

  Arena arena;
  EvalContext context;
  context.arena = &arena;
  context.variables.resize(parsing.variable_count());
  if (test.has("match_error"))
    return check_match_error(**predicate, test.get("match_error"), context);
  if (auto failure = check_documents(**predicate, test.get("match"), true, context)) return failure;
  if (auto failure = check_documents(**predicate, test.get("no_match"), false, context))
    return failure;
  if (!test.has("needs")) return std::nullopt;
  Dependencies dependencies;
  (*predicate)->add_dependencies(dependencies);
  return check_paths(dependencies.fields, test.get("needs"));
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
