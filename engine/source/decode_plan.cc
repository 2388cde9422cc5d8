#include <algorithm>
#include <cstring>

#include "engine/source/decoder.h"

namespace millrace::engine {

DecodePlan::DecodePlan(const PathSet& paths) : all_(paths.all) {
  for (const PathSet::Child& child : paths.children) {
    Entry entry{child.name, nullptr};
    if (!child.set.all) entry.sub = std::make_unique<DecodePlan>(child.set);
    numeric_child_ = numeric_child_ || std::all_of(child.name.begin(), child.name.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
    entries_.push_back(std::move(entry));
  }
}

int DecodePlan::find(std::string_view key) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].name == key) return static_cast<int>(i);
  }
  return kSkip;
}

void DecodePlan::remember(size_t position, std::string_view key, int entry) {
  constexpr size_t kMaxRemembered = 256;  // of one object; beyond it keys are looked up each time
  if (position >= kMaxRemembered) return;
  if (position >= seen_.size()) seen_.resize(position + 1);
  Seen& seen = seen_[position];
  seen.key.assign(key);
  seen.key.append(16, '\0');
  seen.size = static_cast<uint32_t>(key.size());
  seen.entry = entry;
}

Value BsonDecoder::decode(std::string_view payload, Arena& arena) {
  if (plan_.all()) return Value::bson_object(payload.data());
  return decode_object(payload.data(), plan_, arena);
}

Value BsonDecoder::decode_object(const char* bson, DecodePlan& plan, Arena& arena) {
  ObjectBuilder object(arena, plan.entries_.size());
  size_t position = 0;
  for (BsonIterator it(bson); !it.done(); it.next(), ++position) {
    std::string_view key = it.field().name();
    int index;
    if (position < plan.seen_.size() && plan.seen_[position].size == key.size() &&
        std::memcmp(plan.seen_[position].key.data(), key.data(), key.size()) == 0) {
      index = plan.seen_[position].entry;
    } else {
      index = plan.find(key);
      plan.remember(position, key, index);
    }
    if (index == DecodePlan::kSkip) continue;
    DecodePlan::Entry& entry = plan.entries_[index];
    Value value = it.field().value;
    if (entry.sub != nullptr) {
      if (value.is_object()) value = decode_object(value.bson_bytes().data(), *entry.sub, arena);
      if (value.is_array() && !entry.sub->numeric_child_)
        value = decode_array(value.bson_bytes().data(), *entry.sub, arena);
    }
    object.add(entry.name, value);
  }
  return object.finish();
}

Value BsonDecoder::decode_array(const char* bson, DecodePlan& plan, Arena& arena) {
  ArrayBuilder array(arena);
  for (BsonIterator it(bson); !it.done(); it.next()) {
    Value value = it.field().value;
    array.add(value.is_object() ? decode_object(value.bson_bytes().data(), plan, arena) : value);
  }
  return array.finish();
}

}  // namespace millrace::engine
