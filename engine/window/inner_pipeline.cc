#include "engine/window/inner_pipeline.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace millrace::engine {
namespace {

bool reads_meta(const Operator& op) {
  Dependencies dependencies;
  op.dependencies(dependencies);
  return dependencies.stream_meta;
}

// {start, end, partition}
Value window_fields(const WindowBounds& bounds, Arena& arena) {
  ObjectBuilder window(arena, 3);
  window.add("start", Value::date(bounds.start_ms));
  window.add("end", Value::date(bounds.end_ms));
  window.add("partition", deep_copy(bounds.partition, arena));
  return window.finish();
}

// Metadata of a document that the window itself has made.
Value window_meta(const WindowBounds& bounds, std::string_view source_type, Arena& arena) {
  ObjectBuilder source(arena, 1);
  source.add("type", Value::string(arena.copy(source_type)));
  ObjectBuilder meta(arena, 2);
  meta.add("source", source.finish());
  meta.add("window", window_fields(bounds, arena));
  return meta.finish();
}

// A document's own metadata with the window added.
Value with_window(const Value& own, const Value& window_only, Arena& arena) {
  if (!own.is_object()) return window_only;
  ObjectBuilder meta(arena, 4);
  for (const Field& field : own.as_object()) meta.add(field.name(), field.value);
  meta.set("window", window_only.as_object().get("window"));
  return meta.finish();
}

}  // namespace

Result<std::unique_ptr<InnerPipeline>> InnerPipeline::build(const Value& stages,
                                                            StageContext& context) {
  std::unique_ptr<InnerPipeline> pipeline(new InnerPipeline);
  StageContext inner{context.parse, context.builder, Place::kWindow};
  MR_ASSIGN_OR_RETURN(pipeline->operators_, context.builder.build(stages, Place::kWindow, inner));
  MR_RETURN_IF_ERROR(pipeline->count_by_group(stages, inner));
  pipeline->kept_fields_.add_all();
  return pipeline;
}

// A $count that comes first of the stages that wait is what the server makes of it, a $group
// without its key: a number is kept then, not the documents.
Status InnerPipeline::count_by_group(const Value& stages, StageContext& context) {
  size_t at = 0;
  while (at < operators_.size() && operators_[at]->stateless()) ++at;
  std::span<const Value> specs = stages.as_array().elements(context.parse.constants());
  if (at == operators_.size() || specs.size() != operators_.size()) return {};
  Value field = specs[at].as_object().get("$count");
  if (!field.is_string() || field.as_string() == "_id") return {};
  BsonWriter two;
  two.begin_document();
  two.begin_array("stages");
  two.begin_object("0");
  two.begin_object("$group");
  two.append("_id", Value::null());
  two.begin_object(field.as_string());
  two.append("$sum", 1);
  two.end();
  two.end();
  two.end();
  two.begin_object("1");
  two.append("$unset", "_id");
  two.end();
  two.end();
  two.end();
  Value spec = Value::bson_object(context.parse.constants().copy(two.bytes()).data());
  MR_ASSIGN_OR_RETURN(
      auto built, context.builder.build(spec.as_object().get("stages"), Place::kWindow, context));
  operators_[at] = std::move(built[0]);
  operators_.insert(operators_.begin() + static_cast<ptrdiff_t>(at) + 1, std::move(built[1]));
  return {};
}

void InnerPipeline::plan(const CollectingRules& rules) {
  while (arrival_ < operators_.size() && operators_[arrival_]->stateless() &&
         !reads_meta(*operators_[arrival_]))
    ++arrival_;
  if (arrival_ == operators_.size()) return;
  plan_dropping();
  auto* group = dynamic_cast<GroupOperator*>(operators_[arrival_].get());
  if (group == nullptr || !group->table().mergeable()) return;
  group_reads_meta_ = reads_meta(*group);
  if (group_reads_meta_ && !rules.bounds_known) return;
  if (group->table().order_sensitive() && rules.pieces_interleave) return;
  group_ = group;
}

void InnerPipeline::plan_dropping() {
  size_t limit = arrival_ + (operators_[arrival_]->only_orders() ? 1 : 0);
  if (limit == operators_.size() || reads_meta(*operators_[arrival_])) return;
  constexpr int64_t kMost = 1 << 20;  // a $limit beyond that is none
  int64_t most = operators_[limit]->most_documents();
  if (most > kMost) return;
  first_ = limit + 1;
  most_ = static_cast<size_t>(most);
  dropped_at_ = 2 * most_ + 1024;
}

bool InnerPipeline::order_sensitive_group() const {
  return group_ != nullptr && group_->table().order_sensitive();
}

void InnerPipeline::dependencies(Dependencies& dependencies) {
  for (size_t i = operators_.size(); i-- > arrival_;) operators_[i]->dependencies(dependencies);
  kept_fields_ = dependencies.fields;
  for (size_t i = arrival_; i-- > 0;) operators_[i]->dependencies(dependencies);
}

void InnerPipeline::arrive(Batch& batch, OperatorContext& context) {
  for (size_t i = 0; i < arrival_; ++i) operators_[i]->on_batch(batch, context);
}

size_t InnerPipeline::add(WindowContent& content, std::span<StreamDocument> documents,
                          const WindowBounds* bounds, std::string_view source_type,
                          OperatorContext& context) {
  if (group_ == nullptr) {
    for (const StreamDocument& document : documents)
      content.documents.add(document, sequence_++, kept_fields_);
    if (content.documents.count() >= dropped_at_) drop_needless(content.documents, context);
    return 0;
  }
  if (group_reads_meta_ && bounds != nullptr) {
    Arena& arena = *context.eval.arena;
    Value window = window_meta(*bounds, source_type, arena);
    for (StreamDocument& document : documents)
      document.meta = with_window(document.meta, window, arena);
  }
  group_->stats.input_count += static_cast<int64_t>(documents.size());
  size_t failed = group_->table().add(*content.groups, documents, context, group_->name());
  group_->stats.dlq_count += static_cast<int64_t>(failed);
  return failed;
}

void InnerPipeline::merge(WindowContent& to, const WindowContent& from) {
  if (group_ != nullptr) {
    group_->table().merge(*to.groups, *from.groups);
  } else {
    to.documents.append(from.documents);
  }
}

void InnerPipeline::close(std::span<const WindowContent* const> parts, const WindowBounds& bounds,
                          std::string_view source_type, int64_t watermark_ms, WindowOutput& output,
                          OperatorContext& context) {
  GroupsPtr merged;
  std::optional<GroupsCursor> groups;
  if (group_ != nullptr && parts.size() > 2) {
    merged = group_->table().make_groups();
    for (const WindowContent* part : parts) group_->table().merge(*merged, *part->groups);
    groups.emplace(*merged);
  } else if (group_ != nullptr) {
    groups.emplace(*parts[0]->groups, parts.size() == 2 ? parts[1]->groups.get() : nullptr);
  }
  if (group_ != nullptr && arrival_ + 1 == operators_.size())
    return emit_groups(*groups, bounds, source_type, watermark_ms, output, context);

  Batch& batch = output.batch();
  Value meta = window_meta(bounds, source_type, batch.arena);
  std::vector<StreamDocument> before;  // what closed earlier in this batch
  before.swap(batch.documents);
  if (group_ != nullptr) {
    StreamDocument like;
    like.meta = meta;
    group_->stats.output_count += static_cast<int64_t>(group_->table().emit(
        *groups, std::numeric_limits<size_t>::max(), batch.arena, like, batch.documents));
    run_rest(arrival_ + 1, meta, batch, context);
  } else {
    std::vector<const StoredDocuments*> stored;
    for (const WindowContent* part : parts) stored.push_back(&part->documents);
    StoredDocuments::load(stored, batch.arena, batch.documents);
    for (StreamDocument& document : batch.documents)
      document.meta = with_window(document.meta, meta, batch.arena);
    run_rest(arrival_, meta, batch, context);
  }
  for (StreamDocument& document : batch.documents) {
    document.timestamp_ms = bounds.end_ms;
    document.watermark_ms = watermark_ms;
    document.record = nullptr;
    document.ordinal = 0;
  }
  if (!before.empty()) {  // append to what is there: a copy of the new ones only
    before.insert(before.end(), batch.documents.begin(), batch.documents.end());
    batch.documents.swap(before);
  }
  output.pass_on(context);
}

// Groups that no further stage of the window reads go out as they are, a portion at a time.
void InnerPipeline::emit_groups(GroupsCursor& groups, const WindowBounds& bounds,
                                std::string_view source_type, int64_t watermark_ms,
                                WindowOutput& output, OperatorContext& context) {
  Batch& batch = output.batch();
  StreamDocument like;
  like.timestamp_ms = bounds.end_ms;
  like.watermark_ms = watermark_ms;
  like.meta = window_meta(bounds, source_type, batch.arena);
  while (!groups.done()) {
    group_->stats.output_count += static_cast<int64_t>(
        group_->table().emit(groups, output.room(context), batch.arena, like, batch.documents));
    if (output.pass_on(context)) like.meta = window_meta(bounds, source_type, batch.arena);
  }
}

// Keeps what $sort and $limit would give if there were no further documents.
void InnerPipeline::drop_needless(StoredDocuments& documents, OperatorContext& context) {
  scratch_.clear();
  const StoredDocuments* part = &documents;
  std::vector<uint64_t> sequences;
  StoredDocuments::load({&part, 1}, scratch_.arena, scratch_.documents, &sequences);
  for (uint32_t i = 0; i < scratch_.documents.size(); ++i) scratch_.documents[i].ordinal = i;
  Arena* arena = context.eval.arena;
  for (size_t i = arrival_; i < first_; ++i) {
    Operator& op = *operators_[i];
    OperatorStats stats = op.stats;
    op.on_whole(scratch_, context);
    stats.dlq_count = op.stats.dlq_count;
    op.stats = stats;
  }
  context.eval.arena = arena;
  std::vector<uint64_t> kept;
  for (const StreamDocument& document : scratch_.documents)
    kept.push_back(sequences[document.ordinal]);
  std::sort(kept.begin(), kept.end());
  documents.retain(kept);
  scratch_.clear();
}

// The stages that wait for the window to close.
void InnerPipeline::run_rest(size_t from, const Value& meta, Batch& batch,
                             OperatorContext& context) {
  Downstream* downstream = context.downstream;
  Arena* arena = context.eval.arena;
  context.downstream = nullptr;
  for (size_t i = from; i < operators_.size(); ++i) {
    Operator& op = *operators_[i];
    context.eval.arena = &batch.arena;
    op.on_whole(batch, context);
    for (StreamDocument& document : batch.documents) {
      if (document.meta.is_missing()) document.meta = meta;
    }
  }
  context.eval.arena = arena;
  context.downstream = downstream;
}

WindowContent InnerPipeline::make_content() {
  WindowContent content;
  if (group_ != nullptr) content.groups = group_->table().make_groups();
  return content;
}

void InnerPipeline::save(const WindowContent& content, BsonWriter& to) const {
  if (group_ != nullptr) {
    group_->table().save(*content.groups, "groups", to);
  } else {
    content.documents.save("documents", to);
  }
}

Status InnerPipeline::load(WindowContent& content, const Value& saved) {
  if (!saved.is_object())
    return Status(ErrorCode::kInternalError, "the saved content of a window is not readable");
  if (group_ != nullptr)
    return group_->table().load(*content.groups, saved.as_object().get("groups"));
  return content.documents.restore(saved.as_object().get("documents"));
}

}  // namespace millrace::engine
