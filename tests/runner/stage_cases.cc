// Runs tests/stage/*.json. A case:
//   {"name": …, "stage": {<stage>: …} or "pipeline": [<stage>…], then
//    "docs": [<document>…], "result": [<document>…]          equal to the bit, with the order of
//    fields "dead_letters": [{"operator": …, "reason": …, "doc": …}…]  beside "result"; what is
//    given of each is compared; none expected without "ordinals": [n…] beside "result": which of
//    its record's documents each result is, or "error": {"code": n} the stage is refused when it is
//    parsed, or "later": ["a", …], "needs": ["a.b", …]                  what it needs when that is
//    read of its result, "" for the whole document; "meta": <document> the stream metadata of all
//    documents}
// Each case is run on documents in tree form and in BSON form, in one batch and in batches of one,
// and must give the same. For "ordinals" each input document counts as a record of its own.
#include <array>
#include <string>
#include <vector>

#include "engine/document/extended_json.h"
#include "engine/source/source.h"
#include "engine/stage/stages.h"
#include "tests/runner/case_file.h"
#include "tests/runner/path_list.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)

constexpr std::array<std::string_view, 12> kCaseKeys = {
    "name",  "note",  "stage", "pipeline", "docs",         "result",
    "error", "later", "needs", "meta",     "dead_letters", "ordinals"};

struct KnownStage {
  std::string_view name;
  StageFunction parse;
};
// The stages of engine/stage: this program must not need the table of the layers above.
constexpr std::array kStages = {
    KnownStage{"$addFields", parse_add_fields_stage},
    KnownStage{"$count", parse_count_stage},
    KnownStage{"$group", parse_group_stage},
    KnownStage{"$limit", parse_limit_stage},
    KnownStage{"$match", parse_match_stage},
    KnownStage{"$project", parse_project_stage},
    KnownStage{"$redact", parse_redact_stage},
    KnownStage{"$replaceRoot", parse_replace_root_stage},
    KnownStage{"$replaceWith", parse_replace_root_stage},
    KnownStage{"$set", parse_add_fields_stage},
    KnownStage{"$sort", parse_sort_stage},
    KnownStage{"$unset", parse_unset_stage},
    KnownStage{"$unwind", parse_unwind_stage},
    KnownStage{"$validate", parse_validate_stage},
};

class NoPipelines final : public PipelineBuilder {
 public:
  Result<std::vector<OperatorPtr>> build(const Value&, Place, StageContext&) override {
    return Status(ErrorCode::kNotImplemented, "no stage here holds a pipeline");
  }
};

struct DeadLetter {
  std::string operator_name;
  std::string reason;
  std::string doc;
};

class Collected final : public DeadLetters {
 public:
  void add(const StreamDocument& document, std::string_view operator_name,
           std::string_view reason) override {
    letters.push_back({std::string(operator_name), std::string(reason),
                       to_json(document.body, JsonFormat::kCanonical)});
  }
  std::vector<DeadLetter> letters;
};

// A case's stages, compiled; made anew for each way of running it.
struct Stages {
  CompiledMemory memory;
  ParseContext parsing{memory};
  std::vector<OperatorPtr> operators;

  Status parse(ObjectView test) {
    parsing.in_stream = true;
    if (test.has("stage")) return parse_one(test.get("stage"));
    for (const Value& stage : test.get("pipeline").as_array()) MR_RETURN_IF_ERROR(parse_one(stage));
    return {};
  }

 private:
  Status parse_one(const Value& stage) {
    const Field field = *stage.as_object().begin();
    for (const KnownStage& known : kStages) {
      if (known.name != field.name()) continue;
      NoPipelines builder;
      StageContext context{parsing, builder, Place::kMain};
      MR_ASSIGN_OR_RETURN(OperatorPtr op, known.parse(known.name, field.value, context));
      operators.push_back(std::move(op));
      return {};
    }
    return {ErrorCode::kInternalError, "the runner knows no stage " + std::string(field.name())};
  }
};

// What came out, as text.
struct Outcome {
  std::vector<std::string> results;
  std::vector<uint32_t> ordinals;
  std::vector<DeadLetter> letters;
};

void run_from(Stages& stages, size_t first, Batch& batch, OperatorContext& context,
              Outcome& outcome) {
  for (size_t i = first; i < stages.operators.size(); ++i)
    stages.operators[i]->on_batch(batch, context);
  for (const StreamDocument& document : batch.documents) {
    outcome.results.push_back(to_json(document.body, JsonFormat::kCanonical));
    outcome.ordinals.push_back(document.ordinal);
  }
}

Outcome run(Stages& stages, ObjectView test, bool tree, size_t batch_size) {
  Outcome outcome;
  Collected letters;
  ManualClock clock(0);
  MemoryAccount account;
  OperatorContext context;
  context.eval.variables.resize(stages.parsing.variable_count());
  context.eval.clock = &clock;
  context.clock = &clock;
  context.dead_letters = &letters;
  context.memory = &account;
  Batch batch;
  context.eval.arena = &batch.arena;
  auto flush = [&] {
    run_from(stages, 0, batch, context, outcome);
    batch.clear();
  };
  std::vector<SourceRecord> records(test.get("docs").as_array().size());
  size_t n = 0;
  for (const Value& doc : test.get("docs").as_array()) {
    StreamDocument& document = batch.documents.emplace_back();
    document.body = tree ? deep_copy(doc, batch.arena) : doc;
    document.meta = test.get("meta");
    document.record = &records[n++];
    if (batch.documents.size() == batch_size) flush();
  }
  flush();
  for (size_t i = 0; i < stages.operators.size(); ++i) {
    stages.operators[i]->on_end(batch, context);
    run_from(stages, i + 1, batch, context, outcome);
    batch.clear();
  }
  outcome.letters = std::move(letters.letters);
  return outcome;
}

CaseFailure check_results(const Outcome& outcome, const Value& expected) {
  std::vector<std::string> wanted;
  for (const Value& document : expected.as_array())
    wanted.push_back(to_json(document, JsonFormat::kCanonical));
  if (outcome.results == wanted) return std::nullopt;
  std::string text = "got";
  for (const std::string& result : outcome.results) text += "\n          " + result;
  for (const DeadLetter& letter : outcome.letters)
    text += "\n          dead letter of " + letter.operator_name + ": " + letter.reason;
  return text;
}

CaseFailure check_letters(const std::vector<DeadLetter>& letters, const Value& expected) {
  size_t count = expected.is_array() ? expected.as_array().size() : 0;
  if (letters.size() != count) {
    return std::to_string(letters.size()) + " dead letters" +
           (letters.empty() ? "" : ": " + letters[0].reason);
  }
  static constexpr std::array<std::string_view, 3> kKeys = {"operator", "reason", "doc"};
  for (size_t i = 0; i < count; ++i) {
    Value letter = expected.as_array().at(i);
    if (auto failure = check_keys(letter, kKeys)) return failure;
    Value name = letter.as_object().get("operator");
    Value reason = letter.as_object().get("reason");
    Value doc = letter.as_object().get("doc");
    if (name.is_string() && name.as_string() != letters[i].operator_name)
      return "dead letter of " + letters[i].operator_name;
    if (reason.is_string() && reason.as_string() != letters[i].reason)
      return "dead letter's reason: " + letters[i].reason;
    if (doc.is_object() && to_json(doc, JsonFormat::kCanonical) != letters[i].doc)
      return "dead letter's document: " + letters[i].doc;
  }
  return std::nullopt;
}

CaseFailure check_ordinals(const Outcome& outcome, const Value& expected) {
  if (!expected.is_array()) return std::nullopt;
  std::vector<uint32_t> wanted;
  for (const Value& ordinal : expected.as_array())
    wanted.push_back(static_cast<uint32_t>(ordinal.integer_value()));
  return outcome.ordinals == wanted ? std::nullopt : CaseFailure("wrong ordinals");
}

CaseFailure check_needs(const Stages& stages, ObjectView test) {
  Dependencies dependencies;
  CompiledMemory memory;
  dependencies.fields = read_paths(test.get("later"), memory.names);
  for (size_t i = stages.operators.size(); i-- > 0;)
    stages.operators[i]->dependencies(dependencies);
  return check_paths(dependencies.fields, test.get("needs"));
}

CaseFailure run_case(const CaseFile&, Value value) {
  ObjectView test = value.as_object();
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  if (test.has("stage") == test.has("pipeline")) return "needs either \"stage\" or \"pipeline\"";
  if (test.has("result") + test.has("error") + test.has("needs") != 1)
    return "needs one of \"result\", \"error\" and \"needs\"";
  for (bool tree : {true, false}) {
    for (size_t batch_size : {size_t{1000}, size_t{1}}) {
      Stages stages;
      Status parsed = stages.parse(test);
      if (test.has("error")) {
        int code = static_cast<int>(test.get("error").as_object().get("code").to_double());
        if (parsed.code() == code) return std::nullopt;
        return "expected error " + std::to_string(code) + ", got " + std::to_string(parsed.code()) +
               ": " + parsed.message();
      }
      if (!parsed.ok())
        return "refused: " + std::to_string(parsed.code()) + ": " + parsed.message();
      if (test.has("needs")) return check_needs(stages, test);
      Outcome outcome = run(stages, test, tree, batch_size);
      CaseFailure failure = check_results(outcome, test.get("result"));
      if (!failure) failure = check_letters(outcome.letters, test.get("dead_letters"));
      if (!failure) failure = check_ordinals(outcome, test.get("ordinals"));
      if (failure)
        return std::string(tree ? "(tree" : "(BSON") + ", batches of " +
               std::to_string(batch_size) + ") " + *failure;
    }
  }
  return std::nullopt;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
