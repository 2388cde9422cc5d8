// $source: {documents: [...]}: a finite stream of documents that stand in the pipeline itself.
#include <algorithm>

#include "engine/connection/options.h"
#include "engine/expression/expression.h"
#include "engine/source/sources.h"

namespace millrace::engine {
namespace {

constexpr size_t kMaxBatchBytes = 1 << 20;

class DocumentsSource final : public Source {
 public:
  DocumentsSource(std::vector<Document> documents, const Clock* clock)
      : documents_(std::move(documents)), clock_(clock) {}

  std::string_view name() const override { return "DocumentsDataSourceOperator"; }
  std::string_view type() const override { return "generated"; }

  // The position is how many documents have been read: {index: <long>}.
  Status open(const Value& position) override {
    next_ = 0;
    if (!position.is_object()) return {};
    Value index = position.as_object().get("index");
    if (!index.is_integer())
      return Status(ErrorCode::kInternalError,
                    "the checkpoint's position does not belong to a documents source");
    next_ = static_cast<size_t>(
        std::clamp<int64_t>(index.integer_value(), 0, static_cast<int64_t>(documents_.size())));
    return {};
  }

  bool replayable() const override { return true; }
  void replay_until(const Value& position) override {
    Value index = position.is_object() ? position.as_object().get("index") : Value();
    if (index.is_integer()) replay_until_ = static_cast<size_t>(index.integer_value());
  }

  Status read(SourceBatch& batch, size_t max_records,
              std::chrono::milliseconds /*max_wait*/) override {
    batch.format = PayloadFormat::kBson;
    batch.ingest_ms = clock_->now_ms();
    while (next_ < documents_.size() && batch.records.size() < max_records &&
           batch.payloads().size() < kMaxBatchBytes) {
      SourceRecord& record = batch.add(documents_[next_].bytes());
      record.offset = static_cast<int64_t>(next_);
      record.timestamp_ms = batch.ingest_ms;
      record.replayed = next_ < replay_until_;
      ++next_;
    }
    BsonWriter position;
    position.begin_document();
    position.append("index", static_cast<int64_t>(next_));
    position.end();
    batch.position = Document(position.bytes());
    batch.replaying = next_ < replay_until_;
    batch.end_of_input = next_ == documents_.size();
    batch.seal();
    return {};
  }

 private:
  // Configuration.
  const std::vector<Document> documents_;
  const Clock* clock_;
  // State that a checkpoint saves.
  size_t next_ = 0;
  // State that it does not.
  size_t replay_until_ = 0;
};

// An array is taken as it stands; anything else is an expression without input that must give one.
Result<Value> evaluate_once(const Value& spec, const Clock* clock, CompiledMemory& memory,
                            Arena& arena) {
  if (spec.is_array()) return spec;
  ParseContext parse(memory);
  parse.in_stream = true;
  MR_ASSIGN_OR_RETURN(ExpressionPtr expression, parse_expression(spec, parse));
  EvalContext eval;
  eval.arena = &arena;
  eval.root = Value::object({});
  eval.variables.resize(parse.variable_count());
  eval.clock = clock;
  try {
    return expression->evaluate(eval);
  } catch (const EvaluationError& error) {
    return Status(ErrorCode::kStreamProcessorInvalidOptions,
                  "$source.documents cannot be evaluated: " + error.status().message());
  }
}

}  // namespace

Result<SourcePtr> parse_documents_source(const SourceContext& context) {
  Options options(context.spec, "$source");
  MR_RETURN_IF_ERROR(options.only({"documents", "timeField", "tsFieldName"}));
  CompiledMemory memory;
  Arena arena;
  MR_ASSIGN_OR_RETURN(Value list,
                      evaluate_once(options.get("documents"), context.clock, memory, arena));
  if (!list.is_array())
    return options.error("documents", "must be an array, not " + std::string(list.type_name()));
  std::vector<Document> documents;
  for (const Value& element : list.as_array()) {
    if (!element.is_object()) {
      return options.error("documents", "must hold documents, but element " +
                                            std::to_string(documents.size()) + " is of type " +
                                            std::string(element.type_name()));
    }
    documents.emplace_back(element);
  }
  return SourcePtr(std::make_unique<DocumentsSource>(std::move(documents), context.clock));
}

}  // namespace millrace::engine
