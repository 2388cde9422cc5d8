#include "engine/document/compare.h"

#include <xxhash.h>

#include <cmath>
#include <limits>
#include <memory>
#include <unordered_set>
#include <utility>

#include "engine/document/decimal.h"

namespace millrace::engine {
namespace {

template <typename T>
int order(T a, T b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

int sign(int c) { return c < 0 ? -1 : (c > 0 ? 1 : 0); }

int compare_bytes(std::string_view a, std::string_view b) { return sign(a.compare(b)); }

int compare_doubles(double a, double b) {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a == b) return 0;
  bool a_nan = std::isnan(a);
  bool b_nan = std::isnan(b);
  return a_nan ? (b_nan ? 0 : -1) : 1;
}

int compare_int64_double(int64_t a, double b) {
  if (std::isnan(b)) return 1;
  if (b >= 9223372036854775808.0) return -1;
  if (b < -9223372036854775808.0) return 1;
  auto whole = static_cast<int64_t>(b);  // toward zero
  if (a != whole) return order(a, whole);
  double fraction = b - static_cast<double>(whole);
  return fraction > 0 ? -1 : (fraction < 0 ? 1 : 0);
}

// The decimal that is exactly the double: 34 digits do not hold every double, so ties by rounding
// are broken by comparing the other way.
int compare_double_decimal(double a, Decimal128 b) {
  if (std::isnan(a) || decimal::is_nan(b)) {
    return std::isnan(a) ? (decimal::is_nan(b) ? 0 : -1) : 1;
  }
  if (std::isinf(a)) {
    if (decimal::is_infinite(b) && decimal::is_negative(b) == (a < 0)) return 0;
    return a < 0 ? -1 : 1;
  }
  if (decimal::is_infinite(b)) return decimal::is_negative(b) ? 1 : -1;
  double b_double = decimal::to_double(b);
  if (a != b_double) return order(a, b_double);
  return decimal::compare(decimal::from_double_exact(a), b);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return order(a.integer_value(), b.integer_value());
  if (a.is(Type::kDouble)) {
    if (b.is(Type::kDouble)) return compare_doubles(a.as_double(), b.as_double());
    if (b.is_integer()) return -compare_int64_double(b.integer_value(), a.as_double());
    return compare_double_decimal(a.as_double(), b.as_decimal());
  }
  if (b.is(Type::kDouble)) {
    if (a.is_integer()) return compare_int64_double(a.integer_value(), b.as_double());
    return -compare_double_decimal(b.as_double(), a.as_decimal());
  }
  Decimal128 left = a.is(Type::kDecimal) ? a.as_decimal() : decimal::from_int64(a.integer_value());
  Decimal128 right = b.is(Type::kDecimal) ? b.as_decimal() : decimal::from_int64(b.integer_value());
  return decimal::compare(left, right);
}

// One tree in two places, as expressions share them: nothing to compare. Without this, values that
// hold themselves twice at each of many levels would take forever.
bool same_tree(const Value& a, const Value& b) {
  return a.is_tree() && b.is_tree() && a.address() == b.address() &&
         a.payload_size() == b.payload_size();
}

uint64_t mix(uint64_t h, uint64_t v) {
  h = (h ^ v) * 0x9E3779B97F4A7C15ull;
  return h ^ (h >> 29);
}

// One comparison of two containers. Values that expressions build may hold one subtree in many
// places, at each level again: after kUnnoted pairs of containers, those found equal are noted and
// not looked at again, so that the cost is by what is in memory and not by what it unfolds to.
class ContainerComparison {
 public:
  int compare_containers(const Value& a, const Value& b) {
    if (same_tree(a, b)) return 0;
    bool noting = a.is_tree() && b.is_tree() && ++pairs_ > kUnnoted;
    if (noting && known_equal(a, b)) return 0;
    int c = a.is_object() ? compare_objects(a, b) : compare_arrays(a, b);
    if (noting && c == 0) note_equal(a, b);
    return c;
  }

 private:
  static constexpr size_t kUnnoted = 4096;

  // Addresses and sizes of two containers; what they hold is not changed during a comparison.
  struct Pair {
    const void* a;
    const void* b;
    uint64_t sizes;
    bool operator==(const Pair&) const = default;
  };
  struct PairHash {
    size_t operator()(const Pair& pair) const {
      return mix(mix(reinterpret_cast<uintptr_t>(pair.a), reinterpret_cast<uintptr_t>(pair.b)),
                 pair.sizes);
    }
  };
  static Pair pair_of(const Value& a, const Value& b) {
    return {a.address(), b.address(), uint64_t{a.payload_size()} << 32 | b.payload_size()};
  }
  bool known_equal(const Value& a, const Value& b) const {
    return equal_ && equal_->contains(pair_of(a, b));
  }
  void note_equal(const Value& a, const Value& b) {
    if (!equal_) equal_ = std::make_unique<std::unordered_set<Pair, PairHash>>();
    equal_->insert(pair_of(a, b));
  }

  int compare_parts(const Value& a, const Value& b) {
    bool containers = a.type() == b.type() && (a.is_object() || a.is_array());
    return containers ? compare_containers(a, b) : compare(a, b);
  }

  // Field by field: type rank, then name, then value; the shorter one is smaller.
  int compare_objects(const Value& a, const Value& b) {
    auto left = a.as_object();
    auto right = b.as_object();
    auto l = left.begin();
    auto r = right.begin();
    for (; !(l == left.end()) && !(r == right.end()); ++l, ++r) {
      if (int c = order(canonical_type(l->value.type()), canonical_type(r->value.type()))) return c;
      if (int c = compare_bytes(l->name(), r->name())) return c;
      if (int c = compare_parts(l->value, r->value)) return c;
    }
    return l == left.end() ? (r == right.end() ? 0 : -1) : 1;
  }

  int compare_arrays(const Value& a, const Value& b) {
    auto left = a.as_array();
    auto right = b.as_array();
    auto l = left.begin();
    auto r = right.begin();
    for (; !(l == left.end()) && !(r == right.end()); ++l, ++r) {
      if (int c = compare_parts(*l, *r)) return c;
    }
    return l == left.end() ? (r == right.end() ? 0 : -1) : 1;
  }

  size_t pairs_ = 0;
  std::unique_ptr<std::unordered_set<Pair, PairHash>> equal_;
};

uint64_t hash_double(double d, uint64_t seed) {
  if (std::isnan(d)) return mix(seed, 0x7ff8);
  if (d >= -9223372036854775808.0 && d < 9223372036854775808.0 && d == std::floor(d)) {
    return mix(seed, static_cast<uint64_t>(static_cast<int64_t>(d)));
  }
  return mix(seed, std::bit_cast<uint64_t>(d));
}

}  // namespace

int canonical_type(Type type) {
  switch (type) {
    case Type::kMinKey:
      return -1;
    case Type::kMissing:
    case Type::kUndefined:
      return 0;
    case Type::kNull:
      return 5;
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      return 10;
    case Type::kString:
    case Type::kSymbol:
      return 15;
    case Type::kObject:
      return 20;
    case Type::kArray:
      return 25;
    case Type::kBinData:
      return 30;
    case Type::kObjectId:
      return 35;
    case Type::kBool:
      return 40;
    case Type::kDate:
      return 45;
    case Type::kTimestamp:
      return 47;
    case Type::kRegex:
      return 50;
    case Type::kDBPointer:
      return 55;
    case Type::kCode:
      return 60;
    case Type::kCodeWScope:
      return 65;
    case Type::kMaxKey:
      return 127;
  }
  return 0;
}

int compare(const Value& a, const Value& b) {
  if (a.type() == b.type()) {
    switch (a.type()) {
      case Type::kInt32:
        return order(a.as_int32(), b.as_int32());
      case Type::kInt64:
        return order(a.as_int64(), b.as_int64());
      case Type::kDouble:
        return compare_doubles(a.as_double(), b.as_double());
      default:
        break;
    }
  } else if (int c = order(canonical_type(a.type()), canonical_type(b.type()))) {
    return c;
  }
  switch (a.type()) {
    case Type::kInt32:
    case Type::kInt64:
    case Type::kDouble:
    case Type::kDecimal:
      return compare_numbers(a, b);
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
      return compare_bytes(a.as_string(), b.as_string());
    case Type::kObject:
    case Type::kArray:
      return ContainerComparison().compare_containers(a, b);
    case Type::kBinData:
      if (int c = order(a.payload_size(), b.payload_size())) return c;
      if (int c = order(a.binary_subtype(), b.binary_subtype())) return c;
      return compare_bytes(a.as_string(), b.as_string());
    case Type::kObjectId:
      return sign(std::memcmp(a.address(), b.address(), 12));
    case Type::kBool:
      return order(a.as_bool(), b.as_bool());
    case Type::kDate:
      return order(a.as_date(), b.as_date());
    case Type::kTimestamp:
      return order(a.as_timestamp_bits(), b.as_timestamp_bits());
    case Type::kRegex: {
      auto left = a.as_regex();
      auto right = b.as_regex();
      if (int c = compare_bytes(left.pattern, right.pattern)) return c;
      return compare_bytes(left.options, right.options);
    }
    case Type::kDBPointer: {
      auto left = a.as_db_pointer();
      auto right = b.as_db_pointer();
      if (int c = order(left.ns.size(), right.ns.size())) return c;
      if (int c = compare_bytes(left.ns, right.ns)) return c;
      return sign(std::memcmp(left.id, right.id, 12));
    }
    case Type::kCodeWScope: {
      auto left = a.as_code_w_scope();
      auto right = b.as_code_w_scope();
      if (int c = compare_bytes(left.code, right.code)) return c;
      return compare(left.scope, right.scope);
    }
    default:
      return 0;
  }
}

namespace {

// Looks at the first parts only: values whose difference lies behind them collide, no more.
constexpr int kHashedParts = 1 << 20;

uint64_t hash_within(const Value& value, uint64_t seed, int& budget) {
  if (--budget < 0) return seed;
  seed = mix(seed, static_cast<uint64_t>(canonical_type(value.type())));
  switch (value.type()) {
    case Type::kInt32:
    case Type::kInt64:
      return mix(seed, static_cast<uint64_t>(value.integer_value()));
    case Type::kDouble:
      return hash_double(value.as_double(), seed);
    case Type::kDecimal: {
      Decimal128 d = value.as_decimal();
      if (auto whole = decimal::to_int64_exact(d)) return mix(seed, static_cast<uint64_t>(*whole));
      return hash_double(decimal::to_double(d),
                         seed);  // unequal decimals may share a double: a collision, not an error
    }
    case Type::kString:
    case Type::kSymbol:
    case Type::kCode:
    case Type::kBinData:
      return XXH3_64bits_withSeed(value.as_string().data(), value.as_string().size(), seed);
    case Type::kObject:
      for (const Field& field : value.as_object()) {
        if (budget < 0) break;
        seed = hash_within(field.value,
                           XXH3_64bits_withSeed(field.name_data, field.name_size, seed), budget);
      }
      return mix(seed, 1);
    case Type::kArray:
      for (const Value& element : value.as_array()) {
        if (budget < 0) break;
        seed = hash_within(element, seed, budget);
      }
      return mix(seed, 2);
    case Type::kObjectId:
      return XXH3_64bits_withSeed(value.address(), 12, seed);
    case Type::kBool:
    case Type::kDate:
    case Type::kTimestamp:
      return mix(seed, value.as_timestamp_bits());
    case Type::kRegex:
    case Type::kDBPointer:
    case Type::kCodeWScope:
      return XXH3_64bits_withSeed(value.encoded_bytes().data(), value.encoded_bytes().size(), seed);
    default:
      return seed;
  }
}

}  // namespace

uint64_t hash(const Value& value, uint64_t seed) {
  int budget = kHashedParts;
  return hash_within(value, seed, budget);
}

bool identical(const Value& a, const Value& b) {
  if (a.type() != b.type()) return false;
  if (same_tree(a, b)) return true;
  switch (a.type()) {
    case Type::kDouble:
      return a.as_timestamp_bits() == b.as_timestamp_bits();
    case Type::kDecimal:
      return std::memcmp(a.address(), b.address(), 16) == 0;
    case Type::kObject: {
      auto left = a.as_object();
      auto right = b.as_object();
      auto l = left.begin();
      auto r = right.begin();
      for (; !(l == left.end()) && !(r == right.end()); ++l, ++r) {
        if (l->name() != r->name() || !identical(l->value, r->value)) return false;
      }
      return l == left.end() && r == right.end();
    }
    case Type::kArray: {
      auto left = a.as_array();
      auto right = b.as_array();
      auto l = left.begin();
      auto r = right.begin();
      for (; !(l == left.end()) && !(r == right.end()); ++l, ++r) {
        if (!identical(*l, *r)) return false;
      }
      return l == left.end() && r == right.end();
    }
    default:
      return compare(a, b) == 0;
  }
}

}  // namespace millrace::engine
