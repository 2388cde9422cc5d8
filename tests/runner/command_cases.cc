// Runs tests/commands/*.json: commands, one after the other, through the dispatcher. A case:
//   {"name": …, "connections": [<definition as the Admin API has it>…], "server": <settings>,
//    "steps": [<step>…]}, a step
//   {"run": <command>, "db": <name, default "test"; "admin" for a command that runs nowhere else>,
//   then one of
//    "reply": <the whole reply without ok>
//    "includes": <document>   what is given of the reply; documents inside may have further fields,
//                             arrays may not
//    "error": {"code": n, "message": <whole text, optional>, <further fields, as given>}
//    nothing: it must succeed; and, before that is looked at,
//    "until": <as includes>   the command is repeated until the reply is like this, 20 s at most
//    "drain": <field>         the command is repeated until the reply's cursorId is 0; the replies'
//                             arrays of this name are looked at as one
//    "save": {<name>: <path>} puts values of the reply aside
//    "exhaust": true          the client takes a stream of replies; "moreToCome": the reply says
//                             that more follow (default: it does not)
//    "waitsMs": n             the answer does not come before that}
// {"$reply": path} and {"$saved": name} stand for values of replies before; what differs from run
// to run is expected by {"$type": …}, {"$matches": …} and the like: expectation.h.
//
// "server": "startupWarnings" and "recentLog" (lists of lines, for getLog), "commandLine",
// "memoryLimitMb" (of a processor), "defaultTier" and "maxTier" (of the workspace), "demo" (the
// demonstration runs).
//
// Each case starts with an empty database and without a stream processor; the database's time is
// 2024-03-01T12:00:00Z, the processors run by the real clock. `command_cases --each-fails FOLDER`
// is green when no case passes: tests/runner/false_cases holds expectations that are wrong.
#include <spdlog/spdlog.h>

#include <array>
#include <string>
#include <thread>

#include "commands/command.h"
#include "commands/dispatch.h"
#include "commands/services.h"
#include "commands/table.h"
#include "tests/runner/case_file.h"
#include "tests/runner/expectation.h"
#include "tests/runner/local_fixture.h"
#include "tests/runner/stream_fixture.h"

namespace millrace::tests {
namespace {

using namespace engine;  // NOLINT(google-build-using-namespace)
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::array<std::string_view, 5> kCaseKeys = {"name", "note", "connections", "server",
                                                       "steps"};
constexpr std::array<std::string_view, 11> kStepKeys = {
    "run",  "db",    "reply",   "includes",   "error",  "until",
    "save", "drain", "exhaust", "moreToCome", "waitsMs"};
constexpr std::array<std::string_view, 7> kServerKeys = {
    "startupWarnings", "recentLog", "commandLine", "memoryLimitMb",
    "defaultTier",     "maxTier",   "demo"};

constexpr std::chrono::seconds kPatience{20};

Document without_ok(const Document& reply) {
  BsonWriter writer;
  writer.begin_document();
  for (const auto& field : reply.view()) {
    if (!field.has_name("ok")) writer.append(field.name(), field.value);
  }
  writer.end();
  return Document(writer.bytes());
}

// What is the same for every command that is answered at all: clients read `ok` as a double (or
// int32) and an error's code as an int32.
CaseFailure check_frame(const Document& reply, bool ok) {
  Value flag = reply.get("ok");
  if (!flag.is(Type::kDouble) || flag.to_double() != (ok ? 1 : 0))
    return "the reply's ok is " + describe(flag);
  bool names = reply.get("code").is(Type::kInt32) && reply.get("codeName").is_string() &&
               reply.get("errmsg").is_string();
  if (!ok && !names) return "an error without code, codeName or errmsg";
  return std::nullopt;
}

CaseFailure still_open(const Document& reply) {
  Value cursor = reply.get("cursorId");
  if (cursor.is(Type::kInt64) && cursor.integer_value() == 0) return std::nullopt;
  return "cursorId is " + describe(cursor);
}

// The last of the replies, with the elements that all of them have in the array `field`.
Document put_together(const std::vector<Document>& replies, std::string_view field) {
  BsonWriter writer;
  writer.begin_document();
  for (const auto& given : replies.back().view()) {
    if (!given.has_name(field)) {
      writer.append(given.name(), given.value);
      continue;
    }
    writer.begin_array(field);
    size_t index = 0;
    for (const Document& reply : replies) {
      if (!reply.get(field).is_array()) continue;
      for (Value element : reply.get(field).as_array()) writer.append_element(index++, element);
    }
    writer.end();
  }
  writer.end();
  return Document(writer.bytes());
}

std::vector<std::string> lines(Value list) {
  std::vector<std::string> texts;
  if (!list.is_array()) return texts;
  for (Value line : list.as_array()) texts.emplace_back(line.as_string());
  return texts;
}

class Session {
 public:
  // `settings` and `connections` as in the case; missing: none.
  CaseFailure open(Value settings, Value connections) {
    if (auto failure = configure(settings)) return failure;
    streams_ = std::make_unique<StreamFixture>(services_, workspace_, fixture().store());
    if (connections.is_array()) {
      for (Value connection : connections.as_array()) {
        if (auto status = streams_->add_connection(connection); !status.ok())
          return "connections: " + status.message();
      }
    }
    if (settings.is_object() && settings.as_object().get("demo").truthy()) {
      if (auto status = streams_->start_demo(); !status.ok()) return "demo: " + status.message();
    }
    return std::nullopt;
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
    KnownValues known{last_.value(), saved_};
    std::string lost;
    Document command(substitute(step.get("run"), known, arena, &lost));
    Document expected(substitute(step.value(), known, arena, &lost));
    if (!lost.empty()) return lost + " leads nowhere; the last reply is " + describe(last_.value());
    auto give_up = steady_clock::now() + kPatience;
    std::vector<Document> drained;
    while (true) {
      if (auto failure = run(command, step)) return failure;
      if (step.has("drain")) drained.push_back(last_);
      if (!step.has("until") && !step.has("drain")) break;
      if (!ok_) return "expected success" + got();
      auto missing = step.has("until")
                         ? difference(last_.value(), expected.get("until"), Fields::kMore)
                         : still_open(last_);
      if (!missing) break;
      if (steady_clock::now() > give_up) return "not within 20 s: " + *missing + got();
      std::this_thread::sleep_for(milliseconds(20));
    }
    if (step.has("drain")) last_ = put_together(drained, step.get("drain").as_string());
    if (auto failure = check(expected.view())) return failure;
    if (step.has("save")) {
      for (const auto& field : step.get("save").as_object()) put_aside(field);
    }
    return std::nullopt;
  }

 private:
  CaseFailure configure(Value settings) {
    services_.database = &fixture().database();
    services_.settings.data_dir = fixture().root();
    services_.settings.version = "0.0.0";
    services_.compressors = {"snappy", "zlib", "zstd"};
    client_.remote_address = "127.0.0.1:1";
    client_.connection_id = 7;
    if (settings.is_missing()) return std::nullopt;
    if (auto failure = check_keys(settings, kServerKeys)) return failure;
    ObjectView given = settings.as_object();
    services_.startup_warnings = lines(given.get("startupWarnings"));
    services_.recent_log = [log = lines(given.get("recentLog"))](int64_t* total) {
      *total = static_cast<int64_t>(log.size());
      return log;
    };
    services_.settings.command_line = lines(given.get("commandLine"));
    if (given.has("memoryLimitMb"))
      services_.settings.memory_limit_mb = given.get("memoryLimitMb").integer_value();
    if (given.has("defaultTier")) workspace_.default_tier = given.get("defaultTier").as_string();
    if (given.has("maxTier")) workspace_.max_tier = given.get("maxTier").as_string();
    return std::nullopt;
  }

  void put_aside(const Field& field) {
    BsonWriter writer;
    writer.begin_document();
    writer.append("value", at_path(last_.value(), field.value.as_string()));
    writer.end();
    saved_[std::string(field.name())] = Document(writer.bytes());
  }

  // One command to its end; the reply is in last_ and ok_.
  CaseFailure run(const Document& command, ObjectView step) {
    std::string name(command.view().begin()->name());
    std::string database = step.has("db") ? std::string(step.get("db").as_string()) : "test";
    const auto* row = commands::find_command(name);
    if (!step.has("db") && row != nullptr && (row->flags & commands::kAdminOnly) != 0)
      database = "admin";
    commands::Request request{services_, client_,  command.value(),
                              name,      database, steady_clock::now()};
    request.exhaust_allowed = step.get("exhaust").truthy();
    BsonWriter reply;
    // As the wire layer does it: a handler that waits is called again.
    auto outcome = commands::run_command(row, request, reply);
    for (auto pause = milliseconds(5); outcome.progress == commands::Progress::kWait;
         pause = std::min(pause + milliseconds(5), milliseconds(25))) {
      auto next = std::max(steady_clock::now() + pause, request.next_attempt);
      if (next > request.received + kPatience) return name + " waits for more than 20 s";
      std::this_thread::sleep_until(next);
      request.next_attempt = {};
      outcome = commands::run_command(row, request, reply);
    }
    if (auto status = validate_bson(reply.bytes()); !status.ok())
      return "the reply is no valid BSON: " + status.message();
    last_ = Document(reply.bytes());
    ok_ = outcome.ok;
    if (request.more_to_come != step.get("moreToCome").truthy())
      return std::string("the reply says that ") + (request.more_to_come ? "more" : "nothing") +
             " follows";
    if (steady_clock::now() < request.received + waits(step)) return name + " does not wait";
    return check_frame(last_, ok_);
  }

  static milliseconds waits(ObjectView step) {
    Value ms = step.get("waitsMs");
    return milliseconds(ms.is_integer() ? ms.integer_value() : 0);
  }

  std::string got() const { return "\n        got      " + describe(last_.value()); }

  CaseFailure check(ObjectView step) const {
    if (step.has("error")) return check_error(step.get("error"));
    if (!ok_) return "expected success" + got();
    if (step.has("includes")) {
      if (auto unlike = difference(last_.value(), step.get("includes"), Fields::kMore))
        return *unlike + "\n        expected " + describe(step.get("includes")) + got();
    }
    if (step.has("reply")) {
      Document reply = without_ok(last_);
      if (auto unlike = difference(reply.value(), step.get("reply"), Fields::kThese))
        return *unlike + "\n        expected " + describe(step.get("reply")) + got();
    }
    return std::nullopt;
  }

  CaseFailure check_error(Value error) const {
    bool same = !ok_ && error.is_object() && error.as_object().get("code").is_number() &&
                error.as_object().get("code").to_double() == last_.get("code").to_double();
    std::string why;
    for (const auto& field : error.as_object()) {
      if (field.has_name("code")) continue;
      auto unlike = difference(last_.get(field.has_name("message") ? "errmsg" : field.name()),
                               field.value, Fields::kMore);
      same = same && !unlike;
      if (unlike) why = ": " + std::string(field.name()) + ": " + *unlike;
    }
    if (same) return std::nullopt;
    return "expected error " + describe(error) + why + got();
  }

  commands::Services services_;
  WorkspaceSettings workspace_;
  commands::Client client_;
  std::map<std::string, Document, std::less<>> saved_;
  Document last_;
  bool ok_ = false;
  std::unique_ptr<StreamFixture> streams_;
};

CaseFailure run_case(const CaseFile&, Value value) {
  if (auto failure = check_keys(value, kCaseKeys)) return failure;
  Value steps = value.as_object().get("steps");
  if (!steps.is_array() || steps.as_array().empty()) return "no \"steps\"";
  if (!Session::fixture().ready()) return "no temporary database";
  if (auto status = Session::fixture().clear(); !status.ok()) return status.message();
  Session session;
  if (auto failure =
          session.open(value.as_object().get("server"), value.as_object().get("connections")))
    return failure;
  int number = 0;
  for (Value step : steps.as_array()) {
    ++number;
    if (!step.is_object()) return "a step is no document";
    if (auto failure = session.step(step.as_object()))
      return "step " + std::to_string(number) + ": " + *failure;
  }
  return std::nullopt;
}

// A case whose last expectation is wrong must say so, and only there.
CaseFailure run_false_case(const CaseFile& file, Value value) {
  auto failure = run_case(file, value);
  if (!failure) return "it passes, and should not";
  size_t last = value.as_object().get("steps").as_array().size();
  std::string where = "step " + std::to_string(last) + ": ";
  if (failure->rfind(where, 0) == 0) return std::nullopt;
  return "it fails elsewhere than in its last step: " + *failure;
}

}  // namespace
}  // namespace millrace::tests

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);  // what fails here fails on purpose
  if (argc > 1 && std::string_view(argv[1]) == "--each-fails")
    return millrace::tests::run_case_files(argc - 1, argv + 1, millrace::tests::run_false_case);
  return millrace::tests::run_case_files(argc, argv, millrace::tests::run_case);
}
