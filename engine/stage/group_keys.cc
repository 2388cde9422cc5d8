#include "engine/stage/group_keys.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "engine/document/compare.h"
#include "engine/document/decimal.h"
#include "engine/expression/owned_value.h"

namespace millrace::engine {
namespace {

// Byte 0 of PackedKey::low. Zero is no key.
enum Kind : uint8_t {
  kConstant = 1,  // missing, null, undefined, minKey, maxKey: the type in byte 2
  kInteger,       // any number that is an int64: high
  kDouble,        // any other number that is a double: its bits in high
  kBool,
  kDate,
  kTimestamp,
  kObjectId,     // 12 bytes from byte 4
  kShortString,  // the length in byte 2, up to 12 bytes from byte 4
  kLongString,   // the length in bytes 4 to 7, high points to the bytes
  kOther,        // 32 bits of the hash in bytes 4 to 7, high points to an owned Value
};

// Byte 1 for a key whose first form stands in GroupKeys::exact_.
constexpr uint8_t kShownExactly = 0xFE;

uint64_t head(Kind kind, uint8_t shown, uint8_t third = 0) {
  return kind | uint64_t{shown} << 8 | uint64_t{third} << 16;
}

uint32_t mix(const PackedKey& key) {
  auto product =
      static_cast<unsigned __int128>((key.low & ~uint64_t{0xFF00}) ^ 0x9E3779B97F4A7C15ull) *
      (key.high ^ 0xD6E8FEB86659FD93ull);
  auto folded = static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  folded *= 0xFF51AFD7ED558CCDull;
  return static_cast<uint32_t>(folded >> 32);
}

template <typename T>
uint64_t load(const void* at) {
  T v;
  std::memcpy(&v, at, sizeof v);
  return v;
}

// Up to 12 bytes behind the head of a key. Whole words are read, overlapping, and never written in
// pieces: the key is compared and hashed at once, and a load of what was just stored in parts would
// wait for the memory.
void put_bytes(PackedKey& key, const char* bytes, size_t size) {
  if (size >= 8) {
    key.low |= load<uint32_t>(bytes) << 32;
    key.high = load<uint64_t>(bytes + size - 8) >> (8 * (12 - size));
  } else if (size >= 4) {
    key.low |= load<uint32_t>(bytes) << 32;
    key.high = load<uint32_t>(bytes + size - 4) >> (8 * (8 - size));
  } else {
    for (size_t i = 0; i < size; ++i)
      key.low |= uint64_t{static_cast<uint8_t>(bytes[i])} << (32 + 8 * i);
  }
}

bool pack_double(double d, Type shown, PackedKey& key) {
  if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == std::floor(d)) {
    bool negative_zero = d == 0 && std::signbit(d);
    key = {head(kInteger, negative_zero ? kShownExactly : static_cast<uint8_t>(shown)),
           static_cast<uint64_t>(static_cast<int64_t>(d))};
  } else {
    key = {head(kDouble, static_cast<uint8_t>(shown)),
           std::isnan(d) ? uint64_t{0x7FF8000000000000} : std::bit_cast<uint64_t>(d)};
  }
  return true;
}

// False: no int64 and no double equals the decimal.
bool pack_decimal(const Value& value, PackedKey& key) {
  Decimal128 d = value.as_decimal();
  if (auto whole = decimal::to_int64_exact(d)) {
    key = {head(kInteger, kShownExactly), static_cast<uint64_t>(*whole)};
    return true;
  }
  double nearest = decimal::to_double(d);
  if (compare(Value::number(nearest), value) != 0) return false;
  pack_double(nearest, Type::kDouble, key);
  key.low = (key.low & ~uint64_t{0xFF00}) | uint64_t{kShownExactly} << 8;
  return true;
}

bool pack_inside(const Value& value, PackedKey& key) {
  auto shown = static_cast<uint8_t>(value.type());
  switch (value.type()) {
    case Type::kInt32:
    case Type::kInt64:
      key = {head(kInteger, shown), static_cast<uint64_t>(value.integer_value())};
      return true;
    case Type::kDouble:
      return pack_double(value.as_double(), Type::kDouble, key);
    case Type::kDecimal:
      return pack_decimal(value, key);
    case Type::kBool:
      key = {head(kBool, shown), value.as_bool()};
      return true;
    case Type::kDate:
      key = {head(kDate, shown), static_cast<uint64_t>(value.as_date())};
      return true;
    case Type::kTimestamp:
      key = {head(kTimestamp, shown), value.as_timestamp_bits()};
      return true;
    case Type::kObjectId:
      key = {head(kObjectId, shown), 0};
      put_bytes(key, static_cast<const char*>(value.address()), 12);
      return true;
    case Type::kMissing:
    case Type::kNull:
    case Type::kUndefined:
    case Type::kMinKey:
    case Type::kMaxKey:
      key = {head(kConstant, shown, shown), 0};
      return true;
    case Type::kString:
    case Type::kSymbol: {
      std::string_view text = value.as_string();
      if (text.size() > 12) return false;
      key = {head(kShortString, shown, static_cast<uint8_t>(text.size())), 0};
      put_bytes(key, text.data(), text.size());
      return true;
    }
    default:
      return false;
  }
}

Kind kind_of(const PackedKey& key) { return static_cast<Kind>(key.low & 0xFF); }
Type shown_type(const PackedKey& key) { return static_cast<Type>(key.low >> 8 & 0xFF); }
uint32_t upper_word(const PackedKey& key) { return static_cast<uint32_t>(key.low >> 32); }

constexpr size_t kFirstSlots = 64;

}  // namespace

GroupKeys::GroupKeys(MarkLive mark_live)
    : mark_live_(std::move(mark_live)),
      slots_(kFirstSlots, Slot{0, kFree}),
      mask_(kFirstSlots - 1) {}

GroupKeys::~GroupKeys() {
  for (const Slot& slot : slots_) {
    if (slot.id != kFree) forget(slot.id);
  }
}

GroupKeys::Probe GroupKeys::prepare(const Value& value) {
  Probe probe;
  probe.value = value;
  if (pack_inside(value, probe.key)) {
    probe.hash = mix(probe.key);
    return probe;
  }
  uint64_t h = engine::hash(value);
  probe.hash = static_cast<uint32_t>(h ^ h >> 32);
  bool text = value.is(Type::kString) || value.is(Type::kSymbol);
  probe.key.low = head(text ? kLongString : kOther, static_cast<uint8_t>(value.type())) |
                  uint64_t{text ? value.payload_size() : probe.hash} << 32;
  probe.key.high = reinterpret_cast<uint64_t>(text ? value.address() : nullptr);
  return probe;
}

bool GroupKeys::same_outside(const PackedKey& stored, const Probe& probe) {
  switch (kind_of(stored)) {
    case kLongString:
      return std::memcmp(reinterpret_cast<const void*>(stored.high), probe.value.address(),
                         upper_word(stored)) == 0;
    case kOther:
      return equal(*reinterpret_cast<const Value*>(stored.high), probe.value);
    default:
      return false;
  }
}

Value GroupKeys::view(uint32_t id) const {
  const PackedKey& key = record(id);
  Type shown = shown_type(key);
  if (static_cast<uint8_t>(shown) == kShownExactly) return exact_.at(id);
  const char* inside = reinterpret_cast<const char*>(&key) + 4;
  switch (kind_of(key)) {
    case kConstant:
      if (shown == Type::kMissing) return {};
      if (shown == Type::kUndefined) return Value::undefined();
      if (shown == Type::kMinKey) return Value::min_key();
      return shown == Type::kMaxKey ? Value::max_key() : Value::null();
    case kInteger: {
      auto v = static_cast<int64_t>(key.high);
      if (shown == Type::kInt32) return Value::int32(static_cast<int32_t>(v));
      return shown == Type::kInt64 ? Value::int64(v) : Value::number(static_cast<double>(v));
    }
    case kDouble:
      return Value::number(std::bit_cast<double>(key.high));
    case kBool:
      return Value::boolean(key.high != 0);
    case kDate:
      return Value::date(static_cast<int64_t>(key.high));
    case kTimestamp:
      return Value::timestamp_bits(key.high);
    case kObjectId:
      return Value::object_id(reinterpret_cast<const ObjectId*>(inside));
    case kShortString:
    case kLongString: {
      std::string_view text =
          kind_of(key) == kShortString
              ? std::string_view(inside, key.low >> 16 & 0xFF)
              : std::string_view(reinterpret_cast<const char*>(key.high), upper_word(key));
      return shown == Type::kSymbol ? Value::symbol(text) : Value::string(text);
    }
    case kOther:
      return *reinterpret_cast<const Value*>(key.high);
  }
  return {};
}

Value GroupKeys::value(uint32_t id, Arena& arena) const {
  const PackedKey& key = record(id);
  if (kind_of(key) != kShortString || shown_type(key) != Type::kString)
    return deep_copy(view(id), arena);
  auto* copy = arena.make<PackedKey>(key);
  return Value::string({reinterpret_cast<const char*>(copy) + 4, key.low >> 16 & 0xFF});
}

uint32_t GroupKeys::insert(const Probe& probe) {
  if ((size_t{limit_} - free_ids_.size() + 1) * 4 > slots_.size() * 3) make_room();
  uint32_t id;
  if (free_ids_.empty()) {
    id = limit_++;
    if (id / kChunkKeys == chunks_.size())
      chunks_.push_back(std::make_unique<PackedKey[]>(kChunkKeys));
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  PackedKey& key = record(id) = probe.key;
  if (kind_of(key) == kLongString) {
    key.high = reinterpret_cast<uint64_t>(own(probe.value, heap_).address());
  } else if (kind_of(key) == kOther) {
    key.high = reinterpret_cast<uint64_t>(new Value(own(probe.value, heap_)));
    heap_.used += static_cast<int64_t>(sizeof(Value)) + 16;
  } else if (static_cast<uint8_t>(shown_type(key)) == kShownExactly) {
    exact_.emplace(id, own(probe.value, heap_));
    heap_.used += 64;
  }
  size_t at = probe.hash & mask_;
  while (slots_[at].id != kFree) at = (at + 1) & mask_;
  slots_[at] = {probe.hash, id};
  return id;
}

void GroupKeys::forget(uint32_t id) {
  PackedKey& key = record(id);
  if (kind_of(key) == kLongString) {
    disown(view(id), heap_);
  } else if (kind_of(key) == kOther) {
    auto* value = reinterpret_cast<Value*>(key.high);
    disown(*value, heap_);
    delete value;
    heap_.used -= static_cast<int64_t>(sizeof(Value)) + 16;
  } else if (static_cast<uint8_t>(shown_type(key)) == kShownExactly) {
    disown(exact_.at(id), heap_);
    exact_.erase(id);
    heap_.used -= 64;
  }
  key = {};
}

// Sweeps keys that no window holds any more if they are a quarter or more, else doubles the table.
void GroupKeys::make_room() {
  std::vector<bool> live(limit_, false);
  if (mark_live_) mark_live_(live);
  size_t in_use = limit_ - free_ids_.size();
  size_t alive = 0;
  for (bool b : live) alive += b;
  if (!mark_live_ || alive * 4 > in_use * 3) return rebuild(slots_.size() * 2);
  for (const Slot& slot : slots_) {
    if (slot.id == kFree || live[slot.id]) continue;
    free_ids_.push_back(slot.id);
    forget(slot.id);
  }
  size_t fitting = slots_.size();
  while (fitting > kFirstSlots && alive * 8 < fitting) fitting /= 2;
  rebuild(fitting);
}

// Slots of forgotten keys are left out.
void GroupKeys::rebuild(size_t slot_count) {
  std::vector<Slot> old(slot_count, Slot{0, kFree});
  old.swap(slots_);
  mask_ = slot_count - 1;
  for (const Slot& slot : old) {
    if (slot.id == kFree || record(slot.id).low == 0) continue;
    size_t at = slot.hash & mask_;
    while (slots_[at].id != kFree) at = (at + 1) & mask_;
    slots_[at] = slot;
  }
}

int64_t GroupKeys::bytes() const {
  return static_cast<int64_t>(chunks_.size() * kChunkKeys * sizeof(PackedKey) +
                              slots_.size() * sizeof(Slot) +
                              free_ids_.capacity() * sizeof(uint32_t)) +
         heap_.used;
}

}  // namespace millrace::engine
