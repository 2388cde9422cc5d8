#include "engine/stage/group_table.h"

#include <cstdlib>
#include <new>

#include "engine/document/compare.h"
#include "engine/expression/accumulator_state.h"

namespace millrace::engine {

namespace {

// Documents whose keys are looked up together, so that the memory they need is fetched at the same
// time.
constexpr size_t kBatch = 32;
// From so many keys on their table is larger than the second-level cache.
constexpr uint32_t kManyKeys = 32 * 1024;

uint32_t spread(uint32_t id, size_t bits) { return (id * 0x9E3779B1u) >> (32 - bits); }

template <typename T>
T& state_at(char* block, uint32_t offset) {
  return *reinterpret_cast<T*>(block + offset);
}

// A number or a boolean directly behind a name of the key's object looks like a projection's flag
// and is refused, before any name or expression in it is looked at (MongoDB 6.0.5).
Status check_key(const Value& key) {
  if (!key.is_object() || key.as_object().empty()) return {};
  if (key.as_object().begin()->name().starts_with('$')) return {};
  for (const Field& field : key.as_object()) {
    if (field.value.is_number() || field.value.is(Type::kBool))
      return Status(17390, "$group does not support inclusion-style expressions");
  }
  return {};
}

}  // namespace

Groups::Groups(GroupTable& table) : table_(table), stride_(table.stride_), next_(table.first_) {
  if (next_ != nullptr) next_->previous_ = this;
  table.first_ = this;
}

Groups::~Groups() {
  table_.destroy_blocks(*this);
  for (char* chunk : chunks_) std::free(chunk);
  (previous_ != nullptr ? previous_->next_ : table_.first_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

int64_t Groups::bytes() const {
  size_t groups = chunks_.empty() ? 0 : (chunks_.size() - 1) * kChunkGroups + first_capacity_;
  return static_cast<int64_t>(sizeof(Groups) + groups * stride_ +
                              by_id_.capacity() * sizeof(uint32_t) +
                              chunks_.capacity() * sizeof(char*));
}

uint32_t Groups::find_sparse(uint32_t id) const {
  if (slot_bits_ == 0) {
    for (uint32_t i = 0; i < count_; ++i) {
      if (key_id(i) == id) return i;
    }
    return kNone;
  }
  size_t mask = (size_t{1} << slot_bits_) - 1;
  for (size_t at = spread(id, slot_bits_);; at = (at + 1) & mask) {
    if (by_id_[2 * at + 1] == 0) return kNone;
    if (by_id_[2 * at] == id) return by_id_[2 * at + 1] - 1;
  }
}

uint32_t Groups::append(uint32_t id) {
  uint32_t index = count_;
  if (index % kChunkGroups == 0 && index > 0) {
    chunks_.push_back(static_cast<char*>(std::malloc(kChunkGroups * stride_)));
    if (chunks_.back() == nullptr) throw std::bad_alloc();
  } else if (index == first_capacity_) {
    first_capacity_ = index == 0 ? 1 : std::min(kChunkGroups, index * 4);
    void* moved = std::realloc(chunks_.empty() ? nullptr : chunks_[0], first_capacity_ * stride_);
    if (moved == nullptr) throw std::bad_alloc();
    if (chunks_.empty()) chunks_.push_back(nullptr);
    chunks_[0] = static_cast<char*>(moved);
  }
  ++count_;
  char* to = block(index);
  table_.init_block(to);
  *reinterpret_cast<uint32_t*>(to) = id;
  note(id, index);
  return index;
}

void Groups::note(uint32_t id, uint32_t index) {
  if (dense_) {
    if (id >= by_id_.size()) by_id_.resize(std::max<size_t>(id + 1, table_.keys_.id_limit()), 0);
    by_id_[id] = index + 1;
    return;
  }
  if (count_ <= kScanned) return;
  if (slot_bits_ == 0 || size_t{count_} * 2 > size_t{1} << slot_bits_) return reindex();
  size_t mask = (size_t{1} << slot_bits_) - 1;
  size_t at = spread(id, slot_bits_);
  while (by_id_[2 * at + 1] != 0) at = (at + 1) & mask;
  by_id_[2 * at] = id;
  by_id_[2 * at + 1] = index + 1;
}

// A larger index over all groups: dense once an eighth of all keys is here.
void Groups::reindex() {
  size_t limit = table_.keys_.id_limit();
  if (limit <= size_t{count_} * 8) {
    dense_ = true;
    by_id_.assign(limit, 0);
  } else {
    slot_bits_ = slot_bits_ == 0 ? 5 : slot_bits_ + 1;
    by_id_.assign(size_t{2} << slot_bits_, 0);
  }
  for (uint32_t i = 0; i < count_; ++i) note(key_id(i), i);
}

GroupTable::GroupTable() : keys_([this](std::vector<bool>& live) { mark_live(live); }) {}
GroupTable::~GroupTable() = default;

Result<std::unique_ptr<GroupTable>> GroupTable::parse(const Value& spec, ParseContext& context) {
  if (!spec.is_object()) return Status(15947, "a group's fields must be specified in an object");
  std::unique_ptr<GroupTable> table(new GroupTable);
  std::vector<Value> specs;
  for (const Field& field : spec.as_object()) {
    std::string name(field.name());
    if (name == "_id") {
      if (table->key_ != nullptr) return Status(15948, "a group's _id may only be specified once");
      MR_RETURN_IF_ERROR(check_key(field.value));
      MR_ASSIGN_OR_RETURN(table->key_, parse_expression(field.value, context));
      if (field.value.is_object() && field.value.as_object().size() == 1) {
        std::string_view part = field.value.as_object().begin()->name();
        if (!part.starts_with('$')) table->single_part_ = context.names().intern(part);
      }
      continue;
    }
    if (!field.value.is_object() || field.value.as_object().empty() ||
        !field.value.as_object().begin()->name().starts_with('$')) {
      return Status(40234, "The field '" + name + "' must be an accumulator object");
    }
    if (name.find('.') != std::string::npos)
      return Status(40235, "The field name '" + name + "' cannot contain '.'");
    if (!name.empty() && name[0] == '$')
      return Status(40236, "The field name '" + name + "' cannot be an operator name");
    if (field.value.as_object().size() != 1)
      return Status(40238, "The field '" + name + "' must specify one accumulator");
    const Field accumulator = *field.value.as_object().begin();
    Value operand = deep_copy(accumulator.value, context.constants());
    MR_ASSIGN_OR_RETURN(AccumulatorPtr parsed,
                        parse_accumulator(std::string(accumulator.name()), operand, context));
    AccumulatorKind kind = parsed->kind();
    table->outputs_.push_back({context.names().intern(name), std::move(parsed), kind, 0, 0});
    specs.push_back(operand);
  }
  if (table->key_ == nullptr) return Status(15955, "a group specification must include an _id");
  table->lay_out(std::move(specs));
  return table;
}

// A block: the key's id (4 bytes), 4 bytes unused, the states. `specs` are the accumulators'
// operands.
void GroupTable::lay_out(std::vector<Value> specs) {
  std::vector<size_t> argument_of;  // argument -> the output that introduced it
  for (size_t i = 0; i < outputs_.size(); ++i) {
    Output& output = outputs_[i];
    output.offset = static_cast<uint32_t>(stride_);
    stride_ += (output.accumulator->state_size() + 7) & ~size_t{7};
    zero_is_fresh_ = zero_is_fresh_ && output.accumulator->zero_is_fresh();
    starts_with_key_ = starts_with_key_ || output.accumulator->starts_with_key();
    mergeable_ = mergeable_ && output.accumulator->mergeable();
    order_sensitive_ = order_sensitive_ || output.accumulator->order_sensitive();
    grows_ = grows_ || output.accumulator->grows();
    if (output.kind == AccumulatorKind::kCount) continue;
    size_t a = 0;
    if (output.accumulator->argument() != nullptr) {
      while (a < arguments_.size() &&
             !(arguments_[a]->argument() != nullptr && identical(specs[argument_of[a]], specs[i])))
        ++a;
    } else {
      a = arguments_.size();
    }
    if (a == arguments_.size()) {
      arguments_.push_back(output.accumulator.get());
      argument_of.push_back(i);
    }
    output.argument = static_cast<uint32_t>(a);
  }
  scratch_.resize(stride_);
}

void GroupTable::add_dependencies(Dependencies& dependencies) const {
  key_->add_dependencies(dependencies);
  for (const Output& output : outputs_) output.accumulator->add_dependencies(dependencies);
}

void GroupTable::mark_live(std::vector<bool>& live) const {
  for (const Groups* groups = first_; groups != nullptr; groups = groups->next_) {
    for (uint32_t i = 0; i < groups->count_; ++i) live[groups->key_id(i)] = true;
  }
  for (uint32_t id : pending_) live[id] = true;
}

void GroupTable::init_block(char* block) const {
  std::memset(block, 0, stride_);
  if (zero_is_fresh_) return;
  for (const Output& output : outputs_) output.accumulator->init(block + output.offset);
}

void GroupTable::destroy_blocks(Groups& groups) {
  if (holds_nothing()) return;
  for (const Output& output : outputs_) {
    for (uint32_t i = 0; i < groups.count_; ++i)
      output.accumulator->destroy(groups.block(i) + output.offset, heap_);
  }
}

inline void GroupTable::add_values(char* block, const Value* arguments) {
  for (const Output& output : outputs_) {
    const Value& value = arguments[output.argument];
    switch (output.kind) {
      case AccumulatorKind::kCount:
        ++state_at<CountState>(block, output.offset).count;
        continue;
      case AccumulatorKind::kSum:
        if (state_at<SumState>(block, output.offset).add_fast(value)) continue;
        break;
      case AccumulatorKind::kAverage:
        if (state_at<AverageState>(block, output.offset).add_fast(value)) continue;
        break;
      case AccumulatorKind::kMin:
        if (state_at<ExtremeState>(block, output.offset).add_fast<true>(value)) continue;
        break;
      case AccumulatorKind::kMax:
        if (state_at<ExtremeState>(block, output.offset).add_fast<false>(value)) continue;
        break;
      case AccumulatorKind::kOther:
        break;
    }
    output.accumulator->add(block + output.offset, value, heap_);
  }
}

// A missing key is null; so is a missing part of a key that is a document of one part, but not of
// one of several (MongoDB 6.0.5).
inline Value GroupTable::evaluate_key(EvalContext& eval) const {
  Value key = key_->evaluate(eval);
  if (key.is_missing()) return Value::null();
  if (!single_part_.empty() && key.as_object().empty()) {
    return Value::object({eval.arena->make<Field>(single_part_, Value::null()), 1});
  }
  return key;
}

// What accumulators compute from a key, they compute from it as a document of its own: "$a" is the
// key's field a, and a key that is no document has no fields. Throws EvaluationError, and there is
// no new group.
uint32_t GroupTable::new_group(Groups& groups, uint32_t id, const Value& key, EvalContext& eval) {
  if (!starts_with_key_) [[likely]]
    return groups.append(id);
  eval.root = key.is_object() ? key : Value::object({});
  std::vector<Value> settings(outputs_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].accumulator->starts_with_key())
      settings[i] = outputs_[i].accumulator->evaluate_start(eval);
  }
  uint32_t index = groups.append(id);
  char* block = groups.block(index);
  for (size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].accumulator->starts_with_key())
      outputs_[i].accumulator->start(block + outputs_[i].offset, settings[i], heap_);
  }
  return index;
}

size_t GroupTable::add(Groups& groups, std::span<const StreamDocument> documents,
                       OperatorContext& context, std::string_view operator_name) {
  EvalContext& eval = context.eval;
  size_t failed = 0;
  GroupKeys::Probe probes[kBatch];
  uint32_t ids[kBatch];
  bool good[kBatch];
  pending_.reserve(kBatch);
  Value few[16];
  Value* arguments = arguments_.size() <= std::size(few)
                         ? few
                         : eval.arena->allocate_array<Value>(arguments_.size());
  auto dead_letter = [&](const StreamDocument& document, const EvaluationError& error) {
    ++failed;
    context.dead_letters->add(document, operator_name, error.status().message());
  };
  for (size_t from = 0; from < documents.size(); from += kBatch) {
    size_t n = std::min(kBatch, documents.size() - from);
    for (size_t i = 0; i < n; ++i) {
      const StreamDocument& document = documents[from + i];
      eval.root = document.body;
      eval.stream_meta = document.meta;
      try {
        probes[i] = GroupKeys::prepare(evaluate_key(eval));
        keys_.prefetch(probes[i]);
        good[i] = true;
      } catch (const EvaluationError& error) {
        good[i] = false;
        dead_letter(document, error);
      }
    }
    if (keys_.id_limit() > kManyKeys) {
      for (size_t i = 0; i < n; ++i) {
        if (!good[i]) continue;
        if (uint32_t id = keys_.guess(probes[i]); id != GroupKeys::kNoGuess)
          groups.prefetch_index(id);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      if (!good[i]) continue;
      ids[i] = keys_.intern(probes[i]);
      pending_.push_back(ids[i]);
      if (uint32_t index = groups.find(ids[i]); index != Groups::kNone) {
        const char* block = groups.block(index);
        __builtin_prefetch(block, 1);
        __builtin_prefetch(block + 64, 1);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      if (!good[i]) continue;
      const StreamDocument& document = documents[from + i];
      eval.root = document.body;
      eval.stream_meta = document.meta;
      try {
        for (size_t a = 0; a < arguments_.size(); ++a) arguments[a] = arguments_[a]->evaluate(eval);
        uint32_t index = groups.find(ids[i]);
        if (index == Groups::kNone) index = new_group(groups, ids[i], probes[i].value, eval);
        ++heap_.arrival;
        add_values(groups.block(index), arguments);
      } catch (const EvaluationError& error) {
        dead_letter(document, error);
      }
    }
    pending_.clear();
  }
  return failed;
}

inline void GroupTable::merge_blocks(char* to, const char* from) {
  for (const Output& output : outputs_) {
    char* from_state = const_cast<char*>(from) + output.offset;
    switch (output.kind) {
      case AccumulatorKind::kCount:
        state_at<CountState>(to, output.offset).count +=
            reinterpret_cast<const CountState*>(from_state)->count;
        continue;
      case AccumulatorKind::kSum:
        if (state_at<SumState>(to, output.offset)
                .merge_fast(*reinterpret_cast<const SumState*>(from_state)))
          continue;
        break;
      case AccumulatorKind::kAverage:
        if (state_at<AverageState>(to, output.offset)
                .merge_fast(*reinterpret_cast<const AverageState*>(from_state)))
          continue;
        break;
      case AccumulatorKind::kMin:
        if (state_at<ExtremeState>(to, output.offset)
                .add_fast<true>(reinterpret_cast<const ExtremeState*>(from_state)->best))
          continue;
        break;
      case AccumulatorKind::kMax:
        if (state_at<ExtremeState>(to, output.offset)
                .add_fast<false>(reinterpret_cast<const ExtremeState*>(from_state)->best))
          continue;
        break;
      default:
        break;
    }
    output.accumulator->merge(to + output.offset, from_state, heap_);
  }
}

void GroupTable::merge(Groups& to, const Groups& from) {
  for (uint32_t i = 0; i < from.count_; ++i) {
    const char* block = from.block(i);
    uint32_t id = from.key_id(i);
    uint32_t index = to.find(id);
    if (index != Groups::kNone) {
      merge_blocks(to.block(index), block);
      continue;
    }
    char* fresh = to.block(to.append(id));
    if (holds_nothing()) {
      std::memcpy(fresh, block, stride_);
    } else {
      merge_blocks(fresh, block);
    }
  }
}

inline Value GroupTable::result(const Output& output, const char* block, Arena& arena) const {
  const char* state = block + output.offset;
  switch (output.kind) {
    case AccumulatorKind::kSum: {
      const auto& sum = *reinterpret_cast<const SumState*>(state);
      if (sum.tag == SumState::kInt32) return Value::integer(sum.integer());
      if (sum.is_compensated()) return Value::number(sum.compensated().sum);
      break;
    }
    case AccumulatorKind::kAverage: {
      const auto& average = *reinterpret_cast<const AverageState*>(state);
      const SumState& sum = average.sum;
      if (average.count == 0 || !(sum.is_compensated() || sum.is_integer())) break;
      return Value::number(
          (sum.is_integer() ? static_cast<double>(sum.integer()) : sum.compensated().sum) /
          static_cast<double>(average.count));
    }
    case AccumulatorKind::kMin:
    case AccumulatorKind::kMax: {
      const auto& extreme = *reinterpret_cast<const ExtremeState*>(state);
      if (extreme.is_plain()) return extreme.best;
      break;
    }
    default:
      break;
  }
  return output.accumulator->result(state, arena);
}

inline Value GroupTable::row(uint32_t key_id, const char* block, Arena& arena) const {
  Field* fields = arena.allocate_array<Field>(outputs_.size() + 1);
  Field* field = fields;
  new (field++) Field("_id", keys_.value(key_id, arena));
  for (const Output& output : outputs_)
    new (field++) Field(output.name, result(output, block, arena));
  return Value::object({fields, outputs_.size() + 1});
}

Value GroupTable::merged_row(uint32_t key_id, const char* first, const char* later, Arena& arena) {
  char* block = scratch_.data();
  if (holds_nothing()) {
    std::memcpy(block, first, stride_);
    merge_blocks(block, later);
    if (holds_nothing()) return row(key_id, block, arena);
  } else {
    init_block(block);
    merge_blocks(block, first);
    merge_blocks(block, later);
  }
  Value merged = row(key_id, block, arena);
  for (const Output& output : outputs_) output.accumulator->destroy(block + output.offset, heap_);
  return merged;
}

size_t GroupTable::emit(GroupsCursor& groups, size_t at_most, Arena& arena,
                        const StreamDocument& like, std::vector<StreamDocument>& to) {
  size_t before = to.size();
  size_t left = groups.end_ - groups.at_;
  to.resize(before + std::min(at_most, left), like);
  size_t at = before;
  for (; at < to.size() && !groups.done(); ++at) {
    bool is_later = groups.at_ >= groups.first_.count();
    const Groups& part = is_later ? *groups.later_ : groups.first_;
    uint32_t index = groups.at_ - (is_later ? groups.first_.count() : 0);
    uint32_t id = part.key_id(index);
    uint32_t other = is_later || groups.later_ == nullptr ? Groups::kNone : groups.later_->find(id);
    to[at].body = other == Groups::kNone
                      ? row(id, part.block(index), arena)
                      : merged_row(id, part.block(index), groups.later_->block(other), arena);
    ++groups.at_;
    groups.skip_known();
  }
  to.resize(at);
  return at - before;
}

void GroupTable::save(const Groups& groups, std::string_view field, BsonWriter& to) const {
  Arena scratch;
  to.begin_array(field);
  for (uint32_t i = 0; i < groups.count_; ++i) {
    to.begin_array(std::to_string(i));
    size_t column = 0;
    to.append_element(column++, keys_.view(groups.key_id(i)));
    for (const Output& output : outputs_) {
      to.append_element(column++,
                        output.accumulator->save(groups.block(i) + output.offset, scratch));
    }
    to.end();
    if (i % 256 == 255) scratch.reset();
  }
  to.end();
}

Status GroupTable::load(Groups& groups, const Value& saved) {
  Status bad(ErrorCode::kInternalError, "the saved state of $group is not one");
  if (!saved.is_array()) return bad;
  for (const Value& row : saved.as_array()) {
    if (!row.is_array() || row.as_array().size() != outputs_.size() + 1) return bad;
    auto column = row.as_array().begin();
    uint32_t id = keys_.intern(GroupKeys::prepare(*column));
    if (groups.find(id) != Groups::kNone) return bad;
    uint32_t index = groups.append(id);
    for (const Output& output : outputs_) {
      ++column;
      MR_RETURN_IF_ERROR(
          output.accumulator->load(groups.block(index) + output.offset, *column, heap_));
    }
  }
  return {};
}

}  // namespace millrace::engine
