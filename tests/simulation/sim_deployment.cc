#include "tests/simulation/sim_deployment.h"

#include "engine/document/compare.h"
#include "engine/document/extended_json.h"

namespace millrace::simulation {
namespace {

using engine::BsonWriter;
using engine::Document;
using engine::ErrorCode;
using engine::Field;
using engine::Result;
using engine::Status;
using engine::Value;

constexpr int32_t kPrimarySteppedDown = 189;

Document ping_reply() {
  BsonWriter w;
  w.begin_document();
  w.append("ok", 1.0);
  w.end();
  return Document(w.bytes());
}

// A unique index over `key`, beside the one over _id.
Document index_reply() {
  auto reply = engine::parse_extended_json(
      R"({"cursor": {"id": 0, "ns": "", "firstBatch": [
            {"v": 2, "key": {"_id": 1}, "name": "_id_"},
            {"v": 2, "key": {"key": 1}, "name": "key_1", "unique": true}]}, "ok": 1.0})");
  return *reply;
}

// What $mergeObjects: ["$$ROOT", "$$new"] makes.
Document merged(const Value& old, const Value& fresh) {
  BsonWriter w;
  w.begin_document();
  for (const Field& field : old.as_object()) {
    Value newer = fresh.as_object().get(field.name());
    w.append(field.name(), newer.is_missing() ? field.value : newer);
  }
  for (const Field& field : fresh.as_object()) {
    if (old.as_object().get(field.name()).is_missing()) w.append(field.name(), field.value);
  }
  w.end();
  return Document(w.bytes());
}

Document with_id(const Value& document, const Value& id) {
  BsonWriter w;
  w.begin_document();
  w.append("_id", id);
  for (const Field& field : document.as_object()) {
    if (field.name() != "_id") w.append(field.name(), field.value);
  }
  w.end();
  return Document(w.bytes());
}

bool is_merge_pipeline(const Value& update) {
  return update.is_array() &&
         engine::to_json(update) == R"([{"$replaceWith":{"$mergeObjects":["$$ROOT","$$new"]}}])";
}

}  // namespace

std::string id_text(const Value& id) { return engine::to_json(id); }

class SimulatedDeployment::Client final : public engine::ClusterClient {
 public:
  explicit Client(SimulatedDeployment& deployment) : deployment_(deployment) {}
  Result<Document> run(std::string_view database, const Value& command) override {
    return deployment_.run(database, command);
  }

 private:
  SimulatedDeployment& deployment_;
};

Result<std::unique_ptr<engine::ClusterClient>> SimulatedDeployment::connect(
    const engine::Connection& /*connection*/) {
  return std::unique_ptr<engine::ClusterClient>(std::make_unique<Client>(*this));
}

const SimulatedDeployment::Collection& SimulatedDeployment::collection(std::string_view ns) const {
  static const Collection kEmpty;
  auto found = collections_.find(ns);
  return found == collections_.end() ? kEmpty : found->second;
}

Result<Document> SimulatedDeployment::run(std::string_view database, const Value& command) {
  Field verb = *command.as_object().begin();
  world_.take_time();
  int64_t now_ms = world_.clock.monotonic_ns() / 1'000'000;
  if (world_.strikes(world_.rates.target_outage)) {
    down_until_ms_ = now_ms + world_.random.between(100, 60'000);
    world_.trace.line("target: down");
  }
  if (world_.faults_on && now_ms < down_until_ms_)
    return Status(ErrorCode::kHostUnreachable, "simulated outage");
  if (verb.name() == "ping") return ping_reply();
  if (verb.name() == "listIndexes") return index_reply();
  std::string ns = std::string(database) + "." + std::string(verb.value.as_string());
  return write(ns, verb.name(), command);
}

// A write command and what can happen to it: nothing of it, a part of it or all of it has its
// effect, and the client hears of that or does not.
Result<Document> SimulatedDeployment::write(const std::string& ns, std::string_view kind,
                                            const Value& command) {
  const FaultRates& rates = world_.rates;
  bool letters = ns == kLetters;
  std::string name = ns + " " + std::string(kind);
  std::vector<Value> statements;
  Value list = command.as_object().get(kind == "insert"   ? "documents"
                                       : kind == "update" ? "updates"
                                                          : "deletes");
  for (const Value& statement : list.as_array()) statements.push_back(statement);
  world_.trace.line(name + " of " + std::to_string(statements.size()));
  world_.crash_point("before a write command");
  if (world_.strikes(letters ? rates.letters_before : rates.target_before)) {
    world_.trace.line("  fails before it has an effect");
    return Status(ErrorCode::kHostUnreachable, "simulated: the connection was refused");
  }
  if (world_.sabotage == Sabotage::kLyingFlush && !letters) {
    for (auto& effect : unsafe_) effect();
    unsafe_.clear();
    Document kept(command);
    std::string kind_kept(kind);
    unsafe_.push_back([this, ns, kind_kept, kept] {
      std::vector<Value> later;
      for (const Value& s : kept.get(kind_kept == "insert"   ? "documents"
                                     : kind_kept == "update" ? "updates"
                                                             : "deletes")
                                .as_array())
        later.push_back(s);
      apply(ns, kind_kept, later, later.size());
    });
    return ping_reply();
  }
  if (world_.strikes(rates.target_partial)) {
    auto until =
        static_cast<size_t>(world_.random.below(static_cast<int64_t>(statements.size()) + 1));
    world_.trace.line("  fails after " + std::to_string(until) + " statements");
    Document reply = apply(ns, kind, statements, until);
    world_.crash_point("in the middle of a write command");
    if (world_.random.chance(0.5) && until < statements.size()) return reply;  // writeErrors
    return Status(ErrorCode::kNetworkTimeout, "simulated: the connection broke");
  }
  Document reply = apply(ns, kind, statements, statements.size());
  world_.crash_point("behind a write command");
  if (world_.strikes(letters ? rates.letters_after : rates.target_after)) {
    world_.trace.line("  its answer is lost");
    return Status(ErrorCode::kNetworkTimeout, "simulated: the answer was lost");
  }
  return reply;
}

// The statements before `until` have their effect; those behind it get an error that says to come
// again.
Document SimulatedDeployment::apply(const std::string& ns, std::string_view kind,
                                    const std::vector<Value>& statements, size_t until) {
  BsonWriter w;
  BsonWriter errors;
  errors.begin_document();
  int64_t n = 0;
  size_t failed = 0;
  for (size_t i = 0; i < statements.size(); ++i) {
    Effect effect;
    if (i >= until) {
      effect.error = Status(kPrimarySteppedDown, "simulated: the primary stepped down");
    } else if (kind == "insert") {
      effect = insert(ns, statements[i]);
    } else if (kind == "update") {
      effect = update(ns, statements[i]);
    } else {
      throw Violation{"the deployment got an unexpected command: " + std::string(kind)};
    }
    n += effect.matched;
    if (effect.error.ok()) continue;
    errors.begin_object(std::to_string(failed++));
    errors.append("index", static_cast<int32_t>(i));
    errors.append("code", effect.error.code());
    errors.append("errmsg", effect.error.message());
    if (effect.duplicate_id) {
      errors.begin_object("keyPattern");
      errors.append("_id", 1);
      errors.end();
    }
    errors.end();
  }
  errors.end();
  w.begin_document();
  w.append("n", static_cast<int32_t>(n));
  w.append("ok", 1.0);
  if (failed > 0) {
    w.begin_array("writeErrors");
    size_t index = 0;
    for (const Field& field : Value::bson_object(errors.bytes().data()).as_object())
      w.append_element(index++, field.value);
    w.end();
  }
  w.end();
  return Document(w.bytes());
}

SimulatedDeployment::Collection::iterator SimulatedDeployment::find(Collection& collection,
                                                                    const Value& query) {
  Value id = query.as_object().get("_id");
  if (query.as_object().size() == 1 && !id.is_missing()) {
    if (id.is_object() && id.as_object().has("$eq")) id = id.as_object().get("$eq");
    return collection.find(id_text(id));
  }
  for (auto at = collection.begin(); at != collection.end(); ++at) {
    bool equal = true;
    for (const Field& field : query.as_object()) {
      Value wanted = field.value;
      if (wanted.is_object() && wanted.as_object().has("$eq"))
        wanted = wanted.as_object().get("$eq");
      equal = equal && engine::equal(at->second.get(field.name()), wanted);
    }
    if (equal) return at;
  }
  return collection.end();
}

SimulatedDeployment::Effect SimulatedDeployment::update(const std::string& ns,
                                                        const Value& statement) {
  Collection& target = collections_[ns];
  Value u = statement.as_object().get("u");
  Value fresh = u;
  bool only_on_insert = u.is_object() && u.as_object().has("$setOnInsert");
  if (u.is_array()) {
    if (!is_merge_pipeline(u)) throw Violation{"an unexpected update: " + engine::to_json(u)};
    fresh = statement.as_object().get("c").as_object().get("new");
  } else if (only_on_insert) {
    fresh = u.as_object().get("$setOnInsert");
  }
  if (refuse_marked_ && fresh.as_object().get("refuse").truthy())
    return {0, Status(ErrorCode::kDocumentValidationFailure, "Document failed validation"), false};
  auto found = find(target, statement.as_object().get("q"));
  if (found == target.end()) {
    if (!statement.as_object().get("upsert").truthy()) return {};
    Value id = fresh.as_object().get("_id");
    store(ns, id.is_missing() ? "generated " + std::to_string(++generated_) : id_text(id),
          Document(fresh));
    return {1, {}, false};
  }
  if (only_on_insert) return {1, {}, false};
  Document now = u.is_array() ? merged(found->second.value(), fresh)
                 : fresh.as_object().has("_id") || !found->second.view().has("_id")
                     ? Document(fresh)
                     : with_id(fresh, found->second.get("_id"));
  store(ns, found->first, std::move(now));
  return {1, {}, false};
}

SimulatedDeployment::Effect SimulatedDeployment::insert(const std::string& ns,
                                                        const Value& document) {
  Collection& target = collections_[ns];
  if (refuse_marked_ && document.as_object().get("refuse").truthy())
    return {0, Status(ErrorCode::kDocumentValidationFailure, "Document failed validation"), false};
  Value id = document.as_object().get("_id");
  std::string text = id.is_missing() ? "generated " + std::to_string(++generated_) : id_text(id);
  if (target.contains(text))
    return {0, Status(ErrorCode::kDuplicateKey, "E11000 duplicate key error index: _id_ dup key"),
            true};
  store(ns, text, Document(document));
  return {1, {}, false};
}

void SimulatedDeployment::store(const std::string& ns, const std::string& id, Document document) {
  bool letters = ns == kLetters;
  if (world_.sabotage == (letters ? Sabotage::kLostLetter : Sabotage::kLostWrite) &&
      world_.random.chance(0.2))
    return;
  observer_(ns, id, document);
  collections_[ns].insert_or_assign(id, std::move(document));
}

}  // namespace millrace::simulation
