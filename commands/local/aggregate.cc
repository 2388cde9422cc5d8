#include "commands/local/aggregate.h"

#include <algorithm>
#include <array>

#include "commands/local/aggregate_output.h"
#include "commands/local/aggregate_sources.h"
#include "commands/local/foreign_collection.h"
#include "commands/local/name_check.h"
#include "engine/expression/number.h"

namespace millrace::commands {

using engine::ErrorCode;
using engine::Result;
using engine::Status;
using engine::Value;

namespace {

constexpr size_t kBatchDocuments = 1000;

// What a stage does with a document that it is handed.
enum class Flow : uint8_t {
  kAtMostOne,  // gives it or another one on, or nothing
  kHoldsBack,  // gives nothing before the input has ended
  kSeveral,    // may give more than one
};

Flow flow_of(std::string_view stage) {
  static constexpr std::array<std::string_view, 12> kAtMostOne = {
      "$addFields",   "$graphLookup", "$limit", "$lookup", "$match",     "$project",
      "$replaceRoot", "$replaceWith", "$set",   "$skip",   "$unionWith", "$unset"};
  static constexpr std::array<std::string_view, 10> kHoldsBack = {
      "$bucket", "$bucketAuto", "$count",           "$densify", "$facet",
      "$group",  "$sample",     "$setWindowFields", "$sort",    "$sortByCount"};
  auto among = [&](const auto& names) {
    return std::find(names.begin(), names.end(), stage) != names.end();
  };
  if (among(kAtMostOne)) return Flow::kAtMostOne;
  if (among(kHoldsBack)) return Flow::kHoldsBack;
  return Flow::kSeveral;
}

Status needs_collection(std::string_view stage) {
  return Status(
      ErrorCode::kInvalidNamespace,
      "{aggregate: 1} is not valid for '" + std::string(stage) + "'; a collection is required.");
}

// The server's words for a document that a stage could not process.
Status executor_error(const Status& status) {
  return Status(status.code(),
                "PlanExecutor error during aggregation :: caused by :: " + status.message());
}

}  // namespace

Result<std::unique_ptr<AggregateStream>> AggregateStream::open(LocalDatabase& local,
                                                               std::string_view database,
                                                               std::string_view name,
                                                               AggregateSpec spec) {
  std::unique_ptr<AggregateStream> stream(new AggregateStream(local, database, std::move(spec)));
  MR_RETURN_IF_ERROR(stream->evaluation_.bind(stream->spec_.let));
  {
    MR_ASSIGN_OR_RETURN(auto txn, local.store().read());
    stream->scope_.txn = txn.get();
    MR_RETURN_IF_ERROR(stream->prepare(*txn, name));
    stream->scope_.txn = nullptr;
  }
  if (!stream->output_.is_missing()) MR_RETURN_IF_ERROR(stream->run_output(local));
  return stream;
}

Status AggregateStream::take_output(std::string_view name) {
  if (stages_.empty()) {
    if (!name.empty()) return {};
    return Status(ErrorCode::kInvalidNamespace,
                  "{aggregate: 1} is not valid for an empty pipeline.");
  }
  MR_ASSIGN_OR_RETURN(auto last, pipeline_stage(stages_.back()));
  const AggregateStageRow* row = find_aggregate_stage(last.name());
  if (row == nullptr || row->role != AggregateRole::kOutput) return {};
  output_ = stages_.back();
  stages_.pop_back();
  return {};
}

Status AggregateStream::prepare(storage::ReadTransaction& txn, std::string_view name) {
  stages_ = spec_.stages;
  MR_RETURN_IF_ERROR(take_output(name));
  std::optional<Collection> collection;
  if (!name.empty()) {
    MR_ASSIGN_OR_RETURN(auto resolved, resolve_name(txn, scope_.database, name));
    collection = std::move(resolved.collection);
    view_stages_ = std::move(resolved.stages);
    if (resolved.view && !stages_.empty()) {
      MR_ASSIGN_OR_RETURN(auto first, pipeline_stage(stages_.front()));
      const AggregateStageRow* row = find_aggregate_stage(first.name());
      if (row != nullptr && row->role == AggregateRole::kSource) {
        return Status(
            ErrorCode::kCommandNotSupportedOnView,
            "Namespace " + namespace_of(scope_.database, name) + " is a view, not a collection");
      }
    }
    std::vector<Value> all;
    for (const auto& stage : view_stages_) all.push_back(stage.value());
    stages_.insert(stages_.begin(), all.begin(), all.end());
  }
  MR_RETURN_IF_ERROR(open_source(txn, name, std::move(collection)));
  return build_operators();
}

Status AggregateStream::open_source(storage::ReadTransaction& txn, std::string_view name,
                                    std::optional<Collection> collection) {
  if (!stages_.empty()) {
    MR_ASSIGN_OR_RETURN(auto first, pipeline_stage(stages_.front()));
    const AggregateStageRow* row = find_aggregate_stage(first.name());
    if (row != nullptr && row->role == AggregateRole::kSource) {
      SourceContext context{
          scope_, txn, name, collection ? &*collection : nullptr, evaluation_, spec_.operations};
      MR_ASSIGN_OR_RETURN(source_, make_source(first, context));
      stages_.erase(stages_.begin());
      return {};
    }
    if (name.empty()) {
      Status status = build_operators();  // what is wrong with a stage is said first (6.0.5)
      bool misplaced = status.code() == kMisplacedOutput || status.code() == kMisplacedSource;
      return status.ok() || misplaced ? needs_collection(first.name()) : status;
    }
    if (first.has_name("$match") && first.value.is_object()) {
      filter_ = first.value;
      stages_.erase(stages_.begin());
    }
  }
  if (name.empty()) return needs_collection(output_.as_object().begin()->name());
  if (!collection) {  // nothing is stored under this id
    collection.emplace();
    collection->database = scope_.database;
    collection->name = std::string(name);
  }
  MR_ASSIGN_OR_RETURN(scan_,
                      DocumentScan::open(std::move(*collection), filter_, spec_.hint, evaluation_));
  if (scan_->plan().index != nullptr) scope_.local.note_index_use(scan_->plan().index->id);
  if (!output_.is_missing()) {
    MR_ASSIGN_OR_RETURN(auto statistics,
                        storage::collection_statistics(txn, scan_->collection().id));
    scan_->end_behind(statistics.last_record);
  }
  return {};
}

Status AggregateStream::build_operators() {
  std::vector<engine::OperatorPtr> operators;
  engine::StageContext context{evaluation_.parse(), builder_, engine::Place::kAggregate};
  bool multiplied = false;
  for (const Value& stage : stages_) {
    MR_ASSIGN_OR_RETURN(
        auto made, builder_.build(Value::array({&stage, 1}), engine::Place::kAggregate, context));
    Value limit = stage.as_object().get("$limit");
    if (auto count = engine::whole_int64(limit)) {
      limits_.push_back({made.back().get(), *count, multiplied});
      if (!holds_back_) limits_of_input_ = limits_.size();
    }
    Flow flow = flow_of(stage.as_object().begin()->name());
    multiplied = multiplied || flow == Flow::kSeveral;
    holds_back_ = holds_back_ || flow == Flow::kHoldsBack;
    for (auto& op : made) operators.push_back(std::move(op));
  }
  chain_ = OperatorChain(std::move(operators));
  evaluation_.ready();
  context_.eval = evaluation_.eval();
  context_.clock = &evaluation_.clock();
  context_.dead_letters = &errors_;
  context_.memory = &memory_;
  return {};
}

// No stage holds more than it may.
Status AggregateStream::check_memory() {
  int64_t limit = spec_.allow_disk_use ? kStageMemoryCeilingBytes : kStageMemoryBytes;
  for (const auto& op : chain_.operators()) {
    if (op->state_bytes() <= limit) continue;
    return executor_error(
        Status(ErrorCode::kQueryExceededMemoryLimitNoDiskUseAllowed,
               std::string(op->name()) + " exceeded memory limit of " + std::to_string(limit) +
                   " bytes, but " +
                   (spec_.allow_disk_use ? "Millrace writes no temporary files."
                                         : "did not opt in to external sorting.")));
  }
  return {};
}

// Some $limit has let through what it may: nothing more need be read.
bool AggregateStream::limit_reached() const {
  return std::any_of(limits_.begin(), limits_.end(), [](const Limit& limit) {
    return limit.op->stats.output_count >= limit.count;
  });
}

// A document behind the last one that a $limit lets through must not be looked at: it could fail.
// So no more are read than the limits before the first stage that holds back would still take, and
// one at a time where a stage before a limit makes several of one.
size_t AggregateStream::input_size(size_t missing) const {
  if (chain_.empty()) return std::min(missing, kBatchDocuments);
  if (limits_.empty()) return kBatchDocuments;
  size_t size = holds_back_ ? kBatchDocuments : std::min(missing, kBatchDocuments);
  for (size_t i = 0; i < limits_of_input_; ++i) {
    const Limit& limit = limits_[i];
    int64_t left = limit.multiplied ? 1 : limit.count - limit.op->stats.output_count;
    size = std::min(size, static_cast<size_t>(std::max<int64_t>(left, 1)));
  }
  return size;
}

// Fills the batch; false when that was the end.
Result<bool> AggregateStream::read_source(storage::ReadTransaction& txn, size_t wanted) {
  if (scan_ == nullptr) {
    for (; wanted > 0 && source_at_ < source_.size(); --wanted)
      batch_.documents.emplace_back().body = source_[source_at_++].value();
    return source_at_ < source_.size();
  }
  MR_RETURN_IF_ERROR(scan_->run(txn, [&](storage::RecordId, const Value& document) -> Result<bool> {
    batch_.documents.emplace_back().body = document;
    return batch_.documents.size() < wanted;
  }));
  return !scan_->ended();
}

Status AggregateStream::emit(const engine::Batch& batch, std::deque<std::string>& out) {
  engine::BsonWriter writer;
  for (const auto& document : batch.documents) {
    if (!document.body.is_tree()) {
      out.emplace_back(document.body.bson_bytes());
      continue;
    }
    writer.clear();
    writer.append_document(document.body);
    if (writer.size() > engine::kMaxInternalDocumentBytes) {
      return Status(ErrorCode::kBsonObjectTooLarge,
                    "BSONObj size: " + std::to_string(writer.size()) +
                        " is invalid. Size must be between 0 and " +
                        std::to_string(engine::kMaxInternalDocumentBytes));
    }
    out.emplace_back(writer.bytes());
  }
  return {};
}

Status AggregateStream::next_in(storage::ReadTransaction& txn, size_t wanted,
                                std::deque<std::string>& out) {
  scope_.txn = &txn;
  Status status;
  size_t target = out.size() + std::max<size_t>(wanted, 1);
  try {
    while (status.ok() && !ended_ && out.size() < target) {
      batch_.clear();
      MR_ASSIGN_OR_RETURN(bool more, read_source(txn, input_size(target - out.size())));
      chain_.push(batch_, context_);
      MR_RETURN_IF_ERROR(check_memory());
      status = emit(batch_, out);
      if (status.ok() && (!more || limit_reached())) {
        chain_.finish(batch_, context_, [&](engine::Batch& batch) {
          if (status.ok()) status = emit(batch, out);
        });
        ended_ = true;
      }
    }
  } catch (const engine::EvaluationError& error) {
    status = executor_error(error.status());
  }
  batch_.clear();
  scope_.txn = nullptr;
  return status;
}

Status AggregateStream::next(storage::Store& store, size_t wanted, std::deque<std::string>& out) {
  if (ended_) return {};
  MR_ASSIGN_OR_RETURN(auto txn, store.read());
  return next_in(*txn, wanted, out);
}

Status AggregateStream::run_output(LocalDatabase& local) {
  MR_ASSIGN_OR_RETURN(auto output, AggregateOutput::parse(output_, local, scope_.database,
                                                          spec_.let, spec_.bypass_validation));
  while (!ended_) {
    std::deque<std::string> documents;
    MR_RETURN_IF_ERROR(next(local.store(), kBatchDocuments,
                            documents));  // its transaction has ended before anything is written
    MR_RETURN_IF_ERROR(output->write(documents));
  }
  return output->finish();
}

Status read_pipeline(AggregateScope& scope, std::string_view name, AggregateSpec spec,
                     engine::Batch& batch) {
  storage::ReadTransaction* txn = scope.txn;
  MR_ASSIGN_OR_RETURN(auto stream, AggregateStream::open_in(*txn, scope.local, scope.database, name,
                                                            std::move(spec)));
  std::deque<std::string> documents;
  while (!stream->ended()) {
    documents.clear();
    MR_RETURN_IF_ERROR(stream->next_in(*txn, kBatchDocuments, documents));
    for (const auto& document : documents) {
      batch.documents.emplace_back().body = Value::bson_object(batch.arena.copy(document).data());
    }
  }
  return {};
}

Result<std::unique_ptr<AggregateStream>> AggregateStream::open_in(storage::ReadTransaction& txn,
                                                                  LocalDatabase& local,
                                                                  std::string_view database,
                                                                  std::string_view name,
                                                                  AggregateSpec spec) {
  std::unique_ptr<AggregateStream> stream(new AggregateStream(local, database, std::move(spec)));
  stream->scope_.txn = &txn;
  MR_RETURN_IF_ERROR(stream->prepare(txn, name));
  return stream;
}

}  // namespace millrace::commands
