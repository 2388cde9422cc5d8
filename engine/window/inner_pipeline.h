// The pipeline inside a window stage: what of it runs when a document arrives, what a window keeps
// meanwhile, and what runs when it closes.
//
//   stateless …  |  $group           |  the rest        groups: the window keeps aggregates
//   on arrival   |  adds on arrival  |  at close
//
//   stateless …  |  everything from the first other stage on         documents: the window keeps
//   the fields that the rest reads on arrival   |  at close
//
// Where that begins with $sort and $limit, or $limit alone, a window drops now and then the
// documents that can no longer be among the first.
#pragma once

#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/stage/group.h"
#include "engine/stage/operator.h"
#include "engine/window/window_content.h"
#include "engine/window/window_output.h"

namespace millrace::engine {

// How a kind of window collects; decides whether aggregates can be kept.
struct CollectingRules {
  bool pieces_interleave = false;  // a window is put together from pieces whose documents did not
                                   // come one piece after the other
  bool bounds_known = true;        // the window's start and end are known when a document arrives
};

// The bounds that {$meta: "stream.window"} shows.
struct WindowBounds {
  int64_t start_ms;
  int64_t end_ms;
  Value partition;  // of a session; missing otherwise
};

// Single-threaded.
class InnerPipeline {
 public:
  static Result<std::unique_ptr<InnerPipeline>> build(const Value& stages, StageContext& context);

  // To be asked once, before anything is added. What keeps groups is then said by keeps_groups().
  void plan(const CollectingRules& rules);
  bool keeps_groups() const { return group_ != nullptr; }
  // The stages that run on arrival do nothing to a document that leaves the window's bounds unread.
  bool reads_meta_on_add() const { return group_reads_meta_; }
  bool order_sensitive_group() const;
  bool group_grows() const { return group_ != nullptr && group_->table().grows(); }

  // Turns what is needed behind the window into what the window needs of its input.
  void dependencies(Dependencies& dependencies);

  // Runs the stages that do not wait for the window to close. Documents then live in `batch`.
  bool has_arrival_stages() const { return arrival_ > 0; }
  void arrive(Batch& batch, OperatorContext& context);
  // Adds documents behind arrive(). `bounds`: of the window, when known. Returns how many went to
  // the dead letters.
  size_t add(WindowContent& content, std::span<StreamDocument> documents,
             const WindowBounds* bounds, std::string_view source_type, OperatorContext& context);
  void merge(WindowContent& to, const WindowContent& from);
  // Leaves of a content that several windows will read only what they can need.
  void trim(WindowContent& content, OperatorContext& context) {
    if (content.documents.count() > most_) drop_needless(content.documents, context);
  }

  // The window closes: what comes out of `parts`, put together, goes to `output`.
  // `watermark_ms`: as it is now.
  void close(std::span<const WindowContent* const> parts, const WindowBounds& bounds,
             std::string_view source_type, int64_t watermark_ms, WindowOutput& output,
             OperatorContext& context);

  WindowContent make_content();
  // Appends the content to an open document as `groups` or `documents`.
  void save(const WindowContent& content, BsonWriter& to) const;
  Status load(WindowContent& content, const Value& saved);
  uint64_t sequence() const { return sequence_; }
  void set_sequence(uint64_t sequence) { sequence_ = sequence; }

  // Of keys and heap that all contents share.
  int64_t shared_bytes() const { return group_ != nullptr ? group_->table().shared_bytes() : 0; }

 private:
  InnerPipeline() = default;
  void emit_groups(GroupsCursor& groups, const WindowBounds& bounds, std::string_view source_type,
                   int64_t watermark_ms, WindowOutput& output, OperatorContext& context);
  void run_rest(size_t from, const Value& meta, Batch& batch, OperatorContext& context);
  Status count_by_group(const Value& stages, StageContext& context);
  void plan_dropping();
  void drop_needless(StoredDocuments& documents, OperatorContext& context);

  std::vector<OperatorPtr> operators_;
  size_t arrival_ = 0;              // so many of them run on arrival
  GroupOperator* group_ = nullptr;  // operators_[arrival_], when windows keep groups
  bool group_reads_meta_ = false;
  PathSet kept_fields_;  // of documents that are stored
  size_t first_ = 0;     // the operators [arrival_, first_) choose the first of all documents
  size_t most_ = std::numeric_limits<size_t>::max();        // so many of them
  size_t dropped_at_ = std::numeric_limits<size_t>::max();  // the rest, when so many are stored
  Batch scratch_;
  uint64_t sequence_ = 0;
};

}  // namespace millrace::engine
