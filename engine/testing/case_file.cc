#include "engine/testing/case_file.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>
#include <span>
#include <sstream>

#include "engine/document/extended_json.h"
#include "engine/testing/matcher.h"
#include "engine/testing/virtual_time.h"

namespace millrace::engine {
namespace {

constexpr int64_t kDefaultStartMs = 1'740'787'200'000;  // 2025-03-01T00:00:00Z
constexpr int64_t kLastClockMs = 4'102'444'800'000;     // 2100: nanoseconds still fit
constexpr std::string_view kProcessorId = "000000000000000000000001";

// Fields that a case may also inherit from its file.
constexpr std::array<std::string_view, 13> kCaseFields = {
    "name",     "note",  "processor",  "pipeline", "options", "fragment", "connections",
    "settings", "start", "partitions", "restarts", "reason",  "input"};
constexpr std::array<std::string_view, 4> kFileFields = {"cases", "operator", "source", "note"};
constexpr std::array<std::string_view, 7> kExpectFields = {
    "output", "anyOrder", "deadLetters", "stats", "stillOpen", "error", "note"};
constexpr std::array<std::string_view, 18> kStepFields = {
    "note",  "at",      "advance",   "timestamp", "document",    "documents",
    "raw",   "topic",   "partition", "key",       "headers",     "stop",
    "start", "restart", "modify",    "output",    "deadLetters", "error"};

Status bad(const std::string& where, const std::string& what) {
  return Status(ErrorCode::kBadValue, where.empty() ? what : where + ": " + what);
}

Status only(const Value& object, std::span<const std::string_view> known,
            const std::string& where) {
  for (const Field& field : object.as_object()) {
    if (field.name() == "collections")
      return bad(where, "'collections' (what look-ups read) is not supported by Millrace yet");
    if (std::find(known.begin(), known.end(), field.name()) == known.end())
      return bad(where, "unknown field '" + std::string(field.name()) + "'");
  }
  return {};
}

Result<std::string> read_text(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return bad("", path.string() + " is a directory");
  std::ifstream file(path, std::ios::binary);
  if (!file) return bad("", "cannot read " + path.string());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::vector<Value>> list_of(const Value& value, const std::string& where, bool messages) {
  if (!value.is_array()) return bad(where, "must be an array");
  std::vector<Value> list;
  for (const Value& element : value.as_array()) {
    if (!element.is_object()) return bad(where, "must hold documents");
    if (Status wrong = check_markers(element, messages); !wrong.ok())
      return bad(where, wrong.message());
    list.push_back(element);
  }
  return list;
}

Result<ExpectedError> error_of(const Value& value, const std::string& where) {
  if (!value.is_object()) return bad(where, "must be {code, message}");
  constexpr std::array<std::string_view, 3> kKnown = {"code", "message", "note"};
  MR_RETURN_IF_ERROR(only(value, kKnown, where));
  ExpectedError expected;
  Value code = value.as_object().get("code");
  Value message = value.as_object().get("message");
  if (!code.is_missing() && !code.is_integer()) return bad(where + ".code", "must be an integer");
  if (!message.is_missing() && !message.is_string())
    return bad(where + ".message", "must be a string");
  if (code.is_integer()) expected.code = code.integer_value();
  if (message.is_string()) expected.message = std::string(message.as_string());
  return expected;
}

// Adds what a fragment lacks: a source without documents of its own and a sink that keeps nothing.
Document complete_fragment(const Value& stages) {
  auto name_of = [](const Value& stage) -> std::string_view {
    return stage.is_object() && !stage.as_object().empty() ? stage.as_object().begin()->name()
                                                           : std::string_view();
  };
  Value last;
  bool sourced = false;
  for (const Value& stage : stages.as_array()) {
    sourced = sourced || name_of(stage) == "$source";
    last = stage;
  }
  size_t index = 0;
  BsonWriter w;
  w.begin_document();
  w.begin_array("pipeline");
  if (!sourced) {
    w.begin_object(std::to_string(index++));
    w.begin_object("$source");
    w.begin_array("documents");
    w.end();
    w.end();
    w.end();
  }
  for (const Value& stage : stages.as_array()) w.append_element(index++, stage);
  if (name_of(last) != "$merge" && name_of(last) != "$emit") {
    w.begin_object(std::to_string(index));
    w.begin_object("$emit");
    w.append("connectionName", "__testLog");
    w.end();
    w.end();
  }
  w.end();
  w.end();
  return Document(w.bytes());
}

// Reads one file.
class Reader {
 public:
  explicit Reader(CaseFile& file) : file_(file) {}

  Status read() {
    auto content = parse_extended_json(file_.text);
    if (!content.ok()) return bad("", "no valid JSON document: " + content.status().message());
    file_.content = *content;
    Value root = file_.content.value();
    Value cases = root.as_object().get("cases");
    file_.single = cases.is_missing();
    if (file_.single) return read_case(root, root, "");
    if (!cases.is_array()) return bad("cases", "must be an array");
    for (const Field& field : root.as_object()) {
      bool known =
          std::find(kFileFields.begin(), kFileFields.end(), field.name()) != kFileFields.end() ||
          (inheritable(field.name()));
      if (!known) return bad("", "unknown field '" + std::string(field.name()) + "'");
    }
    size_t index = 0;
    for (const Value& value : cases.as_array()) {
      std::string where = "cases[" + std::to_string(index++) + "]";
      if (!value.is_object()) return bad(where, "must be an object");
      MR_RETURN_IF_ERROR(read_case(value, root, where));
    }
    return {};
  }

 private:
  static bool inheritable(std::string_view name) {
    return name != "name" && name != "input" && name != "reason" &&
           std::find(kCaseFields.begin(), kCaseFields.end(), name) != kCaseFields.end();
  }

  // A field of the case, or of its file.
  Value get(std::string_view name) const {
    Value own = case_.as_object().get(name);
    if (!own.is_missing() || file_.single || !inheritable(name)) return own;
    // A case with its own way to name the processor does not inherit the other.
    bool processor = name == "pipeline" || name == "processor";
    if (processor && (case_.as_object().has("pipeline") || case_.as_object().has("processor")))
      return own;
    return root_.as_object().get(name);
  }

  Status read_case(const Value& value, const Value& root, const std::string& where) {
    case_ = value;
    root_ = root;
    where_ = where;
    std::vector<std::string_view> known(kCaseFields.begin(), kCaseFields.end());
    known.push_back("expect");
    if (file_.single) known.insert(known.end(), kFileFields.begin() + 1, kFileFields.end());
    MR_RETURN_IF_ERROR(only(value, known, where));
    TestCase test;
    Value name = value.as_object().get("name");
    if (!file_.single && !name.is_string()) return bad(where, "needs a name");
    test.name = name.is_string() ? std::string(name.as_string()) : file_.path.stem().string();
    where_ = where.empty() ? "" : where + " (" + test.name + ")";
    if (!names_.insert(test.name).second) return bad(where_, "the name is there twice");
    MR_RETURN_IF_ERROR(read_definition(test));
    MR_RETURN_IF_ERROR(read_settings(test));
    MR_RETURN_IF_ERROR(read_input(test));
    MR_RETURN_IF_ERROR(read_expect(test));
    file_.cases.push_back(std::move(test));
    return {};
  }

  std::string at(const std::string& what) const {
    return where_.empty() ? what : where_ + ", " + what;
  }

  // A value, or the content of the file that a string names, beside the case file.
  Result<Value> value_or_file(const Value& value, const std::string& what) {
    if (!value.is_string()) return value;
    auto path = file_.path.parent_path() / std::string(value.as_string());
    file_.references.push_back(path);
    auto text = read_text(path);
    if (!text.ok()) return bad(at(what), text.status().message());
    file_.arenas.push_back(std::make_unique<Arena>());
    auto parsed = parse_extended_json_value(*text, *file_.arenas.back());
    if (!parsed.ok()) return bad(at(what), path.string() + ": " + parsed.status().message());
    return *parsed;
  }

  Status read_definition(TestCase& test) {
    exported_ = false;
    ProcessorDefinition& definition = test.definition;
    definition.id = kProcessorId;
    definition.name = "test";
    Value processor = get("processor");
    Value pipeline = get("pipeline");
    if (processor.is_missing() == pipeline.is_missing())
      return bad(where_, "needs either a pipeline or a processor");
    Value options = get("options");
    if (!processor.is_missing()) {
      if (!options.is_missing()) return bad(at("options"), "belong into the processor");
      exported_ = processor.is_string();
      MR_ASSIGN_OR_RETURN(processor, value_or_file(processor, "processor"));
      if (!processor.is_object()) return bad(at("processor"), "must be an object or name a file");
      pipeline = processor.as_object().get("pipeline");
      options = processor.as_object().get("options");
      if (Value name = processor.as_object().get("name"); name.is_string())
        definition.name = name.as_string();
      for (std::string_view name : {"dlq", "streamMetaFieldName"}) {
        Value option = processor.as_object().get(name);
        if (!option.is_missing()) MR_RETURN_IF_ERROR(read_option(name, option, definition));
      }
    }
    MR_ASSIGN_OR_RETURN(Document stages, stages_of(pipeline, "pipeline"));
    definition.pipeline = stages;
    if (options.is_missing()) return {};
    if (!options.is_object()) return bad(at("options"), "must be an object");
    for (const Field& field : options.as_object())
      MR_RETURN_IF_ERROR(read_option(field.name(), field.value, definition));
    return {};
  }

  Status read_option(std::string_view name, const Value& value, ProcessorDefinition& definition) {
    if (name == "dlq") {
      auto dlq = parse_dead_letter_options(value);
      if (!dlq.ok()) return bad(at("options"), dlq.status().message());
      definition.dlq = *dlq;
      return {};
    }
    if (name == "streamMetaFieldName" && value.is_string()) {
      definition.stream_meta_field = value.as_string();
      return {};
    }
    if (exported_) return {};
    // These change nothing here.
    for (std::string_view ignored : {"tier", "autoscaling", "failover"}) {
      if (name == ignored) return {};
    }
    return bad(at("options"), "unknown or wrong option '" + std::string(name) + "'");
  }

  // {pipeline: [...]} of an array of stages, of a file with one, or of a file with a definition.
  Result<Document> stages_of(const Value& given, const std::string& what) {
    MR_ASSIGN_OR_RETURN(Value stages, value_or_file(given, what));
    if (stages.is_object()) stages = stages.as_object().get("pipeline");
    if (!stages.is_array()) return bad(at(what), "must be an array of stages or name a file");
    if (get("fragment").truthy()) return complete_fragment(stages);
    BsonWriter w;
    w.begin_document();
    w.append("pipeline", stages);
    w.end();
    return Document(w.bytes());
  }

  Status read_settings(TestCase& test) {
    test.connections = get("connections");
    if (!test.connections.is_missing() && !test.connections.is_object())
      return bad(at("connections"), "must be an object");
    test.start_ms = kDefaultStartMs;
    if (Value start = get("start"); !start.is_missing()) {
      auto moment = start.is(Type::kDate) || start.is_string() ? moment_of(start, 0) : std::nullopt;
      if (!moment || *moment < 0 || *moment > kLastClockMs)
        return bad(at("start"), "must be a date between 1970 and 2100");
      test.start_ms = *moment;
    }
    if (Value partitions = get("partitions"); !partitions.is_missing()) {
      if (!partitions.is_integer() || partitions.integer_value() < 1 ||
          partitions.integer_value() > 10'000)
        return bad(at("partitions"), "must be an integer from 1 to 10000");
      test.partitions = static_cast<int32_t>(partitions.integer_value());
    }
    if (Value restarts = get("restarts"); !restarts.is_missing()) {
      if (!restarts.is(Type::kBool)) return bad(at("restarts"), "must be true or false");
      test.restarts = restarts.as_bool();
      bool reason = case_.as_object().get("reason").is_string();
      if (!test.restarts && !reason) return bad(at("restarts"), "false needs a \"reason\"");
    }
    Value settings = get("settings");
    if (settings.is_missing()) return {};
    if (!settings.is_object()) return bad(at("settings"), "must be an object");
    for (const Field& field : settings.as_object()) {
      if (field.name() == "streamMetadata" && field.value.is_string() &&
          metadata(field.value.as_string(), test))
        continue;
      if (field.name() == "memoryLimitBytes" && field.value.is_integer() &&
          field.value.integer_value() > 0) {
        test.memory_limit_bytes = field.value.integer_value();
        continue;
      }
      return bad(at("settings"), "unknown or wrong field '" + std::string(field.name()) + "'");
    }
    return {};
  }

  static bool metadata(std::string_view word, TestCase& test) {
    if (word == "auto") test.metadata = StreamMetadata::kAuto;
    if (word == "always") test.metadata = StreamMetadata::kAlways;
    if (word == "never") test.metadata = StreamMetadata::kNever;
    return word == "auto" || word == "always" || word == "never";
  }

  Status read_input(TestCase& test) {
    Value input = get("input");
    if (input.is_missing()) return {};
    if (!input.is_array()) return bad(at("input"), "must be an array");
    now_ms_ = test.start_ms;
    size_t index = 0;
    for (const Value& value : input.as_array()) {
      std::string where = at("input[" + std::to_string(index++) + "]");
      if (!value.is_object()) return bad(where, "must be an object");
      MR_ASSIGN_OR_RETURN(CaseStep step, read_step(value, where, test));
      test.by_step = test.by_step || step.has_output || step.has_letters;
      test.has_events = test.has_events || !step.events.empty();
      test.steps.push_back(std::move(step));
    }
    return {};
  }

  Result<CaseStep> read_step(const Value& value, const std::string& where, TestCase& test) {
    MR_RETURN_IF_ERROR(only(value, kStepFields, where));
    ObjectView fields = value.as_object();
    CaseStep step;
    if (Value time = fields.get("at"); !time.is_missing()) {
      step.at_ms = moment_of(time, test.start_ms);
      if (!step.at_ms)
        return bad(where + ".at", "must be a moment: \"5s\", milliseconds or a date");
    }
    if (Value span = fields.get("advance"); !span.is_missing()) {
      auto length = time_span_of(span);
      if (!length || fields.has("at"))
        return bad(where + ".advance", "must be a length of time, and stand without \"at\"");
      step.at_ms = now_ms_ + *length;
    }
    if (step.at_ms && *step.at_ms < now_ms_)
      return bad(where, "time does not go back; the time of an event is \"timestamp\"");
    if (step.at_ms && *step.at_ms > kLastClockMs) return bad(where, "the clock ends in 2100");
    if (step.at_ms) now_ms_ = *step.at_ms;
    MR_RETURN_IF_ERROR(read_events(fields, where, test, step));
    MR_RETURN_IF_ERROR(read_control(fields, where, step));
    if (Value output = fields.get("output"); !output.is_missing()) {
      MR_ASSIGN_OR_RETURN(step.output, list_of(output, where + ".output", true));
      step.has_output = true;
    }
    if (Value letters = fields.get("deadLetters"); !letters.is_missing()) {
      MR_ASSIGN_OR_RETURN(step.letters, list_of(letters, where + ".deadLetters", false));
      step.has_letters = true;
    }
    if (Value error = fields.get("error"); !error.is_missing()) {
      bool answers = step.kind == CaseStep::Kind::kStart || step.kind == CaseStep::Kind::kRestart ||
                     step.kind == CaseStep::Kind::kModify;
      if (!answers) return bad(where + ".error", "belongs to start, restart or modify");
      MR_ASSIGN_OR_RETURN(step.error, error_of(error, where + ".error"));
      test.has_expectations = true;
    }
    return step;
  }

  Status read_events(const ObjectView& fields, const std::string& where, TestCase& test,
                     CaseStep& step) {
    int kinds = fields.has("document") + fields.has("documents") + fields.has("raw");
    bool about = fields.has("timestamp") || fields.has("topic") || fields.has("partition") ||
                 fields.has("key") || fields.has("headers");
    if (kinds == 0 && about) return bad(where, "has no document that this could belong to");
    if (kinds == 0) return {};
    if (kinds > 1) return bad(where, "has more than one of document, documents and raw");
    step.kind = CaseStep::Kind::kEvents;
    TestEvent event;
    event.timestamp_ms = now_ms_;
    if (Value time = fields.get("timestamp"); !time.is_missing()) {
      auto moment = moment_of(time, test.start_ms);
      if (!moment) return bad(where + ".timestamp", "must be a moment");
      event.timestamp_ms = *moment;
      event.has_timestamp = true;
    }
    MR_RETURN_IF_ERROR(read_message(fields, where, test, event));
    if (Value raw = fields.get("raw"); !raw.is_missing()) {
      event.tombstone = raw.is(Type::kNull);
      if (!event.tombstone && !raw.is_string() && !raw.is(Type::kBinData))
        return bad(where + ".raw", "must be a string, binary data or null");
      if (!event.tombstone) event.raw = raw.as_string();
      event.has_raw = true;
      event.document = Value::object({});
      step.events.push_back(event);
      return {};
    }
    Value one = fields.get("document");
    if (one.is_object()) {
      event.document = one;
      step.events.push_back(event);
      return {};
    }
    Value many = fields.get("documents");
    if (!many.is_array()) return bad(where, "document must be an object, documents an array");
    for (const Value& document : many.as_array()) {
      if (!document.is_object()) return bad(where + ".documents", "must hold documents");
      event.document = document;
      step.events.push_back(event);
    }
    return {};
  }

  Status read_message(const ObjectView& fields, const std::string& where, TestCase& test,
                      TestEvent& event) {
    if (Value topic = fields.get("topic"); !topic.is_missing()) {
      if (!topic.is_string()) return bad(where + ".topic", "must be a string");
      event.topic = topic.as_string();
    }
    if (Value partition = fields.get("partition"); !partition.is_missing()) {
      if (!partition.is_integer() || partition.integer_value() < 0 ||
          partition.integer_value() >= 10'000)
        return bad(where + ".partition", "must be an integer from 0 to 9999");
      event.partition = static_cast<int32_t>(partition.integer_value());
      test.partitions = std::max(test.partitions, event.partition + 1);
    }
    event.key = fields.get("key");
    event.headers = fields.get("headers");
    if (!event.headers.is_missing() && !event.headers.is_object() && !event.headers.is_array())
      return bad(where + ".headers", "must be {name: value} or [{k, v}]");
    if (event.headers.is_array()) {
      for (const Value& header : event.headers.as_array()) {
        if (!header.is_object() || !header.as_object().get("k").is_string())
          return bad(where + ".headers", "must hold {k: <string>, v: <value>}");
      }
    }
    return {};
  }

  Status read_control(const ObjectView& fields, const std::string& where, CaseStep& step) {
    struct Control {
      std::string_view name;
      CaseStep::Kind kind;
    };
    for (const Control& control :
         {Control{"stop", CaseStep::Kind::kStop}, Control{"start", CaseStep::Kind::kStart},
          Control{"restart", CaseStep::Kind::kRestart},
          Control{"modify", CaseStep::Kind::kModify}}) {
      Value value = fields.get(control.name);
      if (value.is_missing()) continue;
      if (step.kind != CaseStep::Kind::kWait)
        return bad(where, "does more than one thing: make two steps of it");
      step.kind = control.kind;
      bool plain = value.is(Type::kBool) && value.as_bool();
      if (plain && control.kind != CaseStep::Kind::kModify) continue;
      if (!value.is_object() || control.kind == CaseStep::Kind::kStop)
        return bad(where + "." + std::string(control.name), "must be true or an object of options");
      MR_RETURN_IF_ERROR(
          read_control_options(value, where + "." + std::string(control.name), step));
    }
    return {};
  }

  Status read_control_options(const Value& options, const std::string& where, CaseStep& step) {
    for (const Field& field : options.as_object()) {
      if (field.name() == "resumeFromCheckpoint" && field.value.is(Type::kBool)) {
        step.resume = field.value.as_bool();
      } else if (field.name() == "pipeline" && step.kind == CaseStep::Kind::kModify) {
        MR_ASSIGN_OR_RETURN(step.pipeline, stages_of(field.value, "modify.pipeline"));
      } else if (field.name() == "dlq" && step.kind == CaseStep::Kind::kModify) {
        auto dlq = parse_dead_letter_options(field.value);
        if (!dlq.ok()) return bad(where, dlq.status().message());
        step.dlq = *dlq;
      } else {
        return bad(where, "unknown or wrong field '" + std::string(field.name()) + "'");
      }
    }
    return {};
  }

  Status read_expect(TestCase& test) {
    test.has_expectations = test.has_expectations || test.by_step;
    Value expect = case_.as_object().get("expect");
    if (expect.is_missing()) return {};
    std::string where = at("expect");
    if (!expect.is_object()) return bad(where, "must be an object");
    MR_RETURN_IF_ERROR(only(expect, kExpectFields, where));
    ObjectView fields = expect.as_object();
    test.has_expectations = true;
    if (test.by_step && (fields.has("output") || fields.has("deadLetters")))
      return bad(where, "output and deadLetters stand either here or beside the steps");
    test.any_order = fields.get("anyOrder").truthy();
    MR_RETURN_IF_ERROR(read_expected_output(fields.get("output"), where + ".output", test));
    Value letters = fields.get("deadLetters");
    test.ignore_letters = letters.is_string() && letters.as_string() == "ignore";
    if (!letters.is_missing() && !test.ignore_letters) {
      MR_ASSIGN_OR_RETURN(test.letters, list_of(letters, where + ".deadLetters", false));
    }
    test.stats = fields.get("stats");
    if (!test.stats.is_missing()) {
      if (!test.stats.is_object()) return bad(where + ".stats", "must be an object");
      if (Status wrong = check_markers(test.stats); !wrong.ok())
        return bad(where + ".stats", wrong.message());
    }
    test.still_open = fields.get("stillOpen");
    if (test.still_open.is_array()) {
      MR_RETURN_IF_ERROR(list_of(test.still_open, where + ".stillOpen", false).status());
    } else if (!test.still_open.is_missing() && !test.still_open.is_integer()) {
      return bad(where + ".stillOpen", "must be a number of documents, or an array of them");
    }
    if (Value error = fields.get("error"); !error.is_missing()) {
      MR_ASSIGN_OR_RETURN(test.error, error_of(error, where + ".error"));
    }
    return {};
  }

  Status read_expected_output(const Value& output, const std::string& where, TestCase& test) {
    if (output.is_missing()) return {};
    if (output.is_array()) {
      MR_ASSIGN_OR_RETURN(test.output, list_of(output, where, true));
      return {};
    }
    if (!output.is_object())
      return bad(where, "must be an array, or an object of arrays by target");
    test.output_by_target.emplace();
    for (const Field& field : output.as_object()) {
      std::string target(field.name());
      MR_ASSIGN_OR_RETURN(std::vector<Value> list,
                          list_of(field.value, where + "." + target, true));
      test.output_by_target->emplace_back(target, std::move(list));
    }
    return {};
  }

  CaseFile& file_;
  std::set<std::string> names_;
  Value case_;
  Value root_;
  std::string where_;
  int64_t now_ms_ = 0;
  bool exported_ = false;  // the definition is a file of its own: it may hold what we do not know
};

}  // namespace

Result<CaseFile> read_case_file(const std::filesystem::path& path) {
  CaseFile file;
  file.path = path;
  MR_ASSIGN_OR_RETURN(file.text, read_text(path));
  Reader reader(file);
  MR_RETURN_IF_ERROR(reader.read());
  return file;
}

}  // namespace millrace::engine
