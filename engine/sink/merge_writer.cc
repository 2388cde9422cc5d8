// $merge at its target: which collections a batch goes to, and what they must have.
#include <map>
#include <mutex>
#include <set>

#include "engine/sink/merge.h"
#include "engine/sink/merge_commands.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxTargets = 1000;      // distinct dynamic targets of one processor
constexpr size_t kMaxTargetsShown = 100;  // in targetStats

Status invalid(std::string text) {
  return Status(ErrorCode::kStreamProcessorInvalidOptions, std::move(text));
}

class MergeWriter final : public SinkWriter {
 public:
  explicit MergeWriter(MergePlan plan) : plan_(std::move(plan)) {}

  Status open() override;
  Status write(const OutputBatch& batch, SinkDeadLetters& dead_letters) override;
  void close() override {
    commands_.reset();
    client_.reset();
  }
  void add_stats(BsonWriter& stats) const override;

 private:
  struct Target {
    std::string database;
    std::string collection;
    bool checked = false;
    std::vector<size_t> items;  // of the batch being written
    int64_t count = 0;          // documents and bytes written; guarded by mutex_
    int64_t bytes = 0;
  };

  Status connect();
  Result<Target*> find_target(std::string_view database, std::string_view collection);
  Status distribute(const OutputBatch& batch);
  Status check_index(Target& target);
  Status write_target(Target& target, const OutputBatch& batch);
  void count(const OutputBatch& batch);

  // Configuration.
  const MergePlan plan_;

  // The sink thread's.
  std::unique_ptr<ClusterClient> client_;
  std::unique_ptr<MergeCommands> commands_;
  std::vector<Target*> touched_;          // by the batch being written
  std::vector<RefusedDocument> refused_;  // of it

  mutable std::mutex mutex_;
  // By database and collection; changed by the sink thread alone, under mutex_. Entries never move.
  std::map<std::pair<std::string, std::string>, Target, std::less<>> targets_;
};

Status MergeWriter::connect() {
  if (client_ != nullptr) return {};
  MR_ASSIGN_OR_RETURN(client_, plan_.clusters->connect(*plan_.connection));
  commands_ = std::make_unique<MergeCommands>(plan_, *client_, refused_);
  return {};
}

Status MergeWriter::open() {
  MR_RETURN_IF_ERROR(connect());
  BsonWriter ping;
  ping.begin_document();
  ping.append("ping", 1);
  ping.end();
  auto reply = client_->run("admin", Value::bson_object(ping.bytes().data()));
  if (!reply.ok()) {
    return Status(reply.status().code(), "$merge cannot reach connection '" +
                                             plan_.connection->name +
                                             "': " + reply.status().message());
  }
  if (plan_.database.empty() || plan_.collection.empty()) return {};
  MR_ASSIGN_OR_RETURN(Target * target, find_target(plan_.database, plan_.collection));
  return check_index(*target);
}

Result<MergeWriter::Target*> MergeWriter::find_target(std::string_view database,
                                                      std::string_view collection) {
  std::pair<std::string, std::string> name(database, collection);
  if (auto found = targets_.find(name); found != targets_.end()) return &found->second;
  if (targets_.size() >= kMaxTargets) {
    return invalid("$merge has reached " + std::to_string(kMaxTargets) +
                   " different targets and may not write to another (" + name.first + "." +
                   name.second + ")");
  }
  Target target;
  target.database = name.first;
  target.collection = name.second;
  std::lock_guard lock(mutex_);
  return &targets_.emplace(std::move(name), std::move(target)).first->second;
}

// Splits the batch by target, each with its documents in order.
Status MergeWriter::distribute(const OutputBatch& batch) {
  for (Target* target : touched_) target->items.clear();
  touched_.clear();
  bool fixed = !plan_.database.empty() && !plan_.collection.empty();
  Target* target = nullptr;
  for (size_t i = 0; i < batch.items.size(); ++i) {
    if (!fixed || target == nullptr) {
      std::string_view database = plan_.database;
      std::string_view collection = plan_.collection;
      if (!fixed) {
        ObjectView route = Value::bson_object(batch.route(batch.items[i]).data()).as_object();
        if (database.empty()) database = route.get(merge_route::kDatabase).as_string();
        if (collection.empty()) collection = route.get(merge_route::kCollection).as_string();
      }
      if (target == nullptr || target->database != database || target->collection != collection) {
        MR_ASSIGN_OR_RETURN(target, find_target(database, collection));
      }
    }
    if (target->items.empty()) touched_.push_back(target);
    target->items.push_back(i);
  }
  return {};
}

bool has_fields(const Value& key, const std::set<std::string>& names) {
  if (!key.is_object()) return false;
  std::set<std::string> found;
  for (const Field& field : key.as_object()) found.emplace(field.name());
  return found == names;
}

bool is_unique_over(const Value& element, const std::set<std::string>& names) {
  if (!element.is_object()) return false;
  ObjectView index = element.as_object();
  return index.get("unique").truthy() && !index.has("partialFilterExpression") &&
         !index.has("collation") && has_fields(index.get("key"), names);
}

// The server's rule (51183): documents found by `on` fields are unique only if an index says so.
Status MergeWriter::check_index(Target& target) {
  if (target.checked || plan_.on_id()) return {};
  std::set<std::string> names;
  for (const FieldPath& path : plan_.on) names.insert(path.dotted());
  BsonWriter command;
  command.begin_document();
  command.append("listIndexes", target.collection);
  command.begin_object("cursor");
  command.append("batchSize", 1000);  // a collection has 64 at most
  command.end();
  command.end();
  auto reply = client_->run(target.database, Value::bson_object(command.bytes().data()));
  if (!reply.ok() && !reply.status().is(ErrorCode::kNamespaceNotFound)) {
    return Status(reply.status().code(), "$merge cannot read the indexes of " + target.database +
                                             "." + target.collection + ": " +
                                             reply.status().message());
  }
  if (reply.ok() && reply->get("cursor").is_object()) {
    Value indexes = reply->get("cursor").as_object().get("firstBatch");
    if (indexes.is_array()) {
      for (const Value& index : indexes.as_array()) {
        if (!is_unique_over(index, names)) continue;
        target.checked = true;
        return {};
      }
    }
  }
  std::string fields;
  for (const FieldPath& path : plan_.on) fields += (fields.empty() ? "" : ", ") + path.dotted();
  return invalid(
      "Cannot find index to verify that join fields will be unique: $merge.on needs a unique index "
      "on exactly (" +
      fields + ") in " + target.database + "." + target.collection);
}

Status MergeWriter::write_target(Target& target, const OutputBatch& batch) {
  MR_RETURN_IF_ERROR(check_index(target));
  commands_->clear();
  commands_->set_target(target.database, target.collection);
  for (size_t i : target.items) {
    const OutputBatch::Item& item = batch.items[i];
    Value route = item.route_size > 0 ? Value::bson_object(batch.route(item).data()) : Value();
    MR_RETURN_IF_ERROR(commands_->add(i, Value::bson_object(batch.document(item).data()), route));
  }
  return commands_->run();
}

// Dead letters and counters only once the whole batch is written: a batch that is written again
// must not count twice.
Status MergeWriter::write(const OutputBatch& batch, SinkDeadLetters& dead_letters) {
  MR_RETURN_IF_ERROR(connect());
  MR_RETURN_IF_ERROR(distribute(batch));
  refused_.clear();
  for (Target* target : touched_) MR_RETURN_IF_ERROR(write_target(*target, batch));
  for (const RefusedDocument& document : refused_) {
    dead_letters.add(batch.document(batch.items[document.item]), kMergeOperatorName,
                     document.reason);
  }
  count(batch);
  return {};
}

void MergeWriter::count(const OutputBatch& batch) {
  std::set<size_t> without;
  for (const RefusedDocument& document : refused_) without.insert(document.item);
  std::lock_guard lock(mutex_);
  for (Target* target : touched_) {
    for (size_t i : target->items) {
      if (!without.empty() && without.contains(i)) continue;
      ++target->count;
      target->bytes += batch.items[i].size;
    }
  }
}

void MergeWriter::add_stats(BsonWriter& stats) const {
  std::lock_guard lock(mutex_);
  stats.begin_array("targetStats");
  size_t index = 0;
  for (const auto& [name, target] : targets_) {
    if (index == kMaxTargetsShown) break;
    stats.begin_object(std::to_string(index++));
    stats.append("db", target.database);
    stats.append("coll", target.collection);
    stats.append("outputMessageCount", target.count);
    stats.append("outputMessageSize", target.bytes);
    stats.end();
  }
  stats.end();
}

}  // namespace

std::unique_ptr<SinkWriter> make_merge_writer(MergePlan plan) {
  return std::make_unique<MergeWriter>(std::move(plan));
}

}  // namespace millrace::engine
